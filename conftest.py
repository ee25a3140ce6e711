"""Triton's kernels are tested in its interpreter, and not collected where there is no Triton.

Examples that hypothesis draws may take as long as they like: the first of a kind may compile.
"""

import os
from importlib.util import find_spec

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton and a kernel are imported first
collect_ignore_glob = [] if find_spec("triton") else ["models/emulated/gpu*.py"]
