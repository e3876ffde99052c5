"""`qinglan review`: the queue of flags, signing days, locking and reopening months; `qinglan disclosure`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell, day_of
from qinglan.core.clock import Period, day_and_hour, today
from qinglan.core.errors import UsageError

app = typer.Typer(help="数据审核。Review of data.", no_args_is_help=True, rich_markup_mode=None)

By = Annotated[str, typer.Option("--by", help="经办人 / who acts")]


def _acting(context: typer.Context, by: str) -> tuple[Shell, Any, dict[str, Any]]:
    """The shell, the workspace, and who acts when."""
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    return shell, open_workspace(shell.home), {"who": by or getpass.getuser(), "now": datetime.now(UTC)}


def _tell(shell: Shell, made: dict[str, Any], zh: str, en: str) -> None:
    """What was done, as JSON or in a sentence."""
    shell.give(made) if shell.as_json else shell.out.print(shell.say(zh, en))


@app.command()
def queue(
    context: typer.Context,
    place: Annotated[str, typer.Option(help="行政区划代码 / division code")] = "",
    station: Annotated[str, typer.Option(help="站点代码 / station code")] = "",
    item: Annotated[str, typer.Option(help="项目 / item")] = "",
    rule: Annotated[str, typer.Option(help="规则 / rule")] = "",
    status: Annotated[str, typer.Option(help="open、decided、signed、closed；空为全部 / empty: all")] = "open",
    day: Annotated[str, typer.Option(help="统计日 / statistical day")] = "",
    after: Annotated[str, typer.Option(help="上一页的游标 / cursor of the page before")] = "",
    limit: Annotated[int, typer.Option(help="列出段数 / runs to list")] = 20,
) -> None:
    """自动标记队列，按连续小时成段。Automatic flags in runs of hours."""
    from qinglan.flow.views import review
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    asked = review.Asked(place, station, item, rule, status, day_of(day) if day else None)
    found = review.queue(open_workspace(shell.home), asked, after=after, limit=limit)
    if shell.as_json:
        shell.give(found)
        return
    rows = [
        (r["station"], *(f"{d} {h:02d}" for d, h in map(day_and_hour, (r["first"], r["last"]))), r["hours"],
         r["item"], r["rule"], r["state"], r["low"], r["high"], r["status"]) for r in found["rows"]
    ]  # fmt: skip
    heads = shell.say(
        "站点 起 止 小时 项目 规则 判定 最小 最大 状态", "station from to hours item rule state low high status"
    )
    shell.table("", [(h, "left") for h in heads.split()], rows)
    shell.out.print(shell.say(f"共 {found['total']} 段", f"{found['total']} runs"))


@app.command()
def sign(
    context: typer.Context,
    station: str,
    day: Annotated[str, typer.Argument(help="统计日 / statistical day")],
    level: Annotated[str, typer.Option(help="operator、prefecture、province")],
    until: Annotated[str, typer.Option(help="末日（含） / last day, included")] = "",
    remark: Annotated[str, typer.Option(help="备注 / remark")] = "",
    by: By = "",
) -> None:
    """签署站点日。Sign a station's days at a level of review."""
    from qinglan.flow import review

    shell, workspace, acting = _acting(context, by)
    first = day_of(day)
    last = day_of(until) if until else first
    signed = review.sign(workspace, station, first, last, level, remark=remark, **acting)
    told = {"signed": signed, "level": level}
    _tell(shell, told, f"已签署 {signed} 个站点日。", f"Signed {signed} station days.")


@app.command()
def lock(
    context: typer.Context,
    place: Annotated[str, typer.Argument(help="行政区划代码 / division code")],
    month: Annotated[str, typer.Argument(help="YYYY-MM")],
    exception: Annotated[
        list[str] | None, typer.Option("--except", help="例外 站点=理由，可重复 / STATION=REASON, may be repeated")
    ] = None,
    by: By = "",
) -> None:
    """锁定月份为最终数据。Make a month of a place final."""
    from qinglan.flow import review

    shell, workspace, acting = _acting(context, by)
    said = {}
    for text in exception or []:
        name, equals, reason = text.partition("=")
        if not (name and equals and reason.strip()):
            raise UsageError(f"cannot read exception {text!r}.", remedy="Write STATION=REASON.")
        said[name] = reason
    review.lock(workspace, place, month, exceptions=said, **acting)
    _tell(shell, {"locked": month, "place": place}, f"{place} {month} 已锁定。", f"{month} of {place} is locked.")


@app.command()
def reopen(
    context: typer.Context,
    place: Annotated[str, typer.Argument(help="行政区划代码 / division code")],
    month: Annotated[str, typer.Argument(help="YYYY-MM")],
    reason: Annotated[str, typer.Option(help="理由（必填） / why")],
    by: By = "",
) -> None:
    """重开已锁定的月份。Make a locked month provisional again."""
    from qinglan.flow import review

    shell, workspace, acting = _acting(context, by)
    review.reopen(workspace, place, month, reason=reason, **acting)
    told = {"reopened": month, "place": place}
    _tell(shell, told, f"{place} {month} 已重开。", f"{month} of {place} is open again.")


def disclosure(
    context: typer.Context,
    period: Annotated[str, typer.Argument(help="时段，默认最近31天 / a period, by default the last 31 days")] = "",
) -> None:
    """公开时效：小时值、日值、预报是否按时。How the times of HJ 633 were kept."""
    from qinglan.flow.disclosure import watch
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    now = datetime.now(UTC)
    end = today(now)
    span = Period.parse(period) if period else Period(end - timedelta(days=30), end)
    found = watch(open_workspace(shell.home), span.start, span.end, now=now)
    if shell.as_json:
        shell.give(found)
        return
    names = ("due", "in_time", "late", "missing", "waiting", "history", "share", "worst")
    heads = shell.say(
        "地区 应公开 按时 迟到 未到 时限内 补录 按时率% 最迟h",
        "place due in-time late missing waiting history share% worst-h",
    ).split()
    rows = [(r["place"], *(r[n] for n in names)) for r in found["by_place"]]
    rows.append((shell.say("合计", "all"), *(found["hours"][n] for n in names)))
    shell.table("", [(heads[0], "left"), *((h, "right") for h in heads[1:])], rows)
    if not found["forecasts"]:
        shell.out.print(shell.say("预报：尚未发布过。", "Forecasts: none issued."))
