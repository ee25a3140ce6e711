"""How a long stage tells how far it is, without knowing who listens."""

from collections.abc import Callable
from contextlib import AbstractContextManager

#: called with what is done and the whole
Advance = Callable[[int, int], None]
#: opens a progress bar with a title
Track = Callable[[str], AbstractContextManager[Advance]]
