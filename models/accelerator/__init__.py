"""What an accelerator costs: technology, units, PE, array, memory and dataflow; then one GEMM.

Assumed: bits beyond a GEMM's own widths are gated off, so that energy follows the plan while area
follows the widest widths provisioned; SRAM feeds the array without stalls; GEMMs run one after
another; DRAM and SRAM hold the tensors of a convolution, which are unfolded between SRAM and array.

Not modelled: wires inside and between PEs, clock tree, control, glitches, leakage, place and
route, special values (NaN, infinity) beyond what the calibrating adders carry, a clock that rises
as widths fall; activations kept on chip between layers, their stash and restore, the weight update.
"""
