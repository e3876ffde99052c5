"""`qinglan plan`: check a pack, show where the plan stands, report a value, file evidence."""

from __future__ import annotations

import getpass
import hashlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from qinglan.cli.output import Shell, day_of, shown
from qinglan.core.clock import today

app = typer.Typer(help="行动计划。The plan.", no_args_is_help=True, rich_markup_mode=None)


def _today() -> date:
    return today(datetime.now(UTC))


@app.command()
def check(
    context: typer.Context,
    pack: Annotated[list[str] | None, typer.Argument(help="计划包名称或文件夹 / id or folder of a pack")] = None,
) -> None:
    """检查计划包，一次列出全部问题。Check packs and list every fault at once."""
    from qinglan.flow.plans import check_packs

    shell: Shell = context.obj
    found = check_packs(pack or [])
    if shell.as_json:
        shell.give(found)
    else:
        for name, problems in found.items():
            mark = "[green]✓[/green]" if not problems else f"[red]× {len(problems)}[/red]"
            shell.out.print(f"{mark} {name}")
            for problem in problems:
                shell.out.print(
                    f"    {problem['file']}: {problem['where']}: {problem['value']}  → {problem['remedy']}",
                    markup=False,
                )
    if any(found.values()):
        raise typer.Exit(1)


@app.command()
def status(
    context: typer.Context,
    article: Annotated[int | None, typer.Option(help="第几条 / an article")] = None,
    department: Annotated[str | None, typer.Option(help="部门 / a department's id or name")] = None,
    state: Annotated[str | None, typer.Option(help="状态 / a status")] = None,
    targets: Annotated[bool, typer.Option("--targets", help="只列指标 / targets only")] = False,
) -> None:
    """指标与任务的现状（取自最近一次运行）。Targets and tasks as the last run found them."""
    from qinglan.flow.plans import tasks_of_run
    from qinglan.flow.views import current
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    verdict = current(open_workspace(shell.home)).verdict
    tasks = tasks_of_run(verdict, article, department, state)
    if shell.as_json:
        shell.give({"targets": verdict["targets"], "tasks": [] if targets else tasks})
        return
    heads = shell.say("指标 判定 值 目标 截止 所待", "target status value limit due waits-for").split()
    rows = [
        [
            t["id"],
            shell.state(t["status"]),
            f"{t['shown'] or '—'} {t['unit']}",
            f"{t['comparison']} {shown(t['limit'])}",
            t["due"],
            shell.pick(t["waiting_for"]),
        ]
        for t in verdict["targets"]
        if article in (None, t["article"])
    ]
    shell.table(shell.say("指标", "Targets"), [(h, "left") for h in heads], rows)
    if targets:
        return
    heads = shell.say("任务 状态 截止 牵头 内容", "task status due lead text").split()
    names = verdict["departments"]
    shell.table(
        shell.say("任务", "Tasks"),
        [(h, "left") for h in heads],
        [
            [
                t["id"],
                shell.state(t["status"]),
                t["due"],
                ", ".join(shell.pick(names.get(d)) or d for d in t["lead"]),
                shell.pick(t["title"]),
            ]
            for t in tasks
        ],
    )


@app.command()
def report(
    context: typer.Context,
    target: str,
    value: float,
    unit: str,
    as_of: Annotated[str, typer.Option("--as-of", help="数值截至日 / the day it speaks of")],
    source: Annotated[str, typer.Option(help="来源文件及文号 / document and number")],
    baseline: Annotated[
        float | None,
        typer.Option(help="基期值，同一单位，用于“增长、下降”类指标 / value it started from, for a change"),
    ] = None,
    by: Annotated[str, typer.Option(help="报送人 / who reports")] = "",
) -> None:
    """报送一项指标的数值。Report a value for a target, with source and date."""
    from qinglan.flow.decide import report_value
    from qinglan.flow.workspace import open_workspace
    from qinglan.plan.judge import Reported

    shell: Shell = context.obj
    day = day_of(as_of)
    told = Reported(target, value, unit, day, source, by or getpass.getuser(), baseline)
    report_value(open_workspace(shell.home), told, today=_today())
    shell.give({"reported": target}) if shell.as_json else shell.out.print(
        shell.say("已记录，下次运行时判定。", "Recorded; the next run judges it.")
    )


@app.command()
def evidence(
    context: typer.Context,
    task: str,
    item: Annotated[int, typer.Argument(help="证据序号，从0起 / which item of its evidence, from 0")],
    reference: Annotated[str, typer.Argument(help="文件或文号 / a file or a document number")],
    on: Annotated[str, typer.Option(help="日期 / date")],
    source: Annotated[str, typer.Option(help="来源 / source")],
    value: Annotated[float | None, typer.Option(help="报送值 / a reported value")] = None,
    unit: str = "",
    cycle: Annotated[str, typer.Option(help="所属周期 / its cycle, e.g. 2025")] = "",
    by: str = "",
) -> None:
    """为任务提交证据：状态由证据计算。File evidence for a task; its status is computed from it."""
    from qinglan.flow.decide import file_evidence
    from qinglan.flow.workspace import open_workspace
    from qinglan.plan.tasks import EvidenceRecord

    shell: Shell = context.obj
    day = day_of(on)
    path = Path(reference)
    ref = f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else reference
    record = EvidenceRecord(task, item, ref, day, source, by or getpass.getuser(), cycle, True, value, unit)
    file_evidence(open_workspace(shell.home), record, today=_today())
    shell.give({"filed": task, "reference": ref}) if shell.as_json else shell.out.print(
        shell.say("已提交。", "Filed.")
    )
