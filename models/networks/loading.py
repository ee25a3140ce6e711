"""From a name or a file to a network."""

from difflib import get_close_matches
from pathlib import Path

from models.files import FORMATS, read_model, shown
from models.networks.catalog import CATALOG, network_names
from models.networks.network import Network


def load_network(name_or_path: str) -> Network:
    """The network of that name in the catalogue, or the one in that ``.toml`` or ``.json`` file.

    >>> load_network("digits-cnn").layers[-1].name
    'fc'

    Raises:
        ValueError: no such name, or a file that is not a network; one line says which.
    """
    if name_or_path in CATALOG:
        return CATALOG[name_or_path]()
    if Path(name_or_path).suffix.lower() in FORMATS:
        return read_model(Path(name_or_path), Network)
    raise ValueError(
        f"network {shown(name_or_path)}: no such name, {_hint(name_or_path)}"
        " (a file ends in .toml or .json)"
    )


def _hint(name: str) -> str:
    names = {known.split("-")[0]: known for known in network_names()}  # "resnet19" has no data set
    names |= {known: known for known in network_names()}
    close = get_close_matches(name[:100].lower(), names, n=1, cutoff=0.4)
    if close:
        return f"the nearest is {names[close[0]]!r}"
    return f"choose from {', '.join(network_names())}"
