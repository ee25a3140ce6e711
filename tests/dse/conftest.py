from collections.abc import Callable

import pytest

from dse import cli

#: a run that takes seconds: the smallest network, few trials, short probes
QUICK = ("--trials", "12", "--samples", "64", "--seeds", "2", "--steps", "2", "--workers", "1")

Partialsum = Callable[..., tuple[int, str, str]]


@pytest.fixture
def partialsum(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Partialsum:
    """The command as a user types it: exit code, stdout, stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["partialsum", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exited:
            cli.main()
        code = exited.value.code
        assert isinstance(code, int)
        out, err = capfd.readouterr()
        return code, out, err

    return command
