"""The options that commands share, with the words of ``--help``."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.formats import Rounding
from dse.bits import CriterionName
from dse.settings import Floor


def _rounding(text: str) -> Rounding:
    if text not in ("nearest", *Rounding):
        raise typer.BadParameter(f"must be one of nearest, {', '.join(Rounding)}, got {text!r}")
    return Rounding(text)


NetworkArgument = Annotated[
    str, typer.Argument(help="a network of the catalogue, or a .toml or .json file")
]
Batch = Annotated[int | None, typer.Option(help="samples per step [default: the network's own]")]
Density = Annotated[float, typer.Option(help="share of products that are not zero")]
Cutoff = Annotated[float, typer.Option(help="a width is accepted while v(n) is below this")]
Out = Annotated[Path, typer.Option("--out", "-o", help="folder for everything that is written")]
Trials = Annotated[int, typer.Option(help="of the search, earlier ones in the folder included")]
Seed = Annotated[int, typer.Option(help="of everything that is random")]
FloorOption = Annotated[
    Floor, typer.Option(help="narrowest width allowed: that of a product, or as published")
]
RoundingOption = Annotated[
    Rounding, typer.Option(parser=_rounding, metavar="ROUNDING", help="of every addition")
]
OperandLimit = Annotated[
    float, typer.Option(help="most noise of operand rounding, averaged over training")
]
OperandLeast = Annotated[int, typer.Option(help="fewest operand mantissa bits")]
OperandMost = Annotated[int, typer.Option(help="most operand mantissa bits")]
ArrayLeast = Annotated[int, typer.Option(help="fewest rows and columns of the array, 2^k")]
ArrayMost = Annotated[int, typer.Option(help="most rows and columns of the array, 2^k")]
Samples = Annotated[int, typer.Option(help="emulated dot products per case")]
Seeds = Annotated[int, typer.Option(help="training runs per width")]
Steps = Annotated[int, typer.Option(help="steps of each training run")]
Workers = Annotated[int, typer.Option(help="processes of the probes")]
Lengths = Annotated[list[int], typer.Option("--n", help="products of a sum; may be repeated")]
MantissaBits = Annotated[
    list[int] | None, typer.Option("--m-acc", help="of the accumulator; may be repeated")
]
ExponentBits = Annotated[
    int,
    typer.Option("--e-acc", help="of the accumulator; products are scaled into its range"),
]
Roundings = Annotated[
    list[Rounding] | None,
    typer.Option(
        "--rounding",
        parser=_rounding,
        metavar="[nearest|stochastic|toward-zero|toward-minus-infinity|...]",
        help="of every addition; may be repeated (default: nearest, ties to even)",
    ),
]
RandomBits = Annotated[
    int | None, typer.Option(help="of stochastic rounding (default: as good as ideal)")
]
CriterionOption = Annotated[
    CriterionName | None,
    typer.Option(
        help="theorem: v(n) below --cutoff; nmse: predicted noise at most --nmse; parity: at most"
        " --parity of the noise of rounding the operands (default: theorem; of a named"
        " accumulator: parity)"
    ),
]
ProductMantissa = Annotated[
    int | None,
    typer.Option(
        "--m-p",
        help="mantissa bits of a product of two Gaussian operands (default: those of --products,"
        " else 5, of FP8 (1,5,2))",
    ),
]
NmseBudget = Annotated[float, typer.Option("--nmse", help="noise that criterion nmse allows")]
Parity = Annotated[
    float, typer.Option(help="share of the operands' noise that criterion parity allows")
]
MaxBias = Annotated[
    float, typer.Option(help="bias that both allow, in standard deviations of the sum")
]
OneRounding = Annotated[
    Rounding,
    typer.Option(
        "--rounding", parser=_rounding, metavar="ROUNDING", help="of every addition, for the noise"
    ),
]
OneProducts = Annotated[
    str | None,
    typer.Option(
        "--products",
        help="what is summed, for the noise (default: two Gaussians, of --m-p bits as products)",
    ),
]
OneAccumulator = Annotated[
    str | None,
    typer.Option("--accumulator", help="of the catalogue: is it enough? instead of least widths"),
]
Chunks = Annotated[
    list[str] | None,
    typer.Option("--chunk", help="products per inner sum, or none; may be repeated"),
]
ProductBits = Annotated[
    int | None,
    typer.Option(
        "--m-p",
        help="mantissa bits that products, or Gaussian terms, are rounded to (default: exact)",
    ),
]
OuterBits = Annotated[
    int | None, typer.Option(help="mantissa bits of the sum of chunk sums (default: m_acc)")
]
Accumulators = Annotated[
    list[str] | None,
    typer.Option("--accumulator", help="of the catalogue, instead; may be repeated"),
]
CsvOut = Annotated[Path | None, typer.Option("--csv", help="write the data to this file")]
AsJson = Annotated[bool, typer.Option("--json", help="print the data as JSON")]
ProductsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--products",
        help="A*B or A, where each is a distribution (gaussian, laplace, uniform, half-normal: with"
        " --density 0.5 what a ReLU leaves,"
        " FILE.npy), a format, or distribution:format; may be repeated (default: Gaussians, of"
        " --m-p bits, in the format of the named accumulator's operands, or fp8_e5m2*fp8_e5m2)",
    ),
]
Mean = Annotated[float, typer.Option(help="of the first operand, in its standard deviations")]
Precision = Annotated[
    float | None,
    typer.Option(help="stop at this relative standard error of the NMSE, and that of retention"),
]
MostSamples = Annotated[
    int | None, typer.Option("--samples", help="at most, or just so many without --precision")
]
