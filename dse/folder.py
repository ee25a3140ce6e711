"""The output folder: the names of its files, and that it belongs to one study."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dse.settings import Settings
from models.files import read_model, write_atomically
from models.networks.network import Network

SETTINGS = "settings.json"
NETWORK = "network.json"  #: as it was searched
JOURNAL = "study.journal"  #: Optuna's journal of all trials
SEARCH = "search.json"  #: front, plan and comparison as one record
PLAN = "plan.json"
FRONT = "front.csv"
COMPARISON = "comparison.csv"
REQUIREMENTS = "requirements.csv"
GEMM_PROBE = "gemm_probe.json"
GEMM_PROBE_TABLE = "gemm_probe.csv"
TRAINING = "training.json"
TRAINING_TABLE = "training.csv"
STATISTICS = "statistics.json"  #: of the products of the network that is trained
STATISTICS_TABLE = "statistics.csv"
REPORT = "report.html"
LOCK = ".lock"
PROBE = "probe"  #: folder of the probe network's own search


def claim(out: Path, settings: Settings, network: Network) -> None:
    """Make the folder ``out`` this study's, or see that it is.

    Raises:
        ValueError: the folder holds another study, or is not a folder.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: the output must be a folder, got a file")
    if (out / SETTINGS).exists():
        found = read_model(out / SETTINGS, Settings)
        _refuse_difference(out, found.identity(), settings.identity())
        if read_model(out / NETWORK, Network) != network:
            raise ValueError(f"{out}: holds a study of another network; choose another folder")
    elif (out / JOURNAL).exists():
        raise ValueError(f"{out}: holds a study without {SETTINGS}; choose another folder")
    write_atomically(out / NETWORK, network.model_dump_json(indent=1) + "\n")
    write_atomically(out / SETTINGS, settings.model_dump_json(indent=1) + "\n")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder for one process; the kernel lets go of it however the process ends.

    Raises:
        ValueError: another process holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{out}: another partialsum is at work in this folder") from error
        # Optuna's own lock outlives a process that was killed, and would be waited for
        (out / f"{JOURNAL}.lock").unlink(missing_ok=True)
        yield


def _refuse_difference(out: Path, found: Mapping[str, object], asked: Mapping[str, object]) -> None:
    for name, value in asked.items():
        if found.get(name) != value:
            raise ValueError(
                f"{out}: holds another study, with {name} = {found.get(name)!r} where this run"
                f" has {value!r}; choose another folder"
            )


def files(out: Path) -> list[Path]:
    """Everything in the folder, the report last."""
    found = [file for file in out.rglob("*") if file.is_file() and file.name != LOCK]
    return sorted(found, key=lambda file: (file.name == REPORT, file.parent, file.name))
