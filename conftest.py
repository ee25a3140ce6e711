"""Triton's kernels are tested in its interpreter, and not collected where there is no Triton."""

import os
from importlib.util import find_spec

os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton and a kernel are imported first
collect_ignore_glob = [] if find_spec("triton") else ["models/emulated/gpu*.py"]
