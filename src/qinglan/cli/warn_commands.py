"""`qinglan warn`: what the air asks for, warnings drafted and moved, their orders, checks and notices."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell
from qinglan.core.clock import CST, wall
from qinglan.core.errors import UsageError

app = typer.Typer(help="重污染天气预警。Warnings of heavy pollution.", no_args_is_help=True, rich_markup_mode=None)

Warning_ = Annotated[str, typer.Argument(metavar="WARNING", help="预警编号 / number of the warning")]
At = Annotated[str, typer.Option(help="时刻（北京时间），默认现在 / moment in Beijing, by default now")]
By = Annotated[str, typer.Option("--by", help="经办人 / who acts")]
Reason = Annotated[str, typer.Option(help="理由 / why")]
Place = Annotated[str, typer.Argument(help="地区代码 / division code")]


def _open(context: typer.Context, at: str) -> tuple[Shell, Any, datetime]:
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    return shell, open_workspace(shell.home), wall(at) if at.strip() else datetime.now(UTC)


def _moment(text: Any) -> str:
    found = datetime.fromisoformat(text) if isinstance(text, str) else text
    return found.astimezone(CST).strftime("%Y-%m-%d %H:%M") if found else ""


def _level(shell: Shell, level: str) -> str:
    from qinglan.flow import warnings

    return warnings.level_name(level, shell.lang) or "—"


def _clauses(shell: Shell, told: dict[str, Any]) -> None:
    heads = shell.say(
        "级别 条件 满足 已达h 要求h 起于 依据", "level clause holds has_h asks_h from stands_on"
    ).split()
    rows = [
        (_level(shell, c["level"]), c["clause"], shell.say("是", "yes") if c["holds"] else shell.say("否", "no"),
         str(c["has"]), str(c["asks"]), _moment(c["start"]), c["basis"] or "—")
        for c in told["clauses"]
    ]  # fmt: skip
    shell.table("", [(h, "left") for h in heads], rows)


@app.command()
def propose(context: typer.Context, at: At = "") -> None:
    """各地现在该做什么：启动、升级、降级、解除。What each place should do now; exit 1 if any is due."""
    from qinglan.flow import warnings

    shell, workspace, now = _open(context, at)
    told = [warnings.evidence(found, workspace, now) for found in warnings.asked(workspace, now).values()]
    due = [t for t in told if t["act"] not in ("none", "keep")]
    if shell.as_json:
        shell.give(told)
    else:
        heads = shell.say("地区 动作 级别 开始 依据文件", "place move level from text").split()
        rows = [
            (t["place"], t["act"], _level(shell, t["level"]), _moment(t["start"]), t["rule"]["edition"])
            for t in told
        ]
        shell.table("", [(h, "left") for h in heads], rows)
        for t in told:
            for a in t["against"]:
                shell.out.print(f"  {t['place']}: {a['key']} {a['number'] or ''}", markup=False)
    raise typer.Exit(1 if due else 0)


@app.command()
def evaluate(
    context: typer.Context,
    place: Place,
    series: Annotated[Path, typer.Argument(help="CSV：start,hours,aqi,observed,dust,ozone / the series")],
    at: At = "",
) -> None:
    """按一地标准判断一个AQI序列。Hold a series of AQI against the levels of a place, clause by clause."""
    from qinglan.flow import warnings

    shell, workspace, now = _open(context, at)
    rows = warnings.read_series(series)
    if not at and rows.height:
        now = rows["start"][0]
    if place not in warnings.jurisdictions(workspace)[0]:
        raise UsageError(f"{place} does not warn.", remedy="It is no place of jurisdictions.yaml.")
    told = warnings.evidence(warnings.asked(workspace, now, {place: rows})[place], workspace, now)
    if shell.as_json:
        shell.give({k: v for k, v in told.items() if k != "series"})
        return
    shell.out.print(f"{told['act']} {_level(shell, told['level'])} {_moment(told['start'])}", markup=False)
    _clauses(shell, told)


@app.command("list")
def list_them(context: typer.Context) -> None:
    """列出预警，新的在前。List warnings, newest first."""
    from qinglan.flow import warnings
    from qinglan.flow.views import warnings as shown

    shell, workspace, _ = _open(context, "")
    rows = shown.listed(workspace)
    if shell.as_json:
        shell.give(rows)
        return
    states = warnings.words()["states"]
    heads = shell.say("编号 级别 状态 开始 经办", "number level state from by").split()
    cells = [
        (r["id"], _level(shell, r["level"]), shell.pick(states[r["state"]]), _moment(r["starts_at"]), r["who"])
        for r in rows
    ]
    shell.table("", [(h, "left") for h in heads], cells)


@app.command()
def show(context: typer.Context, warning: Warning_) -> None:
    """一次预警：状态、时限、依据、经过。One warning: how it stands, its limits, evidence and history."""
    from qinglan.flow import warnings
    from qinglan.flow.views import warnings as shown

    shell, workspace, now = _open(context, "")
    found = shown.room(workspace, warning, now, warnings.local_command(workspace, getpass.getuser()))
    if shell.as_json:
        shell.give(found)
        return
    row, clock = found["row"], found["clock"]
    state = shell.pick(warnings.words()["states"][row["state"]])
    shell.out.print(f"{row['id']} {_level(shell, row['level'])} {state} {_moment(row['starts_at'])}", markup=False)
    if clock["due"]:
        late = shell.say("已超时", "OVERDUE") if clock["late"] else ""
        shell.out.print(f"{shell.say('时限', 'due')} {_moment(clock['due'])} {late}", markup=False)
    _clauses(shell, found["evidence"])
    for move in found["history"]:
        line = (
            f"{_moment(move['at'])} {move['move']} {_level(shell, move['level'])} {move['who']} {move['reason']}"
        )
        shell.out.print(f"  {line}", markup=False)
    nexts = ", ".join(m.id for m in warnings.moves().values() if row["state"] in m.sources)
    shell.out.print(f"{shell.say('下一步', 'next')}: {nexts or '—'}", markup=False)


@app.command()
def draft(
    context: typer.Context,
    place: Place,
    level: Annotated[str, typer.Argument(help="yellow, orange, red")],
    reason: Reason = "",
    starts: Annotated[str, typer.Option(help="开始时间（北京时间） / when it starts, in Beijing")] = "",
    at: At = "",
    by: By = "",
) -> None:
    """起草预警，保留当时依据。Draft a warning with the evidence of the moment."""
    from qinglan.flow import warnings

    shell, workspace, now = _open(context, at)
    me = warnings.local_command(workspace, by or getpass.getuser())
    made = warnings.draft(
        workspace, place, level, starts_at=wall(starts) if starts.strip() else None, reason=reason, me=me, at=now
    )
    shell.give({"warning": made}) if shell.as_json else shell.out.print(made, markup=False)


@app.command()
def move(
    context: typer.Context,
    warning: Warning_,
    name: Annotated[
        str, typer.Argument(help="consult, opinion, submit, approve, issue, propose, change, review …")
    ],
    reason: Reason = "",
    level: Annotated[str, typer.Option(help="propose 与 redraft 的级别，none 为解除 / level; none lifts")] = "",
    at: At = "",
    by: By = "",
) -> None:
    """办理一步：会商、批准、发布、调整、解除、评估。One step of a warning; another person approves."""
    from qinglan.flow import warnings

    shell, workspace, now = _open(context, at)
    me = warnings.local_command(workspace, by or getpass.getuser())
    row = warnings.act(workspace, warning, name, me=me, at=now, reason=reason, level=level)
    if shell.as_json:
        shell.give(row)
        return
    state = shell.pick(warnings.words()["states"][row["state"]])
    shell.out.print(f"{row['id']} {_level(shell, row['level'])} {state}", markup=False)


@app.command()
def orders(context: typer.Context, warning: Warning_, at: At = "") -> None:
    """减排指令与落实情况。Orders of a warning, their answers and what was found."""
    from qinglan.flow import warnings

    shell, workspace, now = _open(context, at)
    rows = warnings.orders_of(workspace, warning, now)
    if shell.as_json:
        shell.give({"orders": rows, "sums": warnings.summed(rows), "cases": warnings.cases(rows)})
        return
    heads = shell.say(
        "指令 企业 答复 生产线 应减t/d(颗粒物) 已核实t/d",
        "order enterprise answer lines promised_pm_t/d found_pm_t/d",
    ).split()
    cells = [
        (str(r["id"]), r["enterprise"], r["state"], str(len(r["lines"])), f"{r['promised']['pm']:.3f}",
         f"{r['found']['pm']:.3f}")
        for r in rows
    ]  # fmt: skip
    shell.table("", [(h, "left") for h in heads], cells)


@app.command()
def verify(
    context: typer.Context,
    order: Annotated[int, typer.Argument(help="指令编号 / number of the order")],
    line: Annotated[str, typer.Argument(help="生产线编号 / number of the line")],
    method: Annotated[str, typer.Option(help="electricity, stack, inspection")] = "inspection",
    cut: Annotated[float | None, typer.Option(help="实际减排%, 或用 --normal 与 --used / cut found [%]")] = None,
    normal: Annotated[
        float | None,
        typer.Option(help="正常日用电kWh，默认取用电台账 / a normal day's use, by default the ledger's"),
    ] = None,
    used: Annotated[
        float | None, typer.Option(help="当日用电kWh，与平日同一块表 / use of the day, of the same meters")
    ] = None,
    note: Annotated[str, typer.Option(help="说明 / note")] = "",
    at: At = "",
    by: By = "",
) -> None:
    """记录核查结果；用电可直接给两日用电量。Write down a check; of electricity the use of both days will do."""
    from qinglan.flow import warnings

    shell, workspace, now = _open(context, at)
    if cut is None:
        if used is None:
            raise UsageError("no cut is given.", remedy="Give --cut, or --used in kWh (and --normal).")
        if normal is None:
            normal, of = warnings.normal_use(workspace, order, line)
            meters = {"line": "分表", "works": "总表"}[of]
            said = f"平日 {normal:.0f} kWh（{meters}）", f"normal day {normal:.0f} kWh ({of})"
            shell.err.print(shell.say(*said), markup=False)
        cut = warnings.cut_from_use(normal, used)
    me = warnings.local_command(workspace, by or getpass.getuser())
    warnings.verify(workspace, order, line, method, cut, note=note, me=me, at=now)
    told = {"order": order, "line": line, "method": method, "cut": cut}
    shell.give(told) if shell.as_json else shell.out.print(f"{line} {method} {cut:g} %", markup=False)


@app.command()
def notice(
    context: typer.Context,
    warning: Warning_,
    output: Annotated[Path, typer.Option("--output", "-o", help="docx、html或txt文件 / the file")],
    number: Annotated[int, typer.Option(help="动作编号，默认最近一次 / move, by default the newest")] = 0,
) -> None:
    """取出已发布的通知。Take out a frozen notice."""
    from qinglan.flow import warnings
    from qinglan.flow.views import warnings as shown

    shell, workspace, now = _open(context, "")
    me = warnings.local_command(workspace, getpass.getuser())
    made = [m["id"] for m in shown.room(workspace, warning, now, me)["history"] if m["notices"]]
    if not made:
        raise UsageError(f"{warning} has no notice yet.", remedy="Issue it first.")
    data, _ = warnings.export(workspace, warning, number or made[-1], shell.lang, output.suffix.lstrip("."))
    output.write_bytes(data)
    told = {"file": str(output), "bytes": len(data)}
    shell.give(told) if shell.as_json else shell.out.print(f"{output} {len(data)}", markup=False)
