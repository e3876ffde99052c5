"""Review: the queue of flags, a station's day with its sign-offs, months, instruments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import puremagic
from fastapi import APIRouter, Depends, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.air import qc
from qinglan.core.clock import CST, Period, day_and_hour, today
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import review as acts
from qinglan.flow import views
from qinglan.flow.views import review as view
from qinglan.web import charts
from qinglan.web.access import needs, principal
from qinglan.web.site import CALM, NOW, Site, site, words_of

router = APIRouter(prefix="/review")
Here = Annotated[Site, Depends(site)]
Text = Annotated[str, Form(max_length=2000)]
#: What a dialog is to mark on the page behind it.
_MARK = r"^(decide-[0-9]{1,4})?$"
Mark = Annotated[str, Query(pattern=_MARK)]
FormMark = Annotated[str, Form(pattern=_MARK)]
_PAGE = 25
_UPLOAD_MAX = 10 * 2**20  # bytes
_UPLOADS = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}


def _result(request: Request, site: Site) -> views.Result | None:
    """The run, if there is one: review does not wait for it. What is shown is of now."""
    site.stands_on(request, NOW)
    try:
        return views.current(site.workspace)
    except views.NoRun:
        return None


def _workspace(site: Site) -> Any:
    return site.workspace


def _done(request: Request) -> str:
    """What was just done, for the notice above the page."""
    return request.query_params.get("done", "")


def _day_of(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as cause:
        raise UsageError(f"day {text!r} cannot be read.", remedy="Write YYYY-MM-DD.") from cause


def _moment(text: str, name: str) -> datetime:
    """An instant of an address or a form; without a zone it is official wall time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as cause:
        raise UsageError(f"{name} {text!r} cannot be read.", remedy="Write YYYY-MM-DDTHH:MM.") from cause
    return (found if found.tzinfo else found.replace(tzinfo=CST)).astimezone(UTC)


def _number(text: str, name: str) -> float:
    try:
        found = float(text)
    except ValueError as cause:
        raise UsageError(f"{name} {text!r} is no number.", remedy="Write digits with a point.") from cause
    if not abs(found) < 1e9:
        raise UsageError(f"{name} {text!r} is no number.", remedy="Write digits with a point.")
    return found


def _station(site: Site, code: str) -> Mapping[str, Any]:
    found = next((r for r in view.register(_workspace(site)) if r["station"] == code), None)
    if found is None:
        raise UnknownName("station", code)
    return found


def _level(me: Principal, place: str) -> str:
    """At which level somebody decides on flags."""
    return "province" if me.may("review.province", place) else "prefecture"


@router.get("", dependencies=[needs("review.view")])
def queue(
    request: Request, site: Here, place: str = "", station: str = "", item: str = "", rule: str = "",
    status: str = "open", day: str = "", after: str = "",
) -> Response:  # fmt: skip
    """The queue of automatic flags, in runs of consecutive hours."""
    workspace = _workspace(site)
    if status not in ("", *view.STATUSES):
        raise UnknownName("state of the queue", status, view.STATUSES)
    asked = view.Asked(place, station, item, rule, status, _day_of(day))
    found = view.queue(workspace, asked, after=after, limit=_PAGE)
    register = view.register(workspace)
    places = sorted({r["place"][:4] + "00" for r in register})
    return site.page(
        request, "review_queue.html", _result(request, site), found=found, asked=asked, after=after,
        done=_done(request), statuses=view.STATUSES,
        register={r["station"]: r for r in register}, rules=(*qc.RULES, acts.CHECK_RULE),
        places=[(code, workspace.named(code)) for code in places], day=day,
    )  # fmt: skip


@router.get("/plot.json", dependencies=[needs("review.view")])
def plot(request: Request, site: Here, station: str, item: str, first: str, last: str) -> Response:
    """The run of an item with the hours around it, the neighbours' median and the other items."""
    _station(site, station)
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    begin, end = _moment(first, "first"), _moment(last, "last")
    if not timedelta() <= end - begin <= timedelta(days=92):
        raise UsageError("first and last are not up to 92 days apart.", remedy="Ask for a shorter run.")
    t, found = words_of(request), view.plot(_workspace(site), station, item, begin, end)
    # Official wall time is drawn as if it were UTC, so that a browser in any zone shows the same clock.
    at = [int((x.timestamp() + 8 * 3600) * 1000) for x in found["times"]]

    def points(values: Any) -> list[Any]:
        return [[x, v] for x, v in zip(at, values, strict=True)]

    series = {t.item(item): points(found["station"][item])}
    if found["others"]:
        series[t("review.around")] = points(found["around"])
    series |= {t.item(i): points(found["station"][i]) for i in HOURLY_ITEMS if i != item}
    option = charts.lines(series, unit=t.unit(item), zoom=True)
    option["legend"]["selected"] = {t.item(i): i == item for i in HOURLY_ITEMS}
    marked = [int((x.timestamp() + 8 * 3600) * 1000) for x in (begin - timedelta(hours=1), end)]
    option["series"][0]["markArea"] = {
        "silent": True, "itemStyle": {"color": "var(--bad)", "opacity": 0.14},
        "data": [[{"xAxis": marked[0], "name": t("review.flagged")}, {"xAxis": marked[1]}]],
    }  # fmt: skip
    return charts.answer(option, {"Cache-Control": CALM, "Vary": "Cookie"})


@router.get("/months", dependencies=[needs("review.view")])
def months(request: Request, site: Here, month: str = "") -> Response:
    """What is final and what is not: one month, all places."""
    return _months(request, site, month)


def _months(request: Request, site: Site, month: str, refused: Any = None) -> Response:
    workspace = _workspace(site)
    if not month:
        result = _result(request, site)
        last = date.fromisoformat(result.verdict["as_of"]) if result else today(site.clock())
        month = f"{last:%Y-%m}"
    period = Period.parse(month)
    if period.label != month or len(month) != 7:
        raise UsageError(f"{month!r} is not a month.", remedy="Write YYYY-MM.")
    before = period.start - timedelta(days=1)
    return site.page(
        request, "review_months.html", _result(request, site), status=422 if refused else 200, refused=refused,
        done=_done(request), month=month, rows=view.months(workspace, month),
        history=view.locks(workspace, month=month),
        before=f"{before:%Y-%m}", after=f"{period.end + timedelta(days=1):%Y-%m}", levels=acts.levels(),
        over=period.end < today(site.clock()), names=workspace.named,
    )  # fmt: skip


@router.post("/months/lock", dependencies=[needs("month.lock")])
def lock(
    request: Request, site: Here, place: Text, month: Text,
    station: Annotated[list[str], Form()] = [], reason: Annotated[list[str], Form()] = [],  # noqa: B006
) -> Response:  # fmt: skip
    """Make a month of a place final; `station` and `reason` go in pairs: the exceptions."""
    me = principal(request)
    me.need("month.lock", place)
    exceptions = dict(zip(station, reason, strict=False))
    try:
        acts.lock(_workspace(site), place, month, exceptions=exceptions, who=me.id, now=site.clock())
    except acts.ReviewRefused as refused:
        return _months(request, site, month, refused)
    return RedirectResponse(f"/review/months?month={month}&done=locked", status_code=303)


@router.post("/months/reopen", dependencies=[needs("month.reopen")])
def reopen(request: Request, site: Here, place: Text, month: Text, reason: Text) -> Response:
    """Make a month provisional again, with a reason."""
    me = principal(request)
    me.need("month.reopen", place)
    acts.reopen(_workspace(site), place, month, reason=reason, who=me.id, now=site.clock())
    return RedirectResponse(f"/review/months?month={month}&done=reopened", status_code=303)


@router.get("/instruments", dependencies=[needs("review.view")])
def instruments(request: Request, site: Here, station: str = "", item: str = "") -> Response:
    """Calibrations, checks and audits, the failed ones with the hours that they make doubtful."""
    workspace = _workspace(site)
    return site.page(
        request, "review_instruments.html", _result(request, site), station=station, item=item,
        done=_done(request), rows=view.instruments(workspace, station=station, item=item), book=acts.check_kinds(),
        register={r["station"]: r for r in view.register(workspace)},
    )  # fmt: skip


@router.post("/instruments", dependencies=[needs("instrument.record")])
async def record(
    request: Request, site: Here, station: Text, item: Text, serial: Text, kind: Text, checked_at: Text,
    reference: Text, reading: Text, choice: Text = "", remark: Text = "", attachment: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Enter a check of an instrument."""
    me = principal(request)
    me.need("instrument.record", _station(site, station)["place"])
    paper = await attachment.read(_UPLOAD_MAX + 1) if attachment is not None else b""
    _checked_upload(paper)
    check = acts.Check(
        station, item, serial, kind, _moment(checked_at, "checked_at"), _number(reference, "reference"),
        _number(reading, "reading"), choice, remark, paper,
    )  # fmt: skip
    acts.record(_workspace(site), check, who=me.id, now=site.clock())
    return RedirectResponse("/review/instruments?done=recorded", status_code=303)


def _kind_of(paper: bytes) -> str:
    try:
        return str(puremagic.from_string(paper, mime=True))
    except puremagic.PureError:
        return ""


def _checked_upload(paper: bytes) -> None:
    if len(paper) > _UPLOAD_MAX:
        raise UsageError("the file is larger than 10 MB.", remedy="Hand in a smaller copy.")
    if paper and _kind_of(paper) not in _UPLOADS:
        raise UsageError("the file is no PDF, PNG or JPEG.", remedy="Hand in a scan or a print as PDF.")


@router.get("/instruments/{number}/attachment", dependencies=[needs("review.view")])
def attachment(site: Here, number: int) -> Response:
    """The protocol that was handed in with a check, as a download."""
    paper = view.attachment(_workspace(site), number)
    kind = _kind_of(paper)
    name = f"check-{number}.{_UPLOADS.get(kind, 'bin')}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(paper, media_type=kind or "application/octet-stream", headers=headers)


@router.post("/instruments/{number}/doubt", dependencies=[needs("instrument.record")])
def doubt(request: Request, site: Here, number: int) -> Response:
    """Put the hours that a failed check makes doubtful into the queue."""
    me = principal(request)
    workspace = _workspace(site)
    me.need("instrument.record", acts.doubtful_hours(workspace, number)[0]["place"])
    found = acts.doubt(workspace, number, who=me.id, now=site.clock())
    return RedirectResponse(
        f"/review?station={found['station']}&rule={acts.CHECK_RULE}&done=queued", status_code=303
    )


@router.get("/overrule", dependencies=[needs("review.view")])
def overrule(
    request: Request, site: Here, station: str, item: str, rule: str, time: str, mark: Mark = ""
) -> Response:
    """The flag of an hour with what can be said of it, for a dialog; without htmx the page of the day."""
    at = _moment(time, "time")
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    if not _by_htmx(request):
        return RedirectResponse(f"/review/{station}/{day_and_hour(at)[0]}?item={item}", status_code=303)
    return _overruling(request, site, station, item, rule, at, mark=mark)


def _by_htmx(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _overruling(
    request: Request, site: Site, station: str, item: str, rule: str, at: datetime, **said: Any
) -> Response:
    """What the dialog holds; `said` is what came of a decision."""
    workspace, row, day = _workspace(site), _station(site, station), day_and_hour(at)[0]
    runs = view.queue(workspace, view.Asked(station=station, item=item, rule=rule, day=day, status=""), limit=200)
    run = next((r for r in runs["rows"] if r["first"] <= at <= r["last"]), None)
    state = view.state_of(workspace, station=station, day=day)["state"]
    told = {"wrong": "", "refused": None, "decided": 0, "decision": "", "mark": "", **said}
    return site.page(
        request, "review_overrule.html", None, station=row, item=item, day=day, time=at, run=run,
        final=state == "final", decides=principal(request).may("flag.decide", row["place"]), **told,
    )  # fmt: skip


@router.post("/decide", dependencies=[needs("flag.decide")])
def decide(
    request: Request, site: Here, station: Text, item: Text, rule: Text, decision: Text, first: Text = "",
    last: Text = "", span: Text = "", reason: Text = "", mark: FormMark = "",
) -> Response:  # fmt: skip
    """Keep, reject or accept a run of hours in one act: from `first` to `last`, or `span` as ``first/last``."""
    me = principal(request)
    found = _station(site, station)
    me.need("flag.decide", found["place"])
    if span:
        first, _, last = span.partition("/")
    begin, end = _moment(first, "first"), _moment(last, "last")
    day = day_and_hour(end)[0]
    try:
        hours = acts.decide_run(
            _workspace(site), station, item, rule, begin, end, decision, reason=reason, who=me.id,
            level=_level(me, found["place"]),
        )  # fmt: skip
    except acts.ReviewRefused as refused:
        if _by_htmx(request):
            return _overruling(request, site, station, item, rule, begin, refused=refused, mark=mark)
        return _day(request, site, station, day, {}, refused)
    except UsageError as fault:
        if not _by_htmx(request):
            raise
        return _overruling(request, site, station, item, rule, begin, wrong=str(fault), mark=mark)
    if _by_htmx(request):
        return _overruling(request, site, station, item, rule, begin, decided=hours, decision=decision, mark=mark)
    return RedirectResponse(f"/review/{station}/{day}?item={item}&done=decided", status_code=303)


@router.post("/sign", dependencies=[needs("review.view")])
def sign(
    request: Request, site: Here, station: Text, first: Text, last: Text, level: Text, remark: Text = ""
) -> Response:
    """Sign a station's days at a level."""
    me = principal(request)
    found = _station(site, station)
    if level not in acts.LEVELS:
        raise UnknownName("level of review", level, acts.LEVELS)
    me.need(f"review.{level}", found["place"])
    begin, end = _day_of(first), _day_of(last)
    if begin is None or end is None:
        raise UsageError("a day is missing.", remedy="Name the first and the last day.")
    try:
        acts.sign(_workspace(site), station, begin, end, level, remark=remark, who=me.id, now=site.clock())
    except acts.ReviewRefused as refused:
        return _day(request, site, station, end, {}, refused)
    return RedirectResponse(f"/review/{station}/{end}?done=signed", status_code=303)


@router.get("/{station}/{day}", dependencies=[needs("review.view")])
def day(
    request: Request, site: Here, station: str, day: date, item: str = "", rule: str = "", first: str = "",
) -> Response:  # fmt: skip
    """A station's day: the plot beside the flags and decisions, the hours, and who signed."""
    return _day(request, site, station, day, {"item": item, "rule": rule, "first": first})


def _day(
    request: Request, site: Site, station: str, day: date, chosen: Mapping[str, str], refused: Any = None
) -> Response:
    workspace, row, me = _workspace(site), _station(site, station), principal(request)
    runs = view.queue(workspace, view.Asked(station=station, day=day), limit=200)["rows"]
    picked = [
        r for r in runs
        if chosen.get("item", "") in ("", r["item"]) and chosen.get("rule", "") in ("", r["rule"])
        and chosen.get("first", "") in ("", r["first"].isoformat())
    ]  # fmt: skip
    run = picked[0] if picked else None
    found = view.day_review(workspace, station, day)
    return site.page(
        request, "review_day.html", _result(request, site), status=422 if refused else 200, refused=refused,
        done=_done(request), station=row, day=day, runs=runs, run=run, found=found, levels=acts.levels(),
        before=day - timedelta(days=1), after=day + timedelta(days=1), decides=me.may("flag.decide", row["place"]),
        signs=[x for x in acts.LEVELS if me.may(f"review.{x}", row["place"]) and x not in found["signs"]],
        over=day < today(site.clock()), hours=view.hours(workspace, station, day),
    )  # fmt: skip
