import math
import subprocess
import sys
import time

import pytest

from models.probes.pool import run_tasks


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_run_and_handed_over_with_its_index(workers: int) -> None:
    found: dict[int, int] = {}
    run_tasks(math.factorial, [5, 6, 7], workers, found.__setitem__)
    assert found == {0: 120, 1: 720, 2: 5040}


def test_workers_end_at_once_when_their_results_are_not_wanted() -> None:
    def refuse(index: int, result: None) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(time.sleep, [0.0, 60.0, 60.0], 2, refuse)
    assert time.monotonic() - start < 30  # the tasks would have slept for 60 s


def test_an_error_in_a_worker_is_raised_here() -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        run_tasks(math.sqrt, [4.0, -1.0], 2, lambda index, result: None)


def test_fewer_than_one_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        run_tasks(abs, [1], 0, lambda index, result: None)


def test_nothing_but_training_imports_torch() -> None:
    modules = ("pool", "gemms", "data", "records", "summary", "evidence")
    imports = "; ".join(f"import models.probes.{module}" for module in modules)
    code = f"{imports}; import sys; sys.exit(not {{'torch', 'sklearn'}}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
