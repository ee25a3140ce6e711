"""Published component numbers, one table per source, with node and conditions; and what fits them.

Every energy is typical and free of glitches, every area that of placed cells without routing.
"""

from dataclasses import dataclass

#: All constants below are for 45 nm (one of them for 40 nm, used unscaled). Nodes are not
#: converted: published factors differ five-fold (Stillmaker & Baas 2017 against Jouppi 2021).
NODE_NM = 45


# Nangate 45 nm Open Cell Library, drive X1: widths are multiples of 0.19 µm, rows 1.4 µm high.
# The full adder agrees with Horowitz' integer adders below within 6 %.
FULL_ADDER_UM2 = 4.256
HALF_ADDER_UM2 = 2.660
MUX_UM2 = 1.862
XOR_UM2 = 1.596


@dataclass(frozen=True, slots=True)
class PublishedAdder:
    """Area of one floating-point adder ``(1, e, m)``."""

    exponent_bits: int
    mantissa_bits: int
    area_um2: float


#: arch-com, Nangate45, yosys, combinational, relaxed timing (repository's own result table).
#: DesignWare's fast IEEE adders (H&P 6th ed., figure 1.13) are about twice this: 4184 for e8m23.
ARCH_COM_ADDERS = (
    PublishedAdder(4, 3, 728.0),
    PublishedAdder(5, 2, 809.0),
    PublishedAdder(8, 23, 2271.0),
)

#: Two factors fitted to these three by least squares of the relative error, which leaves
#: +0.5 %, -0.4 % and -0.1 %: what buffers, sign and sticky logic add to the counted cells, ...
LOGIC_OVERHEAD = 1.5386
#: ... and all that handles exponents (difference, compare, adjust, saturate, special values).
EXPONENT_LOGIC_UM2_PER_BIT = 119.866


@dataclass(frozen=True, slots=True)
class PublishedAddEnergy:
    """Energy of one floating-point addition ``(1, e, m)``."""

    exponent_bits: int
    mantissa_bits: int
    energy_pj: float


#: Horowitz, ISSCC 2014, "Computing's energy problem", 45 nm, 0.9 V.
HOROWITZ_ADDS = (PublishedAddEnergy(5, 10, 0.4), PublishedAddEnergy(8, 23, 0.9))

#: One factor over the adder's *modelled area*, by the same least squares: +7.8 % for fp16,
#: -9.2 % for fp32. Their difference (23 bits against 10) is thus underestimated by 23 %.
ADDER_FJ_PER_UM2 = 0.36034


@dataclass(frozen=True, slots=True)
class PublishedMultiplier:
    """Area and energy of one integer multiplier of ``bits × bits``."""

    bits: int
    area_um2: float
    energy_pj: float


#: Horowitz, ISSCC 2014, 45 nm, 0.9 V; areas H&P 6th ed., figure 1.13 (TSMC 45 nm, synthesised).
HOROWITZ_MULTIPLIERS = (
    PublishedMultiplier(8, 282.0, 0.2),
    PublishedMultiplier(32, 3495.0, 3.1),
)
#: Per bit of one operand times bit of the other: area -14 % (8 bits), +11 % (32 bits) ...
MULTIPLIER_UM2_PER_BIT2 = 3.786
#: ... and energy -1.6 % and +1.6 %.
MULTIPLIER_FJ_PER_BIT2 = 3.075

#: Horowitz, ISSCC 2014, 45 nm, 0.9 V: 32-bit integer addition, 0.1 pJ and 137 µm².
INTEGER_ADD_FJ_PER_BIT = 100.0 / 32
INTEGER_ADD_UM2_PER_BIT = 137.0 / 32

#: Aladdin's register, 40 nm, 1 ns, per bit and write (Accelergy Library); unscaled.
#: A bare Nangate45 flip-flop is 4.5 µm² per bit.
REGISTER_FJ_PER_BIT = 9.0
REGISTER_UM2_PER_BIT = 5.98


@dataclass(frozen=True, slots=True)
class PublishedSramRead:
    """Energy of one 64-bit read."""

    kib: int
    energy_pj: float


#: Horowitz, ISSCC 2014, 45 nm, 0.9 V, 64-bit reads. CACTI 7 gives 0.53-0.75 of these.
HOROWITZ_SRAM = (
    PublishedSramRead(8, 10.0),
    PublishedSramRead(32, 20.0),
    PublishedSramRead(1024, 100.0),
)
#: ``10 pJ √(KiB / 8)`` per 64 bits: exact at 8 and 32 KiB, +13 % at 1 MiB.
SRAM_PJ_PER_64_BITS_AT_8_KIB = 10.0

#: CACTI 7, 45 nm, ITRS-HP, one read-write port: ``3471 KiB^0.98`` µm².
SRAM_UM2_AT_1_KIB = 3471.0
SRAM_AREA_EXPONENT = 0.98

#: LPDDR4 in Accelergy's CactiDRAM: 512 pJ per 64 bits, interface included; off chip, no area.
DRAM_PJ_PER_BIT = 8.0
