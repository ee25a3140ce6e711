"""From a name or a file to a network."""

from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from models.files import FORMATS, read_model, shown
from models.networks.catalog import CATALOG, SEQUENCES, network_names
from models.networks.network import Network


def load_network(name_or_path: str, tokens: int | None = None) -> Network:
    """The network of that name in the catalogue, or the one in that ``.toml`` or ``.json`` file.

    ``tokens``: of a sequence, of a transformer of the catalogue; None: as it was trained.

    >>> load_network("digits-cnn").layers[-1].name
    'fc'

    Raises:
        ValueError: no such name, a file that is not a network, or tokens of one that has none to
            set; one line says which.
    """
    if tokens is not None:
        return _with_tokens(name_or_path, tokens)
    if name_or_path in CATALOG:
        return CATALOG[name_or_path]()
    if Path(name_or_path).suffix.lower() in FORMATS:
        return read_model(Path(name_or_path), Network)
    raise ValueError(
        f"network {shown(name_or_path)}: no such name, {_hint(name_or_path)}"
        " (a file ends in .toml or .json)"
    )


def _with_tokens(name: str, tokens: int) -> Network:
    if name not in SEQUENCES:
        raise ValueError(
            f"network {shown(name)}: tokens can be set of {', '.join(SEQUENCES)}, got {tokens}"
        )
    if tokens < 1:
        raise ValueError(f"network {name}: tokens must be at least 1, got {tokens}")
    try:
        return SEQUENCES[name](tokens)
    except ValidationError as error:
        raise ValueError(f"network {name}: tokens must be fewer, got {tokens}") from error


def _hint(name: str) -> str:
    names = {known.split("-")[0]: known for known in network_names()}  # "resnet19" has no data set
    names |= {known: known for known in network_names()}
    close = get_close_matches(name[:100].lower(), names, n=1, cutoff=0.4)
    if close:
        return f"the nearest is {names[close[0]]!r}"
    return f"choose from {', '.join(network_names())}"
