"""The design-space exploration: search, evidence, settings and the command line.

Our folders are imported by their own names, so a stranger's ``models`` on the path could stand in
for ours. That is refused here, before anything of it runs.
"""

from importlib.util import find_spec
from pathlib import Path


def refuse_strangers(home: Path) -> None:
    """Raise ImportError if one of our packages would come from somewhere else than ``home``."""
    for name in ("analysis", "models", "reports"):
        spec = find_spec(name)
        origin = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if origin != home / name:
            raise ImportError(
                f"partialsum: its package {name!r} must be {home / name}, got {origin};"
                " take the other folder off PYTHONPATH or start from another one"
            )


refuse_strangers(Path(__file__).resolve().parent.parent)
