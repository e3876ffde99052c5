"""The pages of review: who may do what, what a refusal says, and that every act leaves its trace.

Source: docs/design/0006-console.md §5 and the permission table.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.core.batch import Batch, LayoutInfo
from qinglan.flow import quality, review
from qinglan.flow.ingest import IngestSettings, ingest
from qinglan.flow.workspace import Settings, init, open_workspace
from qinglan.store import registry
from qinglan.web import csrf
from qinglan.web.app import create_app

DAY = date(2025, 3, 1)
FIRST = datetime(2025, 2, 28, 17, tzinfo=UTC)  # the end of the hour labelled 01:00
NOW = datetime(2025, 5, 1, tzinfo=UTC)
PAGE = f"/review/1480A/{DAY}"
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


class _Made:
    """A layout whose one file is made here: a day with PM10 below PM2.5 in three hours."""

    LAYOUT = LayoutInfo("made", "", "", ("hours",), (".txt",))

    def sniff(self, path: Path) -> bool:
        return True

    def read(self, path: Path, context: Any) -> Iterator[Batch]:
        times = [FIRST + timedelta(hours=h) for h in range(24)]
        pm = {
            "pm10": [40.0 + h % 5 for h in range(24)],
            "pm2_5": [90.0 if 9 < h < 13 else 20.0 for h in range(24)],
        }
        cells = {"station": ["1480A"] * 24, "time": pa.array(times, pa.timestamp("us", "UTC")), **pm}
        yield Batch("hours", pa.table(cells), path.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    register = [
        {"station": "1480A", "name": "市监测站", "place": "630100", "valid_from": DAY, "valid_to": DAY},
        {"station": "2670A", "name": "平安", "place": "630200", "valid_from": DAY, "valid_to": DAY},
    ]
    home = init(folder / "home", Settings(), stations=register)
    (folder / "a.txt").write_text("a")
    ingest(home, _Made(), [folder / "a.txt"], settings=IngestSettings(who="zhao"))
    quality.control_on(home, DAY)
    return home.home


def person(name: str, role: str, place: str) -> Principal:
    return Principal(name, name, (Grant(role, place=place),), via="session")


PEOPLE = {
    "zhao": person("zhao", "operator", "630100"),
    "qian": person("qian", "operator", "630100"),
    "sun": person("sun", "prefecture", "630100"),
    "far": person("far", "prefecture", "630200"),
    "li": person("li", "province", "630000"),
}


@pytest.fixture
def ask(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a fresh copy, for acts. (Tokens of forms have their own tests.)"""
    monkeypatch.setattr(csrf.Forms, "holds", lambda self, given: True)
    return client(shutil.copytree(made, tmp_path / "home"))


@pytest.fixture(scope="module")
def look(made: Path) -> Any:
    """A client of one home, for those who only look or are refused."""
    patch = pytest.MonkeyPatch()
    patch.setattr(csrf.Forms, "holds", lambda self, given: True)
    yield client(made)
    patch.undo()


def client(home: Path) -> Any:
    """Asks as somebody: the header names who."""
    app = create_app(home, clock=lambda: NOW, identify=lambda r: PEOPLE[r.headers["x-who"]])
    browser = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)

    def asked(who: str, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
        heads = {"x-who": who, "sec-fetch-site": "same-origin", **more.pop("headers", {})}
        if data is None:
            return browser.get(path, headers=heads)
        return browser.post(path, data=data, headers=heads, **more)

    asked.workspace = open_workspace(home)  # type: ignore[attr-defined]
    return asked


def sign(level: str, station: str = "1480A") -> dict[str, str]:
    return {"station": station, "first": str(DAY), "last": str(DAY), "level": level}


RUN = {
    "station": "1480A", "item": "pm10", "rule": "pm_order", "decision": "keep", "reason": "雾",
    "first": (FIRST + timedelta(hours=10)).isoformat(), "last": (FIRST + timedelta(hours=12)).isoformat(),
}  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    "path",
    ["/review", "/review?status=", PAGE, "/review/months?month=2025-03", "/review/instruments", "/disclosure"],
)
def test_every_page_opens_in_both_languages_and_tells_its_tables(look: Any, path: str, lang: str) -> None:
    said = look("li", f"{path}{'&' if '?' in path else '?'}lang={lang}")
    assert said.status_code == 200
    assert "<table" in said.text or 'class="empty"' in said.text
    assert "style=" not in said.text
    assert "onclick" not in said.text


def test_a_run_is_decided_in_one_act_and_shows_who_did_it(ask: Any) -> None:
    assert "pm10=" not in ask("sun", PAGE).text
    assert ask("sun", "/review/decide", RUN).status_code == 303
    said = ask("sun", f"{PAGE}?item=pm10&done=decided").text
    assert "雾" in said
    (event,) = registry.events(ask.workspace.registry, what="flag.decided")
    assert (event["who"], event["detail"]["hours"]) == ("sun", 3)


@pytest.mark.parametrize(
    ("who", "path", "data"),
    [
        ("qian", "/review/decide", RUN),
        ("far", "/review/decide", RUN),
        ("qian", "/review/sign", sign("prefecture")),
        ("far", "/review/sign", sign("prefecture")),
        ("sun", "/review/sign", sign("province")),
        ("qian", "/review/sign", sign("operator", "2670A")),
        ("sun", "/review/months/lock", {"place": "630100", "month": "2025-03"}),
        ("sun", "/review/months/reopen", {"place": "630100", "month": "2025-03", "reason": "x"}),
    ],
)
def test_nobody_acts_beyond_his_role_or_place(look: Any, who: str, path: str, data: dict[str, str]) -> None:
    before = len(registry.events(look.workspace.registry))
    assert look(who, path, data).status_code == 403
    assert len(registry.events(look.workspace.registry)) == before


def test_a_refusal_says_who_did_what(look: Any) -> None:
    said = look("zhao", "/review/sign?lang=zh", sign("operator"))
    assert said.status_code == 422
    assert "这些小时由 zhao 装入" in said.text
    said = look("sun", "/review/sign?lang=en", sign("prefecture"))
    assert "level First (operator) has not signed yet" in said.text


def test_from_the_first_signature_to_a_locked_and_reopened_month(ask: Any) -> None:
    for who, level in (("qian", "operator"), ("sun", "prefecture"), ("li", "province")):
        assert ask(who, "/review/sign", sign(level)).status_code == 303
    month = {"place": "630100", "month": "2025-03"}
    other = {"place": "630200", "month": "2025-03"}
    assert "2670A 2025-03-01" in ask("li", "/review/months/lock", other).text
    assert ask("li", "/review/months/lock", month).status_code == 303
    excepted = {**other, "station": ["2670A"], "reason": ["停电"]}
    assert ask("li", "/review/months/lock", excepted).status_code == 303
    assert "最终数据" in ask("li", PAGE).text
    assert "已由 li 锁定" in ask("sun", "/review/decide", RUN).text
    assert ask("li", "/review/months/reopen", {**month, "reason": ""}).status_code == 422
    assert ask("li", "/review/months/reopen", {**month, "reason": "校准有误"}).status_code == 303
    assert "校准有误" in ask("li", "/review/months?month=2025-03").text
    assert ask("sun", "/review/decide", RUN).status_code == 303


def test_a_check_is_entered_with_its_protocol_and_doubts_are_queued(ask: Any) -> None:
    data = {
        "station": "1480A", "item": "so2", "serial": "S-7", "kind": "span", "checked_at": "2025-03-01T10:00",
        "reference": "400", "reading": "500",
    }  # fmt: skip
    paper = {"attachment": ("p.pdf", PDF, "application/pdf")}
    assert ask("far", "/review/instruments", data).status_code == 403
    assert ask("qian", "/review/instruments", data, files=paper).status_code == 303
    assert "+25.0 %" in ask("qian", "/review/instruments").text
    kept = ask("sun", "/review/instruments/1/attachment")
    assert kept.content == PDF
    assert kept.headers["content-disposition"].startswith("attachment")
    assert ask("qian", "/review/instruments/1/doubt", {}).status_code == 303
    assert "#1" in ask("qian", "/review?rule=instrument_check").text
    script = {"attachment": ("p.pdf", b"<html><script>1</script>", "application/pdf")}
    assert ask("qian", "/review/instruments", data, files=script).status_code == 422
    assert ask("qian", "/review/instruments", {**data, "reading": "many"}).status_code == 422


def test_the_plot_holds_the_run_and_its_surroundings(look: Any) -> None:
    span = f"first={RUN['first']}&last={RUN['last']}".replace("+", "%2B")
    option = look("li", f"/review/plot.json?station=1480A&item=pm10&{span}").json()
    own = dict(option["series"][0]["data"])
    assert len(own) == 3 + 2 * 36
    assert option["series"][0]["markArea"]["data"]
    wall = datetime(2025, 3, 1, 11, tzinfo=UTC).timestamp() * 1000  # drawn as official wall time
    assert own[wall] == 40.0
    assert look("li", "/review/plot.json?station=1480A&item=pm10&first=x&last=y").status_code == 422
    assert look("li", "/review/plot.json?station=9999&item=pm10&first=x&last=y").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/review?after=x", "/review?day=x", "/review/months?month=2025", "/review/1480A/x", "/review?status=x"],
)
def test_a_wrong_address_is_told_not_crashed(look: Any, path: str) -> None:
    assert look("li", path).status_code in (404, 422)


AT = (FIRST + timedelta(hours=11)).isoformat()
FLAG = {"station": "1480A", "item": "pm10", "rule": "pm_order", "time": AT, "mark": "decide-3"}
HTMX = {"hx-request": "true"}


def test_the_dialog_shows_the_flag_and_who_may_decide(look: Any) -> None:
    query = urlencode(FLAG)
    assert look("sun", f"/review/overrule?{query}").headers["location"] == f"{PAGE}?item=pm10"  # without htmx
    shown = look("sun", f"/review/overrule?{query}", headers=HTMX).text
    assert "<html" not in shown
    assert f'value="{AT}/{AT}"' in shown
    assert 'hx-post="/review/decide"' in shown
    for who in ("qian", "far"):
        assert "<form" not in look(who, f"/review/overrule?{query}", headers=HTMX).text
    gone = look("sun", f"/review/overrule?{urlencode({**FLAG, 'rule': 'spike'})}", headers=HTMX)
    assert 'class="empty"' in gone.text
    assert look("sun", f"/review/overrule?{query}&mark=x'onload", headers=HTMX).status_code == 422


def test_a_decision_in_the_dialog_is_the_same_act_by_the_same_rules(ask: Any) -> None:
    form = {**{k: FLAG[k] for k in ("station", "item", "rule", "mark")}, "span": f"{AT}/{AT}", "decision": "keep"}
    assert ask("qian", "/review/decide", {**form, "reason": "雾"}, headers=HTMX).status_code == 403
    wrong = ask("sun", "/review/decide", {**form, "reason": " "}, headers=HTMX)
    assert (wrong.status_code, "n-bad" in wrong.text, "<form" in wrong.text) == (200, True, True)
    done = ask("sun", "/review/decide", {**form, "reason": "雾"}, headers=HTMX)
    assert 'id="decide-3"' in done.text
    assert "hx-swap-oob" in done.text
    (event,) = registry.events(ask.workspace.registry, what="flag.decided")
    assert (event["who"], event["detail"]["hours"], event["detail"]["reason"]) == ("sun", 1, "雾")
    review.lock(ask.workspace, "630100", "2025-03", exceptions={"1480A": "r"}, who="li", now=NOW)
    locked = ask("sun", "/review/decide", {**form, "reason": "雾"}, headers=HTMX).text
    assert "n-bad" in locked
    assert "<form" not in locked
