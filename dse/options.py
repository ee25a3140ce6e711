"""The options that commands share, with the words of ``--help``."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.formats import Rounding
from dse.settings import Floor

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
RoundingOption = Annotated[Rounding, typer.Option(help="of every addition")]
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
