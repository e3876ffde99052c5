"""`qinglan forecast desk`: the bulletin of the day opened, edited, moved on, shown and taken out."""

from __future__ import annotations

import getpass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell, day_of
from qinglan.core.clock import CST, today, wall
from qinglan.core.errors import UsageError

app = typer.Typer(help="预报台。The forecaster's desk.", no_args_is_help=True, rich_markup_mode=None)

Bulletin = Annotated[str, typer.Argument(metavar="BULLETIN", help="预报编号 / number of the bulletin")]
At = Annotated[str, typer.Option(help="时刻（北京时间），默认现在 / moment in Beijing, by default now")]
By = Annotated[str, typer.Option("--by", help="经办人 / who acts")]
Reason = Annotated[str, typer.Option(help="理由 / why")]
Office = Annotated[
    str, typer.Option("--office", help="代表的单位（代码），默认本单位 / for which office, by default this one")
]


def _open(context: typer.Context, at: str) -> tuple[Shell, Any, datetime]:
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    return shell, open_workspace(shell.home), wall(at) if at.strip() else datetime.now(UTC)


def _me(workspace: Any, by: str, office: str = "") -> Any:
    from qinglan.flow.decide import place_code
    from qinglan.flow.forecasts import desk

    return desk.local_command(workspace, by or getpass.getuser(), place_code(workspace, office) if office else "")


def _moment(found: datetime | None) -> str:
    return found.astimezone(CST).strftime("%Y-%m-%d %H:%M") if found else "—"


def _state(shell: Shell, state: str) -> str:
    from qinglan.flow.forecasts import desk

    return str(shell.pick(desk.states()[state]))


@app.command("list")
def list_them(context: typer.Context) -> None:
    """列出预报各期各版，新的在前。List bulletins and their versions, newest first."""
    from qinglan.flow.views import desk

    shell, workspace, _ = _open(context, "")
    rows = desk.listed(workspace)
    if shell.as_json:
        shell.give(rows)
        return
    heads = shell.say("编号 版次 状态 发布 经办", "number version state issued by").split()
    cells = [(r["id"], r["version"], _state(shell, r["state"]), _moment(r["issued_at"]), r["who"]) for r in rows]
    shell.table("", [(h, "left") for h in heads], cells)


@app.command("open")
def open_it(
    context: typer.Context,
    place: Annotated[str, typer.Argument(help="地区，默认本单位 / the place, by default the office's")] = "",
    at: At = "",
    by: By = "",
) -> None:
    """以最新机器预报开稿；已开的不变。Open today's bulletin on the machine's newest forecast."""
    from qinglan.flow.decide import place_code
    from qinglan.flow.forecasts import desk

    shell, workspace, now = _open(context, at)
    code = place_code(workspace, place) if place else workspace.settings.place
    made = desk.begin(workspace, code, me=_me(workspace, by), at=now)
    shell.give({"bulletin": made}) if shell.as_json else shell.out.print(made, markup=False)


@app.command()
def show(context: typer.Context, bulletin: Bulletin, at: At = "") -> None:
    """一期预报：时限、单位与机器逐格对照、经过。One bulletin: its hour, office beside machine, its history."""
    from qinglan.flow.views import desk as shown

    shell, workspace, now = _open(context, at)
    found = shown.life(workspace, bulletin, now, _me(workspace, ""))
    if shell.as_json:
        shell.give(found)
        return
    row, clock = found["row"], found["clock"]
    late = shell.say(f"超时{clock['minutes']}分钟", f"LATE by {clock['minutes']} min") if clock["late"] else ""
    due = f"{shell.say('应发布', 'due')} {_moment(clock['due'])}"
    shell.out.print(f"{row['id']} {row['version']} {_state(shell, row['state'])} {due} {late}", markup=False)
    heads = shell.say(
        "地区 日期 发布 级别 首要污染物 机器 订正理由", "place day says level primary machine reason"
    ).split()
    name = shell.say("name", "name_en")
    rows = [
        (workspace.named(r["place"])[name], r["day"], f"{r['low']}–{r['high']}", r["level"], r["primary"] or "—",
         f"{r['machine']['low']}–{r['machine']['high']}", r["edit"]["reason"] if r["edit"] else "")
        for r in found["table"]
    ]  # fmt: skip
    shell.table("", [(h, "left") for h in heads], rows)
    for move in found["history"]:
        office = f" ({move['office']})" if move["office"] else ""
        line = f"{_moment(move['at'])} {move['version']} {move['move']} {move['who']}{office} {move['reason']}"
        shell.out.print(f"  {line}", markup=False)
    shell.out.print(f"{shell.say('可办', 'next')}: {', '.join(found['possible']) or '—'}", markup=False)


@app.command()
def edit(
    context: typer.Context,
    bulletin: Bulletin,
    place: Annotated[str, typer.Argument(help="地区 / the place")],
    day: Annotated[str, typer.Argument(help="预报日 YYYY-MM-DD / the valid day")],
    span: Annotated[str, typer.Argument(help="AQI范围，如 80-110；- 恢复机器值 / the range; - for the machine's")],
    level: Annotated[
        int | None, typer.Option(help="级别1–6，默认按中值 / level, by default of the middle")
    ] = None,
    primary: Annotated[str, typer.Option(help="首要污染物，逗号分隔 / primary pollutants")] = "",
    words: Annotated[str, typer.Option(help="备注 / a remark")] = "",
    reason: Reason = "",
    at: At = "",
    by: By = "",
) -> None:
    """订正一地一日，须写理由。Edit a place's day, with the reason."""
    from qinglan.flow.decide import place_code
    from qinglan.flow.forecasts import desk

    shell, workspace, now = _open(context, at)
    low, high = _span(span)
    written = desk.edit(
        workspace, bulletin, place_code(workspace, place), day_of(day),
        desk.Edit(low, high, level, primary, words, reason), me=_me(workspace, by), at=now,
    )  # fmt: skip
    told = shell.say("已订正", "edited") if written else shell.say("无变化", "nothing changed")
    shell.give({"written": written}) if shell.as_json else shell.out.print(told, markup=False)


def _span(text: str) -> tuple[int | None, int | None]:
    if text == "-":
        return None, None
    try:
        low, high = (int(part) for part in text.replace("–", "-").split("-"))
    except ValueError as cause:
        raise UsageError(f"{text!r} is no range of AQI.", remedy="Write two whole numbers: 80-110.") from cause
    return low, high


@app.command()
def move(
    context: typer.Context,
    bulletin: Bulletin,
    name: Annotated[str, typer.Argument(help="renew, consult, comment, agree, submit, return, approve, issue …")],
    reason: Reason = "",
    until: Annotated[str, typer.Option(help="会商截止（北京时间） / end of the consultation, in Beijing")] = "",
    office: Office = "",
    at: At = "",
    by: By = "",
) -> None:
    """办理一步：会商、意见、报批、批准、发布、更正。One step of a bulletin; another person approves."""
    from qinglan.flow.forecasts import desk

    shell, workspace, now = _open(context, at)
    ends = wall(until) if until.strip() else None
    row = desk.act(workspace, bulletin, name, me=_me(workspace, by, office), at=now, reason=reason, until=ends)
    if shell.as_json:
        shell.give(row)
        return
    shell.out.print(f"{row['id']} {row['version']} {_state(shell, row['state'])}", markup=False)


@app.command()
def document(
    context: typer.Context,
    bulletin: Bulletin,
    output: Annotated[Path, typer.Option("--output", "-o", help="docx、html或txt文件 / the file")],
    version: Annotated[int, typer.Option(help="版次，默认最近发布的 / version, by default the newest issued")] = 0,
) -> None:
    """取出已发布预报的文件。Take out a document of what was issued."""
    from qinglan.flow.forecasts import desk
    from qinglan.flow.views import desk as shown

    shell, workspace, now = _open(context, "")
    versions = shown.life(workspace, bulletin, now, _me(workspace, ""))["versions"]
    out = [r["version"] for r in versions if r["issued_at"] is not None]
    if not out:
        raise UsageError(f"{bulletin} was not issued yet.", remedy="Issue it first.")
    data, _ = desk.export(workspace, bulletin, version or max(out), shell.lang, output.suffix.lstrip("."))
    output.write_bytes(data)
    told = {"file": str(output), "bytes": len(data)}
    shell.give(told) if shell.as_json else shell.out.print(f"{output} {len(data)}", markup=False)


@app.command()
def said(context: typer.Context, at: At = "") -> None:
    """现行有效的已发布预报。What offices said last of each place, from today on."""
    from qinglan.flow.forecasts import desk

    shell, workspace, now = _open(context, at)
    rows = [r for _, r in sorted(desk.issued(workspace, now).items())]
    if shell.as_json:
        shell.give(rows)
        return
    heads = shell.say("地区 日期 AQI 级别 首要污染物 来自 发布", "place day AQI level primary from issued")
    name = shell.say("name", "name_en")
    cells = [
        (workspace.named(r["place"])[name], r["day"], f"{r['low']}–{r['high']}", r["level"], r["primary"] or "—",
         f"{r['bulletin']}/{r['version']}", _moment(r["at"]))
        for r in rows
    ]  # fmt: skip
    shell.table(f"{date.isoformat(today(now))}", [(h, "left") for h in heads.split()], cells)
