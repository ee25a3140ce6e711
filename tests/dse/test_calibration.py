import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dse.calibration import calibrate, statistics_csv
from dse.progress import Advance
from models.networks.loading import load_network
from models.networks.network import Network
from models.probes.calibration import measure_statistics
from models.probes.records import TrainingSettings
from models.statistics import Statistics

DIGITS = load_network("digits-cnn")
titles: list[str] = []
told: list[tuple[int, int]] = []


@contextmanager
def track(title: str) -> Iterator[Advance]:
    titles.append(title)
    yield lambda done, total: told.append((done, total))


def test_statistics_are_those_of_the_probe_at_its_own_batch() -> None:
    small = Network.model_validate({**DIGITS.model_dump(), "default_batch": 4})
    found = calibrate(small, 2, None, 7, track)
    assert (titles, told) == (["calibrate digits-cnn"], [(1, 2), (2, 2)])
    settings = TrainingSettings(steps=2)
    assert found == measure_statistics(small, settings, 4, 7, lambda *_: None)
    assert calibrate(small, 1, 3, 7, track).batch == 3
    table = statistics_csv(found).splitlines()
    assert table[0].startswith("layer,role,n,products,density,mean_ratio,output_mean_ratio,")
    assert "sample" not in table[0]
    assert len(table) == 1 + len(found.gemms)
    cells = dict(zip(table[0].split(","), table[-1].split(","), strict=True))
    assert float(cells["a.exponents.low"]) == found.gemms[-1].a.exponents.low
    assert float(cells["drift"]) == found.gemms[-1].drift


def test_steps_are_at_least_one() -> None:
    with pytest.raises(ValueError, match=r"^steps: should be greater than or equal to 1, got 0$"):
        calibrate(DIGITS, 0, None, 0, track)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "models.probes.calibration", None)
    with pytest.raises(ImportError, match=r"calibration needs torch: install partialsum\[probes\]"):
        calibrate(DIGITS, 1, None, 0, track)


def test_what_calibrate_writes_can_be_read() -> None:
    found = calibrate(DIGITS, 1, 2, 0, track)
    assert Statistics.model_validate_json(found.model_dump_json()) == found
