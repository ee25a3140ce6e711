"""The chain, stage by stage: each reads plain records from the folder and leaves plain records."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from dse import folder
from dse.outcome import outcome
from dse.search import open_study, search
from dse.settings import Settings
from dse.space import Space
from models.files import read_model, write_atomically
from models.networks.loading import load_network
from models.networks.network import Network
from models.requirements import GemmRequirement, requirements
from models.results import SearchResult
from reports.tables import to_csv

#: opens a progress bar of so many steps; what it gives is told how many are done
Track = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

#: products of FP8 (1, 5, 2) operands: what the requirement table is made for (Wang et al., 2018)
TABLE_M_P = 5
#: the network that can be trained here
PROBE_NETWORK = "digits-cnn"


def run_search(settings: Settings, out: Path, track: Track) -> SearchResult:
    """Search, or go on with a search, and write its tables and its plan.

    Raises:
        ValueError: the folder holds another study, or no plan is feasible.
    """
    network = load_network(settings.network)
    space = Space(settings, network)
    folder.claim(out, settings, network)
    study = open_study(out / folder.JOURNAL)
    with track(f"search {network.name}", settings.trials) as advance:
        search(study, space, advance)
    found = outcome(study, space)
    asked = table_requirements(settings, network)
    write_atomically(out / folder.REQUIREMENTS, to_csv(asked))
    write_atomically(out / folder.FRONT, to_csv(found.front))
    write_atomically(out / folder.COMPARISON, to_csv(found.baselines))
    write_atomically(out / folder.SEARCH, found.model_dump_json(indent=1) + "\n")
    found.plan.save(out / folder.PLAN)
    return found


def table_requirements(settings: Settings, network: Network) -> tuple[GemmRequirement, ...]:
    """What the theorem asks of every GEMM for FP8 products and the settings' chunk."""
    return requirements(
        network.gemms(settings.batch), TABLE_M_P, settings.chunk, settings.density, settings.cutoff
    )


def probe_settings(settings: Settings) -> Settings:
    """The same criterion and search for the network that can be trained here."""
    return settings.model_copy(
        update={"network": PROBE_NETWORK, "batch": None, "trials": settings.probe_trials}
    )


def load_search(out: Path) -> tuple[Settings, Network, SearchResult]:
    """What an earlier search left in the folder.

    Raises:
        ValueError: a file is missing or broken.
    """
    return (
        read_model(out / folder.SETTINGS, Settings),
        read_model(out / folder.NETWORK, Network),
        read_model(out / folder.SEARCH, SearchResult),
    )
