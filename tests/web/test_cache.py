"""Kept pages: shared by those with equal rights, never with a foreign name or token, never older than a change.

Sources: design 0009; RFC 9110 13.1.2 (If-None-Match); OWASP, Cross-Site Request Forgery Prevention:
a token is bound to its session.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.flow import accounts, publications, standing, views
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan.places import load_stations
from qinglan.store import decisions, loads, review, stations
from qinglan.store.catalogue import Catalogue
from qinglan.store.registry import Registry
from qinglan.web import create_app, site
from qinglan.web.access import doors, principal
from qinglan.web.cache import Answers
from qinglan.web.identify import COOKIE
from qinglan.web.keep import KeepPages, Page
from qinglan.web.site import NOW as OF_NOW
from qinglan.web.site import RUN, Site
from qinglan.web.slots import Pieces, slot

NOW = datetime(2025, 3, 15, 1, 0, 20, tzinfo=UTC)
PROVINCE = Grant("province", "630000")
CHECK = {
    "station": "1480A", "place": "630100", "item": "pm2_5", "serial": "SN-7788", "kind": "span", "checked_at": NOW,
    "reference": 100.0, "reading": 101.0, "unit": "%", "deviation": 1.0, "drift": None, "tolerance": 5.0,
    "choice": "", "passed": True, "remark": "", "attachment": "",
}  # fmt: skip
#: A day for each act, so that no act repeats another.
DAYS = iter(range(13, 1, -1))
OTHERS = ("/api", "/public", "/sensorthings")
SAMPLES = {
    "code": "630100", "station": "1480A", "day": "2025-03-05", "period": "2025-03", "number": "10", "kind": "csv",
}  # fmt: skip


@dataclass
class Office:
    """A console over two weeks of three stations, its clock, and sessions of its people."""

    space: Workspace
    app: FastAPI
    clock: list[datetime]
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def pages(self) -> list[Page]:
        return [p for p in self.app.state.answers._kept.values() if isinstance(p, Page)]

    def enter(self, user: str, name: str, *grants: Grant) -> None:
        accounts.add_user(self.space.registry, user, name, grants, who="test", now=NOW, password="long enough, 1")
        self.tokens[user] = self.session(user)

    def session(self, user: str) -> str:
        return accounts.open_session(
            self.space.registry, user, stage="open", via="password", now=NOW, agent="", address=""
        )

    def as_(self, user: str) -> TestClient:
        cookies = {COOKIE: self.tokens[user]} if user else {}
        return TestClient(self.app, base_url="http://127.0.0.1", follow_redirects=False, cookies=cookies)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    space = init(tmp_path_factory.mktemp("kept") / "home", Settings(simulated=True))
    chosen = [s for s in load_stations() if s.place in ("630100", "630200")][:3]
    simulate_into(space, date(2025, 3, 1), date(2025, 3, 14), stations=chosen)
    run(space, now=NOW)
    clock = [NOW]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        made = Office(space, create_app(space, clock=lambda: clock[0], local=False), clock)
        for user, name in (("wang", "王<b>一"), ("li", "李二"), ("zhang", "张三")):
            grants = [PROVINCE] if user != "zhang" else [Grant("prefecture", "630100")]
            made.enter(user, name, *grants)
        yield made


def token(text: str) -> str:
    return re.findall(r'name="csrf" value="([0-9a-f]{64})"', text)[0]


def test_one_rendering_serves_two_people_each_with_his_own_name_and_token(office: Office) -> None:
    one, two = office.as_("wang"), office.as_("li")
    first = one.get("/data")
    rendered = len(office.pages)
    second = two.get("/data")
    assert len(office.pages) == rendered, "the second reader got what was rendered for the first"
    assert "王&lt;b&gt;一" in first.text
    assert "李二" in second.text
    assert "王" not in second.text
    assert token(first.text) != token(second.text)
    assert "slot-" not in first.text + second.text
    kept = b"".join(b"".join(p.pieces.fixed) for p in office.pages)
    for secret in (token(first.text), token(second.text), "王", "李二", office.tokens["wang"]):
        assert secret.encode() not in kept
    assert first.headers["etag"] != second.headers["etag"]


def test_the_token_of_a_kept_page_opens_the_door_for_its_session_alone(office: Office) -> None:
    one, two = office.as_("wang"), office.as_("li")
    one.get("/publications")
    mine = token(two.get("/publications").text)
    form = {"kind": "daily", "period": "1999-01-01", "csrf": mine}
    assert two.post("/publications", data=form).status_code != 403
    assert one.post("/publications", data=form).status_code == 403


def test_two_sessions_of_one_person_have_two_tokens(office: Office) -> None:
    office.tokens["wang again"] = office.session("wang")
    first, second = (office.as_(u).get("/data") for u in ("wang", "wang again"))
    assert token(first.text) != token(second.text)
    again = office.as_("wang again").get("/data", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 200, "a page with another session's token is not the same page"


def test_other_rights_get_another_page(office: Office) -> None:
    assert 'action="/data/run"' in office.as_("wang").get("/data").text
    assert 'action="/data/run"' not in office.as_("zhang").get("/data").text


def test_a_reader_who_has_the_page_gets_none(office: Office) -> None:
    one = office.as_("wang")
    first = one.get("/plan")
    assert one.get("/plan").headers["etag"] == first.headers["etag"]
    spared = one.get("/plan", headers={"if-none-match": first.headers["etag"]})
    assert (spared.status_code, spared.content) == (304, b"")
    assert spared.headers["cache-control"] == "private, no-cache"
    packed = one.get("/plan", headers={"accept-encoding": "gzip"})
    plain = one.get("/plan", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text


def test_language_and_theme_have_pages_of_their_own(office: Office) -> None:
    one = office.as_("wang")
    chinese = one.get("/plan").text
    one.cookies.set("qinglan_lang", "en")
    english = one.get("/plan").text
    one.cookies.set("qinglan_theme", "dark")
    assert 'lang="zh-CN"' in chinese
    assert 'lang="en"' in english
    assert 'data-theme="dark"' in one.get("/plan").text
    answer = one.get("/plan?lang=zh")
    assert "set-cookie" in answer.headers
    assert "set-cookie" in one.get("/plan?lang=zh").headers, "what sets a cookie is made each time"


def decision(space: Workspace) -> None:
    decisions.decide_flag(
        space.registry, station="1480A", time=datetime(2025, 3, 10, 4, tzinfo=UTC), item="pm2_5", rule="*",
        decision="keep", reason="读数与邻站一致，可信", who="li",
    )  # fmt: skip


def check(space: Workspace) -> None:
    review.record_check(space.registry, CHECK, who="li", at=NOW)


def load(space: Workspace) -> None:
    number = loads.begin_load(space.registry, "hours", {}, who="li", at=NOW)
    loads.finish_load(space.registry, number, "done", {"read": 7654}, who="li", at=NOW)


def station(space: Workspace) -> None:
    row = next(r for r in stations.stations(space.registry) if r["station"] == "1480A")
    stations.register_stations(space.registry, [{**row, "name": "改名站"}], who="li", replace=True, at=NOW)


def publication(space: Workspace) -> None:
    publications.draft(space, "daily", f"2025-03-{next(DAYS):02d}", who="li", at=NOW)


def evidence(space: Workspace) -> None:
    row = {"task_id": "a04-x", "kind": "document", "as_of": date(2025, 3, 1), "reference": "证7", "source": "x"}
    decisions.add_evidence(space.registry, row, who="li", at=NOW)


def new_run(space: Workspace) -> None:
    run(space, now=NOW, as_of=date(2025, 3, next(DAYS)))


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/making/hours/1480A/2025-03-10", decision),
        ("/review/1480A/2025-03-10", decision),
        ("/review/instruments?station=1480A", check),
        ("/data", load),
        ("/disclosure?first=2025-03-01&last=2025-03-14", load),
        ("/data/stations/1480A", station),
        ("/publications", publication),
        ("/plan/tasks/TASK", evidence),
        ("/plan", new_run),
        ("/stations/1480A", new_run),
        ("/public/bulletins", publication),
    ],
)
def test_no_page_outlives_a_change(
    office: Office, path: str, change: Callable[[Workspace], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = next(t["id"] for a in views.current(office.space).verdict["articles"] for t in a["tasks"])
    one, path = office.as_("wang"), path.replace("TASK", task)
    made: list[str] = []
    whole = site.environment().get_template
    monkeypatch.setattr(site.environment(), "get_template", lambda *name: made.append(name[0]) or whole(*name))
    assert one.get(path).status_code == 200
    assert one.get(path).status_code == 200
    before = len(made)
    one.get(path)
    assert len(made) == before, "kept while nothing changes"
    change(office.space)
    after = one.get(path)
    assert after.status_code == 200
    assert len(made) > before, "made anew after the change"


def test_rights_that_were_taken_away_close_kept_pages(office: Office) -> None:
    office.enter("sun", "孙", PROVINCE)
    one = office.as_("sun")
    assert one.get("/data").status_code == 200
    accounts.revoke_role(office.space.registry, "sun", PROVINCE, who="test", now=NOW)
    assert one.get("/data").status_code == 403
    accounts.grant_role(office.space.registry, "sun", PROVINCE, who="test", now=NOW)
    assert one.get("/data").status_code == 200
    accounts.set_locked(office.space.registry, "sun", True, who="test", now=NOW)
    assert one.get("/data").status_code == 401


def test_what_depends_on_the_clock_is_kept_for_a_minute(office: Office) -> None:
    one = office.as_("wang")
    one.get("/today")
    stood = [p.stands for p in office.pages if p.on == OF_NOW]
    assert standing.of_now(office.space, NOW) in stood
    assert standing.of_now(office.space, NOW + timedelta(seconds=50)) not in stood


def test_what_asks_who_somebody_is_is_kept_for_him_alone() -> None:
    app, place = FastAPI(), Place()
    asked: list[str] = []

    @app.get("/me/{what}")
    def me(request: Request, what: str) -> HTMLResponse:
        who = principal(request)
        asked.append(what)
        Site.stands_on(request, RUN)
        return HTMLResponse(f"<p>{who.id if what == 'id' else who.may('data.view')} {slot('name')}</p>")

    wrapped = Named(KeepPages(app, place, Answers(1)))
    say = {
        (who, what): TestClient(wrapped, headers={"x-who": who}).get(f"/me/{what}").text
        for what in ("id", "rights")
        for who in ("wang", "li", "wang")
    }
    assert say["wang", "id"] == "<p>wang 王</p>"
    assert say["li", "id"] == "<p>li 李</p>"
    assert say["li", "rights"] == "<p>True 李</p>"
    assert asked == ["id", "id", "rights"], "rendered once for each who is asked for, else once for all"


class Place:
    """A site whose workspace is no workspace but always stands."""

    workspace = None

    def clock(self) -> datetime:
        return NOW


class Named:
    """Says who asks by a header."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            name = dict(scope["headers"])[b"x-who"].decode()
            shown = {"wang": "王", "li": "李"}[name]
            scope["state"] = {"principal": Principal(name, shown, (PROVINCE,), "session")}
        await self.app(scope, receive, send)


@pytest.fixture(autouse=True)
def standing_place(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = standing.of_run
    monkeypatch.setattr(standing, "of_run", lambda space: "always" if space is None else whole(space))


async def _herd(wrapped: Any, count: int) -> list[httpx.Response]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url="http://x") as client:
        return await asyncio.gather(*(client.get("/slow", headers={"x-who": "wang"}) for _ in range(count)))


def test_who_comes_while_a_page_is_made_waits_for_it() -> None:
    app, made = FastAPI(), []

    @app.get("/slow")
    async def slow(request: Request) -> HTMLResponse:
        made.append(1)
        Site.stands_on(request, RUN)
        await asyncio.sleep(0.05)
        return HTMLResponse("done")

    answers = asyncio.run(_herd(Named(KeepPages(app, Place(), Answers(1))), 20))
    assert {a.text for a in answers} == {"done"}
    assert len(made) == 1


def test_slots_are_filled_and_nothing_else_is_touched() -> None:
    pieces = Pieces.of(f"a{slot('name')}b slot-name-00 {slot('token')}{slot('name')}".encode())
    filled = pieces.filled({"name": b"N", "token": b"T"})
    assert filled == b"aNb slot-name-00 TN"
    assert Pieces.of(b"plain").filled({}) == b"plain"


def test_memory_is_bounded_in_bytes() -> None:
    answers = Answers(1)
    for k in range(200):
        answers.put(str(k), Page(RUN, "x", (), Pieces.of(bytes([k % 256]) * 40_000), None))
    assert answers.used <= 2**20
    assert 0 < len(answers) < 200
    assert answers.get("199") is not None
    assert answers.get("0") is None


def test_what_stands_on_the_run_reads_nothing_else(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is kept for the run must be a function of the run: neither registry nor lake are asked."""
    read: list[str] = []
    whole = {Registry: Registry.read, Catalogue: Catalogue.live}
    monkeypatch.setattr(Registry, "read", lambda self: read.append("registry") or whole[Registry](self))
    monkeypatch.setattr(
        Catalogue, "live", lambda self, *name: read.append(f"lake {name}") or whole[Catalogue](self, *name)
    )
    monkeypatch.setattr(standing, "of_run", lambda space: "run")
    officer = Principal("li", "李二", (Grant("administrator"), PROVINCE), "session")
    app = create_app(office.space, clock=lambda: NOW, identify=lambda request: officer)
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    found = views.current(office.space)
    monkeypatch.setattr(site.views, "current", lambda space: found)
    faults, tried = [], 0
    for door in doors(app):
        address = re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: SAMPLES.get(m[1], "{}"), door.path)
        if (
            "GET" not in door.methods
            or "{}" in address
            or address.startswith(("/api", "/public", "/sensorthings"))
        ):
            continue
        read.clear()
        app.state.answers._kept.clear()
        client.get(address)
        kept = [p for p in app.state.answers._kept.values() if isinstance(p, Page)]
        tried += bool(kept and kept[0].on == RUN)
        if kept and kept[0].on == RUN and read:
            faults.append((address, sorted(set(read))))
    assert tried > 25
    assert faults == []
