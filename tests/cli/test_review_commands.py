"""`qinglan review` from the first sign-off to a reopened month. Source: docs/design/0010-review.md."""

from __future__ import annotations

import getpass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from qinglan.flow.workspace import Settings, init, open_workspace
from qinglan.store.registry import events


@pytest.fixture
def home(tmp_path: Path) -> Path:
    row = {"station": "1480A", "name": "x", "place": "630100"}
    days = {"valid_from": date(2025, 3, 1), "valid_to": date(2025, 3, 2)}
    return init(tmp_path / "home", Settings(), stations=[{**row, **days}]).home


def test_sign_lock_and_reopen(qinglan: Any, home: Path) -> None:
    def review(*words: str) -> Any:
        return qinglan("--home", home, "--lang", "en", "review", *words)

    early = review("sign", "1480A", "2025-03-01", "--level", "province", "--by", "li")
    assert early.code == 2
    assert "operator" in early.flat
    for level, who in (("operator", "qian"), ("prefecture", "sun"), ("province", "li")):
        said = review("sign", "1480A", "2025-03-01", "--level", level, "--by", who)
        assert said.code == 0, said.flat
    assert "Signed 1" in said.out
    refused = review("lock", "630100", "2025-03", "--by", "li")
    assert refused.code == 2
    assert "1480A 2025-03-02" in refused.flat
    assert review("lock", "630100", "2025-03", "--except", "1480A", "--by", "li").code == 2
    assert review("lock", "630100", "2025-03", "--except", "1480A=no power", "--by", "li").code == 0
    again = review("sign", "1480A", "2025-03-02", "--until", "2025-03-02", "--level", "operator", "--by", "wu")
    assert "locked by li" in again.flat
    assert review("reopen", "630100", "2025-03", "--reason", "power was there", "--by", "li").code == 0
    assert review("reopen", "630100", "2025-03", "--reason", "again", "--by", "li").code == 1


def test_a_load_names_who_brought_it_so_that_he_does_not_review_it(
    qinglan: Any, home: Path, tmp_path: Path
) -> None:
    register = tmp_path / "register.csv"
    register.write_text("station,name,place,lon,lat\n9999A,y,630100,101.7,36.6\n", encoding="utf-8")
    assert qinglan("--home", home, "ingest", "station_register", register, "--by", "zhou").code == 0
    register.write_text("station,name,place,lon,lat\n9999A,z,630100,101.7,36.6\n", encoding="utf-8")
    assert qinglan("--home", home, "ingest", "station_register", register).code == 0
    told = [e["who"] for e in events(open_workspace(home).registry, what="load.begun")]
    assert told == ["zhou", getpass.getuser()]
