"""The command line: the only place that prints, reads the clock, and exits."""

import shlex
import sys
from collections.abc import Callable
from io import TextIOWrapper

import typer

from dse.cli import advice, chain, sums, widths
from dse.cli.output import errors
from models.files import one_line

app = typer.Typer(
    help="How narrow may each accumulator be, layer by layer, and what does that buy?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
#: in the order, and under the headings, of ``--help``
COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "How narrow?": (
        widths.bits, widths.scale, widths.calibrate, advice.chunk, advice.exponents, advice.integer,
    ),
    "What does a sum lose?": (
        sums.predict, sums.simulate, advice.remedies, advice.bounds, sums.accumulators,
        sums.equations,
    ),
    "What does it buy, and does it train?": (
        chain.run, chain.search, chain.probe, chain.report, chain.networks,
    ),
}  # fmt: skip
for heading, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=heading)(command)
#: commands that leave work behind to go on from
RESUMED = {"run", "search", "probe", "simulate"}
#: what typer makes of Ctrl-C: 128 + SIGINT, as shells do
_INTERRUPTED = 130


def main() -> None:
    """Run a command; bad input is one line and exit code 2."""
    if sys.stdout is None or sys.stderr is None:  # closed by whoever called
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no dash gets a mark
    try:
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:
            goes_on = "; the same command goes on from here" * (set(sys.argv[1:2]) <= RESUMED)
            errors.print(f"partialsum: stopped{goes_on}")
        sys.exit(code)
    except typer.TyperException as error:
        _fail(f"{error.format_message()} In: partialsum {shlex.join(sys.argv[1:])}")
    except OSError as error:
        _fail(f"{error.filename2 or error.filename or 'file'}: {error.strerror or error}")
    except (ValueError, ImportError) as error:
        _fail(str(error))


def _fail(reason: str) -> None:
    print(f"partialsum: {one_line(reason)}", file=sys.stderr)
    sys.exit(2)
