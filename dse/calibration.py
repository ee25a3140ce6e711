"""Statistics measured on the network of the probes, for requirements to use."""

from pathlib import Path

from dse.folder import STATISTICS
from dse.progress import Track
from models.files import validated, write_atomically
from models.networks.network import Network
from models.probes.records import TrainingSettings
from models.statistics import Statistics, load_statistics
from reports.tables import to_csv

#: of training
STEPS = 100


def calibrate(
    network: Network, steps: int, batch: int | None, seed: int, track: Track
) -> Statistics:
    """What every GEMM of ``network`` multiplies while it learns the digits in float32.

    Raises:
        ValueError: the network cannot be trained on the digits, or not in so many steps.
        ImportError: torch or scikit-learn is not installed.
    """
    try:
        from models.probes.calibration import measure_statistics  # torch: seconds
    except ImportError as error:
        raise ImportError("calibration needs torch: install partialsum[probes]") from error
    settings = validated({"steps": steps}, TrainingSettings)
    samples = network.default_batch if batch is None else batch
    with track(f"calibrate {network.name}") as advance:
        return measure_statistics(network, settings, samples, seed, advance)


def kept_statistics(folder: Path) -> Statistics | None:
    """What was measured into a folder."""
    file = folder / STATISTICS
    return load_statistics(file) if file.exists() else None


def write_statistics(file: Path, statistics: Statistics) -> None:
    """The record, with its samples."""
    write_atomically(file, statistics.model_dump_json() + "\n")


def statistics_csv(statistics: Statistics) -> str:
    """The figures of every GEMM, one a row; samples are left to the JSON file."""
    return to_csv([one.figures for one in statistics.gemms])
