"""The command line as a user meets it: arguments in, text, JSON and exit code out, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from qinglan.cli import main
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, init
from qinglan.plan.places import load_stations


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def flat(self) -> str:
        """Both streams without line breaks, which a narrow terminal puts anywhere."""
        return " ".join((self.out + self.err).split())


@pytest.fixture
def qinglan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """``qinglan("run", "--json")`` -> what was said."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("QINGLAN_HOME", raising=False)
    monkeypatch.delenv("QINGLAN_LANG", raising=False)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        code = left.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, out, err)

    return call


@pytest.fixture(scope="session")
def simulated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of three stations, simulated and judged."""
    from datetime import UTC, datetime

    from qinglan.flow.run import run

    home = init(tmp_path_factory.mktemp("cli") / "home", Settings(simulated=True))
    chosen = [s for s in load_stations("qinghai") if s.station in ("1480A", "2676A")]
    chosen += [s for s in load_stations("simulated") if s.place == "630121"][:1]
    simulate_into(home, date(2025, 1, 1), date(2025, 3, 31), stations=chosen)
    run(home, now=datetime(2025, 4, 1, tzinfo=UTC))
    return home.home
