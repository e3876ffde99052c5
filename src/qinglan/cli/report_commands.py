"""`qinglan report`: draft a bulletin, bring it to issue, correct it, and write it to a file."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell
from qinglan.core.errors import UsageError

app = typer.Typer(help="通报与排名。Bulletins and rankings.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="通报编号，如 monthly-630000-2016-06 / its id")]
Version = Annotated[int | None, typer.Option("--version", help="版本，默认最新 / a version, else the newest")]
Who = Annotated[str, typer.Option("--by", help="谁办理 / who does it")]
Reason = Annotated[str, typer.Option("--reason", help="理由 / why")]


def _open(shell: Shell) -> Any:
    from qinglan.flow.workspace import open_workspace

    return open_workspace(shell.home)


def _rows(shell: Shell, rows: list[dict[str, Any]]) -> None:
    heads = shell.say("编号 版本 状态 办理人 运行", "id version state who run").split()
    shell.table(
        "",
        [(h, "left") for h in heads],
        [
            [r["id"], r["version"], r["state"] + (" !" if r["pending"] else ""), r["who"], r["run_id"]]
            for r in rows
        ],
    )


@app.command()
def draft(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="种类：daily weekly monthly quarterly annual ranking / a kind")],
    period: Annotated[str, typer.Argument(help="时段：2016-06-03、2016W23、2016-06、2016Q2、2016 / a period")],
    place: Annotated[str | None, typer.Option(help="行政区划代码，默认本单位 / division code")] = None,
    by: Who = "",
) -> None:
    """按最近一次运行起草。Draft a bulletin from the current run."""
    from qinglan.flow.publications import as_json, one
    from qinglan.flow.publications import draft as make

    shell: Shell = context.obj
    workspace = _open(shell)
    made = make(workspace, kind, period, who=by or getpass.getuser(), at=datetime.now(UTC), place=place)
    row = one(workspace, made.id)
    shell.give(as_json([row])[0]) if shell.as_json else _rows(shell, [row])


@app.command("list")
def list_all(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="种类 / a kind")] = "",
    state: Annotated[str, typer.Option(help="状态 / a state")] = "",
) -> None:
    """已有的通报，“!”表示其月份已重开。What there is; `!` marks one whose month was reopened."""
    from qinglan.flow.publications import as_json
    from qinglan.flow.views.publications import listing

    shell: Shell = context.obj
    rows = listing(_open(shell), kind=kind, state=state, newest=False)
    shell.give(as_json(rows)) if shell.as_json else _rows(shell, rows)


@app.command()
def show(context: typer.Context, publication: Id) -> None:
    """一份通报的各版本与全部办理记录。One publication: its versions and every move."""
    from qinglan.flow.publications import as_json
    from qinglan.flow.views.publications import moves_of

    shell: Shell = context.obj
    moves = moves_of(_open(shell), publication)
    if shell.as_json:
        shell.give(as_json(moves))
        return
    heads = shell.say("版本 办理 状态 谁 何时 运行 理由", "version move state who when run reason").split()
    names = ("version", "move", "state", "who", "at", "run_id", "reason")
    cells = [[f"{m[n]:%Y-%m-%d %H:%M}Z" if n == "at" else m[n] for n in names] for m in moves]
    shell.table(publication, [(h, "left") for h in heads], cells)


def _act(context: typer.Context, publication: str, name: str, by: str, reason: str, version: int | None) -> None:
    from qinglan.flow.publications import act, as_json

    shell: Shell = context.obj
    who = by or getpass.getuser()
    row = act(_open(shell), publication, name, who=who, at=datetime.now(UTC), reason=reason, version=version)
    shell.give(as_json([row])[0]) if shell.as_json else _rows(shell, [row])


@app.command()
def submit(context: typer.Context, publication: Id, by: Who = "") -> None:
    """提交审批。Submit a draft for approval."""
    _act(context, publication, "submit", by, "", None)


@app.command()
def approve(context: typer.Context, publication: Id, by: Who = "") -> None:
    """批准（起草人和提交人不得批准）。Approve; not by the one who drafted or submitted."""
    _act(context, publication, "approve", by, "", None)


@app.command()
def issue(context: typer.Context, publication: Id, by: Who = "") -> None:
    """发布：冻结各格式文件。Issue: the documents are frozen."""
    _act(context, publication, "issue", by, "", None)


@app.command()
def correct(
    context: typer.Context, publication: Id, reason: Reason = "", by: Who = "", version: Version = None
) -> None:
    """更正：按最近一次运行起草取代已发布版本的新版。Begin a version that replaces an issued one."""
    _act(context, publication, "correct", by, reason, version)


@app.command()
def move(
    context: typer.Context,
    publication: Id,
    name: Annotated[str, typer.Argument(help="redraft、return、withdraw / what to do")],
    reason: Reason = "",
    by: Who = "",
    version: Version = None,
) -> None:
    """重新起草、退回或撤回。Draft again, return or withdraw."""
    _act(context, publication, name, by, reason, version)


@app.command()
def export(
    context: typer.Context,
    publication: Id,
    to: Annotated[Path, typer.Argument(help="文件，扩展名定格式：docx pdf html xlsx / a file", dir_okay=False)],
    version: Version = None,
) -> None:
    """写成文件（语言按 --lang）。Write a version to a file; its suffix is the format, --lang the language."""
    from qinglan.flow.publications import export as give

    shell: Shell = context.obj
    if not to.parent.is_dir():
        raise UsageError(f"{to.parent} is no folder.", remedy="Make it first.")
    data, name = give(_open(shell), publication, to.suffix.lstrip("."), language=shell.lang, version=version)
    to.write_bytes(data)
    told = {"file": str(to), "name": name, "bytes": len(data)}
    shell.give(told) if shell.as_json else shell.out.print(f"{to} ({len(data):,})", markup=False)
