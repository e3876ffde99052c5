"""The life of a warning. Sources: article 27 of the plan; fact sheet 6.1 (levels, ranks, notice); issue 5."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from qinglan.access import Forbidden, Grant, Principal
from qinglan.core.clock import midnight
from qinglan.core.errors import ContentError, LayoutError, NotFound, UnknownName, UsageError
from qinglan.flow import ledgers
from qinglan.flow import warnings as flow
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.sim.enterprises import credit_code
from qinglan.store import warnings as store
from qinglan.store.registry import events

NOW = datetime(2025, 12, 1, 8, tzinfo=UTC)
PLACE = "630100"


def person(name: str, *roles: str, place: str = PLACE, sources: tuple[str, ...] = ()) -> Principal:
    given = tuple(
        Grant(role, sources=sources) if role == "enterprise" else Grant(role, place=place) for role in roles
    )
    return Principal(name, name, given, via="session")


CLERK, CHIEF = person("王", "prefecture"), person("李", "prefecture")
DEPUTY, LEADER = person("张", "deputy"), person("赵", "leader")
COUNTY = person("钱", "county", place="630106")
CEMENT, GLASS, HEAT = (credit_code("630106", n) for n in (1, 2, 3))
WORKS, OTHERS = person("厂长", "enterprise", sources=(CEMENT,)), person("外人", "enterprise", sources=(GLASS,))


def row(uscc: str, number: str, **cells: Any) -> dict[str, Any]:
    return {
        **load_ledger("emergency-list").good[0], "uscc": uscc, "enterprise": f"试{number}", "county": "630106",
        "line_no": number, "line": "1号线", "sector": "cement", "grade": "C", "guaranteed": False, "lead_hours": 8,
        "pm_day": 1000, "so2_day": 200, "nox_day": 4000, "voc_day": 0, "status": "listed", "year": 2025,
        "yellow": "load", "yellow_cut": 20, "orange": "stop_lines", "orange_cut": 50, "red": "stop",
        "red_cut": 100,
        **cells,
    }  # fmt: skip


def fill(space: Workspace) -> None:
    """Two lines of a cement works, one that does nothing at yellow, one that the people need, one elsewhere."""
    rows = [
        row(CEMENT, "L-001"), row(CEMENT, "L-002", pm_day=500), row(HEAT, "L-004", guaranteed=True),
        row(GLASS, "L-003", yellow="none", yellow_cut=0, grade="A"),
        row(credit_code("632801", 9), "L-9", county="632801"),
    ]  # fmt: skip
    text = [{k: str(v).lower() if isinstance(v, bool) else None if v is None else str(v) for k, v in r.items()}
            for r in rows]  # fmt: skip
    data = pl.DataFrame(text, infer_schema_length=None).write_csv().encode()
    me = ledgers.local_office(space, "test")
    report = ledgers.import_workbook(space, "emergency-list", data, name="x.csv", me=me, today=NOW.date(), now=NOW)
    assert report.aside == 0, report.faults.to_dicts()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the list; each test warns another place or closes what it opened."""
    made = init(tmp_path_factory.mktemp("warnings") / "home", Settings(simulated=True))
    fill(made)
    return made


@pytest.fixture
def workspace(filled: Workspace, request: pytest.FixtureRequest) -> Any:
    yield filled
    for warning in store.listed(filled.registry):
        if warning["state"] in flow.OPEN:
            made = store.Made("drop", "dropped", warning["level"], "tests", NOW)
            store.move(filled.registry, warning["id"], lambda history, made=made: made)


def begin(workspace: Workspace, level: str = "yellow", **more: Any) -> str:
    return flow.draft(workspace, PLACE, level, reason="预报连续两天重度", me=CLERK, at=NOW, **more)


def go(workspace: Workspace, warning: str, *steps: tuple[Any, ...], at: datetime = NOW) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for me, name, *rest in steps:
        more = rest[0] if rest else {}
        found = flow.act(workspace, warning, name, me=me, at=at, **more)
    return found


TO_ISSUE = ((CLERK, "consult"), (COUNTY, "opinion", {"reason": "同意"}), (CLERK, "submit"), (DEPUTY, "approve"),
            (CHIEF, "issue"))  # fmt: skip


def test_a_warning_goes_from_draft_to_review(workspace: Workspace) -> None:
    warning = begin(workspace, starts_at=NOW + timedelta(hours=30))
    assert warning == "630100-20251201-1"
    issued = go(workspace, warning, *TO_ISSUE)
    assert (issued["state"], issued["level"]) == ("in_force", "yellow")
    raised = go(workspace, warning, (CLERK, "propose", {"level": "red", "reason": "加重"}), (LEADER, "change"))
    assert (raised["state"], raised["level"]) == ("in_force", "red")
    lowered = go(workspace, warning, (CLERK, "propose", {"level": "orange", "reason": "缓和"}), (LEADER, "change"))
    assert lowered["level"] == "orange"
    later = NOW + timedelta(hours=90)
    lifted = go(
        workspace, warning, (CLERK, "propose", {"level": "none", "reason": "转好"}), (DEPUTY, "change"), at=later
    )
    assert (lifted["state"], lifted["level"]) == ("lifted", "orange")
    done = go(workspace, warning, (CLERK, "review", {"reason": "评估完成"}), at=later)
    assert done["state"] == "reviewed"
    told = [e["what"] for e in events(workspace.registry) if e["subject"] == warning]
    assert told == [f"warning.{m['move']}" for m in store.history(workspace.registry, warning)]
    kept = flow.kept_evidence(workspace, done["content"])
    assert kept["hours"] == {"yellow": 0.0, "red": 0.0, "orange": 90.0}, (
        "the level that was not yet to start has none"
    )


def test_evidence_is_kept_as_it_was_read(workspace: Workspace) -> None:
    told = flow.kept_evidence(workspace, flow.one(workspace, begin(workspace))["content"])
    assert told["rule"]["edition"] == "环大气〔2024〕6号"
    assert {a["key"] for a in told["against"]} >= {"no_observation", "no_forecast"}
    assert [c["clause"] for c in told["clauses"] if c["level"] == "red"] == [">200/72h + >300/24h"]


def test_the_right_rank_and_another_person_approve(workspace: Workspace) -> None:
    warning = begin(workspace, "red")
    go(workspace, warning, (CLERK, "submit"))
    with pytest.raises(Forbidden, match="approve_red"):
        go(workspace, warning, (DEPUTY, "approve"))
    both = person("王", "prefecture", "leader")
    with pytest.raises(UsageError, match="may not approve it: 王 did draft"):
        go(workspace, warning, (both, "approve"))
    go(
        workspace,
        warning,
        (LEADER, "return", {"reason": "级别偏高"}),
        (CLERK, "redraft", {"level": "yellow", "reason": "改级"}),
    )
    assert go(workspace, warning, (CLERK, "submit"), (DEPUTY, "approve"), (CHIEF, "issue"))["level"] == "yellow"
    go(workspace, warning, (CHIEF, "propose", {"level": "red", "reason": "加重"}))
    with pytest.raises(Forbidden):
        go(workspace, warning, (DEPUTY, "change"))
    with pytest.raises(UsageError, match="did propose"):
        go(workspace, warning, (person("李", "leader"), "change"))
    kept = go(workspace, warning, (LEADER, "decline", {"reason": "再看一天"}))
    assert (kept["state"], kept["level"], kept["goal"]) == ("in_force", "yellow", "")


def test_illegal_moves_are_refused(workspace: Workspace) -> None:
    warning = begin(workspace)
    refused: list[tuple[Principal, str, dict[str, str], type[Exception], str]] = [
        (CHIEF, "issue", {}, UsageError, "is draft: issue is not possible"),
        (DEPUTY, "approve", {}, UsageError, "Possible: redraft, consult, submit, drop"),
        (CLERK, "drop", {}, UsageError, "needs a reason"),
        (CLERK, "redraft", {"reason": "x", "level": "blue"}, UnknownName, "yellow, orange, red"),
        (CLERK, "leap", {}, UnknownName, "consult"),
        (person("孙", "prefecture", place="630200"), "submit", {}, Forbidden, "630100"),
        (COUNTY, "submit", {}, Forbidden, "warning.draft"),
    ]
    for me, name, more, error, text in refused:
        with pytest.raises(error, match=text):
            go(workspace, warning, (me, name, more))
    with pytest.raises(UsageError, match="has a warning that is draft"):
        begin(workspace)
    with pytest.raises(UsageError, match="needs its reason"):
        flow.draft(workspace, "630200", "yellow", reason=" ", me=person("周", "province", place="630000"), at=NOW)
    with pytest.raises(UnknownName):
        flow.draft(workspace, "110000", "yellow", reason="x", me=person("周", "province", place="110000"), at=NOW)
    with pytest.raises(NotFound):
        flow.act(workspace, "630100-1", "submit", me=CLERK, at=NOW)
    issued = go(workspace, warning, *TO_ISSUE)
    with pytest.raises(UsageError, match="in force already"):
        go(workspace, issued["id"], (CLERK, "propose", {"level": "yellow", "reason": "x"}))


def test_two_people_cannot_both_move_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state that was read is asked again inside the transaction."""
    warning = begin(workspace)
    go(workspace, warning, (CLERK, "submit"))
    seen = flow.one(workspace, warning)
    go(workspace, warning, (DEPUTY, "approve"))
    monkeypatch.setattr("qinglan.flow.warnings.life.one", lambda workspace, name: seen)
    with pytest.raises(UsageError, match="is approved: approve is not possible"):
        flow.act(workspace, warning, "approve", me=LEADER, at=NOW)


def test_orders_go_to_those_who_cut_and_change_with_the_level(workspace: Workspace) -> None:
    warning = begin(workspace)
    go(workspace, warning, *TO_ISSUE)
    first = flow.orders_of(workspace, warning, NOW)
    assert [(o["uscc"], len(o["lines"])) for o in first] == [(CEMENT, 2)], (
        "not the A line, not heat, not elsewhere"
    )
    assert first[0]["promised"] == pytest.approx({"pm": 0.3, "so2": 0.08, "nox": 1.6, "voc": 0.0}), "t/d at 20 %"
    go(workspace, warning, (CLERK, "propose", {"level": "red", "reason": "加重"}), (LEADER, "change"))
    second = flow.orders_of(workspace, warning, NOW)
    assert sorted(o["uscc"] for o in second) == sorted([CEMENT, GLASS])
    assert flow.summed(second)["promised"]["pm"] == pytest.approx(2.5)


def test_orders_are_answered_and_verified(workspace: Workspace) -> None:
    warning = begin(workspace)
    go(workspace, warning, *TO_ISSUE)
    order = flow.order_of(workspace, warning, CEMENT)
    with pytest.raises(Forbidden):
        flow.answer(workspace, order, "acknowledged", me=OTHERS, at=NOW)
    with pytest.raises(UsageError, match="needs its reason"):
        flow.answer(workspace, order, "refused", me=WORKS, at=NOW)
    flow.answer(workspace, order, "refused", note="合同工期", me=WORKS, at=NOW)
    after = NOW + timedelta(hours=3)
    assert [c["why"] for c in flow.cases(flow.orders_of(workspace, warning, after))] == ["refused"]
    flow.answer(workspace, order, "acknowledged", me=WORKS, at=after)
    flow.verify(workspace, order, "L-001", "electricity", flow.cut_from_use(1000, 600), me=COUNTY, at=after)
    flow.verify(workspace, order, "L-002", "inspection", 0, note="仍在生产", me=COUNTY, at=after)
    found = flow.orders_of(workspace, warning, after)[0]
    assert found["state"] == "acknowledged"
    assert {x["line_no"]: (x["done"], x["kept"]) for x in found["lines"]} == {
        "L-001": (40.0, True),
        "L-002": (0.0, False),
    }
    assert found["found"]["pm"] == pytest.approx(0.4)
    assert [(c["why"], c["note"]) for c in flow.cases([found])] == [("broken", "L-002")]
    for bad in (-1.0, 101.0, float("nan")):
        with pytest.raises(UsageError):
            flow.verify(workspace, order, "L-001", "stack", bad, me=COUNTY, at=after)
    with pytest.raises(UnknownName, match="L-002"):
        flow.verify(workspace, order, "L-7", "stack", 5, me=COUNTY, at=after)
    with pytest.raises(Forbidden):
        flow.verify(workspace, order, "L-001", "stack", 5, me=WORKS, at=after)
    assert [o["live"] for o in flow.orders_to(workspace, WORKS, after)][:1] == [True]
    assert flow.orders_to(workspace, COUNTY, after) == []


def test_who_does_not_answer_in_time_is_a_case(workspace: Workspace) -> None:
    warning = begin(workspace)
    go(workspace, warning, *TO_ISSUE)
    edge = NOW + timedelta(hours=2)
    assert flow.orders_of(workspace, warning, edge)[0]["state"] == "sent", "exactly at the limit is in time"
    late = flow.orders_of(workspace, warning, edge + timedelta(minutes=1))
    assert [c["why"] for c in flow.cases(late)] == ["overdue"]
    flow.answer(workspace, late[0]["id"], "acknowledged", me=WORKS, at=edge + timedelta(minutes=5))
    assert [c["why"] for c in flow.cases(flow.orders_of(workspace, warning, edge))] == ["late"]


def test_notices_are_frozen_and_say_what_holds(workspace: Workspace) -> None:
    warning = begin(workspace, "orange", starts_at=NOW + timedelta(hours=30))
    go(workspace, warning, *TO_ISSUE)
    move = next(m["id"] for m in store.history(workspace.registry, warning) if m["move"] == "issue")
    message, name = flow.export(workspace, warning, move, "zh", "txt")
    assert name == f"warning-{warning}-{move}-zh.txt"
    assert "自2025年12月2日22时起启动西宁市重污染天气橙色预警" in message.decode()
    document, _ = flow.export(workspace, warning, move, "zh", "docx")
    text = zipfile.ZipFile(io.BytesIO(document)).read("word/document.xml").decode()
    assert "2家企业3条生产线执行橙色预警措施" in text
    assert "1.25吨" in text, "half of 2.5 t of particulates"
    assert "raised" not in flow.export(workspace, warning, move, "en", "html")[0].decode()
    with pytest.raises(UnknownName):
        flow.export(workspace, warning, move, "zh", "pdf")
    go(workspace, warning, (CLERK, "propose", {"level": "red", "reason": "加重"}), (LEADER, "change"))
    change = store.history(workspace.registry, warning)[-1]["id"]
    said = flow.export(workspace, warning, change, "en", "txt")[0].decode()
    assert "raised from Orange to Red" in said
    assert flow.export(workspace, warning, move, "zh", "docx")[0] == document


def test_the_clock_watches_every_limit(workspace: Workspace) -> None:
    warning = begin(workspace, starts_at=NOW + timedelta(hours=20))
    go(workspace, warning, (CLERK, "consult"))
    go(workspace, warning, (COUNTY, "opinion", {"reason": "同意"}), at=NOW + timedelta(hours=3))

    def clock(hours: float) -> dict[str, Any]:
        history = store.history(workspace.registry, warning)
        return flow.clock(flow.one(workspace, warning), history, NOW + timedelta(hours=hours))

    assert (clock(4)["due"], clock(4)["late"], clock(4.1)["late"]) == (NOW + timedelta(hours=4), False, True)
    go(workspace, warning, (CLERK, "submit"), (DEPUTY, "approve"), (CHIEF, "issue"))
    found = clock(26)
    assert (found["due"], found["notice"], found["short"], found["running"]) == (None, 20.0, True, 6.0)


def series(*days: float, first: date = date(2025, 12, 1)) -> pl.DataFrame:
    rows = [{"start": midnight(first + timedelta(days=k)).astimezone(UTC), "hours": 24, "aqi": v,
             "observed": False, "dust": False, "ozone": False} for k, v in enumerate(days)]  # fmt: skip
    return pl.DataFrame(rows)


def test_partners_are_asked_together(workspace: Workspace) -> None:
    given = {"630100": series(80, 180, 180, 90), "630200": series(80, 90, 90, 90)}
    found = flow.asked(workspace, NOW, given)
    assert {p: (a.act, a.joint, a.by) for p, a in found.items()} == {
        "630100": ("issue", "yellow", ""), "630200": ("issue", "yellow", "630100"),
    }  # fmt: skip
    assert set(flow.jurisdictions(workspace)[0]) >= {"630100", "632800"}, "every prefecture warns"
    assert "partner_only" in {a["key"] for a in flow.evidence(found["630200"], workspace, NOW)["against"]}


def test_an_office_sets_its_own_levels(workspace: Workspace) -> None:
    file = workspace.home / "jurisdictions.yaml"
    file.write_text(
        'jurisdictions:\n  "630100": {clauses: {yellow: [[{above: 130, hours: 24}]]}, options: {partner: own}}\n'
        '  "630200": {options: {form: form_2018, partner: own}}\n',
        encoding="utf-8",
    )
    try:
        given = {"630100": series(80, 131, 90), "630200": series(80, 160, 160, 90)}
        found = flow.asked(workspace, NOW, given)
        assert {p: a.joint for p, a in found.items()} == {"630100": "yellow", "630200": "none"}
        file.write_text('jurisdictions: {"630100": {options: {basis: weekly}, clauses: {blue: [[{above: 1}]]}}}')
        with pytest.raises(ContentError, match=r"630100\.options.*\n?.*clauses\.blue"):
            flow.asked(workspace, NOW, given)
    finally:
        file.unlink()


def test_a_series_is_read_from_a_file(tmp_path: Path) -> None:
    text = "start,aqi,observed,dust\n2025-12-01 18:00,210,是,\n2025-12-01 19:00,,no,yes\n"
    file = tmp_path / "x.csv"
    file.write_bytes(text.encode())
    rows = flow.read_series(file).to_dicts()
    file.write_bytes(text.encode("gb18030"))
    assert flow.read_series(file).to_dicts() == rows, "as Excel writes it here"
    assert (rows[0]["start"], rows[0]["aqi"], rows[0]["observed"]) == (
        datetime(2025, 12, 1, 10, tzinfo=UTC),
        210,
        True,
    )
    assert (rows[1]["aqi"], rows[1]["dust"], rows[1]["hours"]) == (None, True, 1)
    for bad, said in (
        ("start,aqi\n2025-13-01,5\n", "line 2: start is '2025-13-01'"),
        ("start,aqi\n2025-12-01 18:30,5\n", "full hour"),
        ("start,aqi\n2025-12-01 18:00,501\n", "aqi is '501'"), ("start\n2025-12-01\n", "lacks the column aqi"),
        ("start,aqi,hours\n2025-12-01 18:00,5,12\n", "1 or 24"),
        ("start,aqi,dust\n2025-12-01 18:00,5,maybe\n", "yes or no"),
    ):  # fmt: skip
        file.write_bytes(bad.encode())
        with pytest.raises(LayoutError, match=said):
            flow.read_series(file)
    for raw, said in (
        (b"", "is empty"),
        (b"start,aqi\n\xff\x81\x20,5\n", "neither UTF-8"),
        (b"PK\x00\x01", "NUL"),
    ):
        file.write_bytes(raw)
        with pytest.raises(LayoutError, match=said):
            flow.read_series(file)
    with pytest.raises(LayoutError, match="cannot be opened"):
        flow.read_series(tmp_path / "none.csv")


def test_orders_are_sent_once_and_failures_are_tried_again(workspace: Workspace) -> None:
    """A mail server and a hook of this machine; the hook fails at first."""
    file = workspace.home / "channels.yaml"
    warning = begin(workspace)
    go(workspace, warning, *TO_ISSUE)
    assert flow.deliver(workspace, NOW) == {"sent": 0, "failed": 0, "without_address": 0}, "no channel is set"
    taken: list[tuple[str, bytes, str]] = []
    with serve_hook([503, 200], taken) as url:
        file.write_text(f"webhook: {{url: {url}}}\nemail: {{host: 127.0.0.1, port: 9, sender: a@b.cn}}\n")
        with pytest.raises(ContentError, match="addresses is missing"):
            flow.deliver(workspace, NOW)
        file.write_text(f"webhook: {{url: {url}}}\n")
        try:
            assert flow.deliver(workspace, NOW)["failed"] == 1
            assert flow.deliver(workspace, NOW)["sent"] == 1
            assert flow.deliver(workspace, NOW)["sent"] == 0
            file.write_text(
                f"email: {{host: 127.0.0.1, port: 9, sender: a@b.cn}}\naddresses: {{{CEMENT}: x@y.cn}}\n"
            )
            tries = [flow.deliver(workspace, NOW)["failed"] for _ in range(7)]
        finally:
            file.unlink()
    assert tries == [1, 1, 1, 1, 1, 0, 0], "a mail server that is not there is asked five times"
    assert [path for path, *_ in taken] == ["/hook", "/hook"]
    assert CEMENT in taken[1][1].decode()
    assert "减排20 %" in taken[1][1].decode()
    order = flow.orders_of(workspace, warning, NOW)[0]
    assert order["state"] == "sent"
    assert [c["why"] for c in flow.cases([order])] == [], "an attempt is no answer"


@contextmanager
def serve_hook(codes: list[int], taken: list[tuple[str, bytes, str]]) -> Iterator[str]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.path, body, self.headers.get("x-qinglan-signature", "")))
            self.send_response(codes.pop(0))
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_a_mail_says_what_to_do(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = begin(workspace)
    go(workspace, warning, *TO_ISSUE)
    sent: list[Any] = []

    class Server:
        def __init__(self, *where: Any, **more: Any) -> None:
            sent.append(where)

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def starttls(self) -> None:
            sent.append("tls")

        def login(self, user: str, password: str) -> None:
            sent.append((user, password))

        def send_message(self, mail: Any) -> None:
            sent.append(mail)

    monkeypatch.setattr("smtplib.SMTP", Server)
    monkeypatch.setenv("QINGLAN_SMTP_PASSWORD", "s3cret")
    file = workspace.home / "channels.yaml"
    file.write_text(f"email: {{host: mail.cn, sender: a@b.cn, user: u}}\naddresses: {{{CEMENT}: x@y.cn}}\n")
    try:
        assert flow.deliver(workspace, NOW)["sent"] == 1
    finally:
        file.unlink()
    assert sent[:3] == [("mail.cn", 587), "tls", ("u", "s3cret")]
    assert (sent[3]["To"], "L-001" in sent[3].get_content()) == ("x@y.cn", True)


def test_the_forecast_goes_on_where_the_observation_ends(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of the newest forecast until now; its upper quartile, and dust left out, as the options say."""
    asked_for: list[Any] = []

    def latest(space: Workspace, places: list[str], as_of: datetime) -> Any:
        asked_for.append((places, as_of))
        days = [NOW.date() + timedelta(days=k) for k in range(1, 4)]
        return SimpleNamespace(aqi=pl.DataFrame({
            "place": places * 3, "made_at": [NOW - timedelta(hours=1)] * 3, "day": days, "q50": [160.0, 170, 90],
            "q75": [201.0, 202, 140], "dust": [False, False, True], "ozone": [False] * 3,
        }))  # fmt: skip

    monkeypatch.setattr("qinglan.flow.forecasts.latest", latest)
    found = flow.asked(workspace, NOW)[PLACE]
    assert asked_for[0][1] == NOW
    assert (found.act, found.joint, found.inputs["forecast"]) == ("issue", "yellow", 3)
    assert found.proposal.outcome.left_out == 24
    told = flow.evidence(found, workspace, NOW)
    assert {a["key"] for a in told["against"]} == {"left_out", "forecast_only", "exactly", "no_observation"}
    file = workspace.home / "jurisdictions.yaml"
    file.write_text('jurisdictions: {"630100": {options: {forecast: upper}}}\n')
    try:
        assert flow.asked(workspace, NOW)[PLACE].joint == "orange"
    finally:
        file.unlink()


def test_what_an_office_issued_stands_before_the_machine(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine says 90 for three days; the office issued 190 to 211 for two: above 200 in the middle."""
    days = [NOW.date() + timedelta(days=k) for k in range(1, 4)]
    machine = pl.DataFrame({
        "place": [PLACE] * 3, "made_at": [NOW] * 3, "day": days, "q50": [90.0] * 3, "q75": [110.0] * 3,
        "dust": [False] * 3, "ozone": [False] * 3,
    })  # fmt: skip
    cell = {"low": 190, "high": 211, "middle": 200.5}
    monkeypatch.setattr("qinglan.flow.forecasts.latest", lambda *_a, **_k: SimpleNamespace(aqi=machine))
    monkeypatch.setattr("qinglan.flow.forecasts.desk.issued", lambda *_: {(PLACE, day): cell for day in days[:2]})
    found = flow.asked(workspace, NOW)[PLACE]
    assert found.series["aqi"].to_list()[-3:] == [201, 201, 90]
    assert (found.act, found.inputs["office"]) == ("issue", 2)
    file = workspace.home / "jurisdictions.yaml"
    file.write_text('jurisdictions: {"630100": {options: {forecast_by: machine}}}\n')
    try:
        found = flow.asked(workspace, NOW)[PLACE]
        assert (found.act, found.inputs["office"]) != ("issue", 2)
        assert found.series["aqi"].to_list()[-3:] == [90, 90, 90]
    finally:
        file.unlink()


def test_the_effect_is_held_against_the_forecast_made_before(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days observed at 80 and 90 against medians of 100 and 120, all errors together: -25, from -55 to 5."""
    quantiles = {
        "q05": [70.0, 90],
        "q25": [90.0, 110],
        "q50": [100.0, 120],
        "q75": [110.0, 130],
        "q95": [130.0, 150],
    }
    days = [date(2025, 12, 2), date(2025, 12, 3)]
    warning = begin(workspace)
    go(workspace, warning, *TO_ISSUE)

    def latest(space: Workspace, places: list[str], as_of: datetime) -> Any:
        assert as_of == NOW
        return SimpleNamespace(values=pl.DataFrame(
            {"place": places * 2, "item": ["pm2_5"] * 2, "day": days, "made_at": [NOW] * 2, **quantiles}
        ))  # fmt: skip

    monkeypatch.setattr("qinglan.flow.forecasts.latest", latest)
    monkeypatch.setattr("qinglan.flow.warnings.reviewing.QUANTILES", tuple(quantiles))
    air = [{"day": d, "pm2_5": v, "in_force": True} for d, v in zip(days, (80.0, 90.0), strict=True)]
    found = flow.effect_of(workspace, PLACE, store.history(workspace.registry, warning), air)
    assert found is not None
    assert [found[k] for k in ("observed", "without", "change", "low", "high")] == pytest.approx(
        [85, 110, -25, -55, 5]
    )
    assert (found["sure"], found["hours"]) == (False, 2)
    assert flow.effect_of(workspace, PLACE, store.history(workspace.registry, warning), []) is None


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("jurisdictions.yaml", "jurisdictions: {}  # 西宁".encode("gb18030"), "is not UTF-8"),
        ("jurisdictions.yaml", b"[630100]", "must hold `jurisdictions`"),
        ("jurisdictions.yaml", b"jurisdictions: [630100]", "names places"),
        ("jurisdictions.yaml", b'jurisdictions: {"630100": {clauses: [200]}}', "must name levels"),
        ("jurisdictions.yaml", b"jurisdictions: {", "not valid YAML"),
        ("channels.yaml", "webhook: {url: 西宁}".encode("gb18030"), "is not UTF-8"),
        ("channels.yaml", b"webhook: https://example.org", "each with its keys"),
        ("channels.yaml", b"fax: {number: 1}", "fax is not known"),
    ],
)
def test_a_faulty_settings_file_is_named_with_what_is_wrong(
    workspace: Workspace, name: str, raw: bytes, said: str
) -> None:
    file = workspace.home / name
    file.write_bytes(raw)
    try:
        with pytest.raises(ContentError, match=said):
            flow.asked(workspace, NOW, {}) if name.startswith("j") else flow.deliver(workspace, NOW)
        file.write_bytes(b"")
        flow.asked(workspace, NOW, {})
        assert flow.deliver(workspace, NOW)["sent"] == 0, "an empty file sets nothing"
    finally:
        file.unlink()
