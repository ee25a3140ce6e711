import subprocess
import sys
from pathlib import Path

import pytest

from dse import refuse_strangers


def test_our_own_packages_are_at_home() -> None:
    refuse_strangers(Path(__file__).resolve().parents[2])


def test_other_home_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match="its package 'analysis' must be"):
        refuse_strangers(tmp_path)


def test_models_folder_of_a_user_is_refused_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("print('ran')")
    done = subprocess.run(
        [sys.executable, "-c", "import dse"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "its package 'models' must be" in done.stderr
    assert "ran" not in done.stdout
