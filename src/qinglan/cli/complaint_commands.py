"""`qinglan complaints`: reports of pollution from the public, listed, shown and moved on; `qinglan open-data`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from qinglan.cli.output import Shell

app = typer.Typer(help="公众反映的污染。Reports of pollution.", no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[str, typer.Argument(help="编号 / number of the report")]


@app.command("list")
def list_them(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="状态 / received, assigned, answered, closed")] = None,
    place: Annotated[str, typer.Option(help="地区代码，含下级 / division code, with all inside it")] = "",
    limit: Annotated[int, typer.Option(help="列出条数 / how many")] = 50,
) -> None:
    """列出公众反映，新的在前。List reports, newest first."""
    from qinglan.flow import complaints
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    workspace = open_workspace(shell.home)
    rows, counts = complaints.listed(workspace, (place,) if place else ("*",), status=state, limit=limit)
    if shell.as_json:
        hidden = {"code_hash", "once"}
        shell.give({"counts": counts, "reports": [{k: v for k, v in r.items() if k not in hidden} for r in rows]})
        return
    words = complaints.rules()
    heads = shell.say(
        "编号 收到 地区 类别 状态 承办 位置", "number received place kind state handler where"
    ).split()
    shell.table(
        shell.say("公众反映", "Reports"),
        [(h, "left") for h in heads],
        [
            [
                r["number"],
                f"{r['at']:%Y-%m-%d %H:%M}Z",
                shell.pick({"zh": (n := workspace.named(r["place"]))["name"], "en": n["name_en"]}),
                shell.pick(words["categories"].get(r["category"])),
                shell.pick(words["states"][r["status"]]),
                r["handler"],
                r["spot"],
            ]
            for r in rows
        ],
    )


@app.command()
def show(context: typer.Context, number: Number) -> None:
    """一件反映及其办理经过，不含联系方式。One report and what was done, without who sent it."""
    from qinglan.flow import complaints
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    found = complaints.one(open_workspace(shell.home), number)
    found = {name: value for name, value in found.items() if name not in ("once", "id")}
    if shell.as_json:
        shell.give(found)
        return
    words = complaints.rules()
    for name in ("number", "at", "category", "place", "spot", "seen_at", "text", "photo", "handler", "answer"):
        shell.out.print(f"{name}: {found[name] if found[name] is not None else ''}", markup=False)
    shell.out.print(f"{shell.say('状态', 'state')}: {shell.pick(words['states'][found['status']])}", markup=False)
    for move in found["moves"]:
        line = f"{move['at']:%Y-%m-%d %H:%M}Z {shell.pick(words['states'][move['after']])} {move['by']}"
        shell.out.print(f"  {line} {move['handler']} {move['note']}", markup=False)
    nexts = ", ".join(f"{m['to']}({' '.join(m['needs'])})" for m in found["next"])
    shell.out.print(f"{shell.say('下一步', 'next')}: {nexts or '—'}", markup=False)


@app.command()
def answer(
    context: typer.Context,
    number: Number,
    to: Annotated[str, typer.Argument(help="转为 / assigned, answered or closed")],
    handler: Annotated[str, typer.Option(help="承办单位或人员 / who takes it")] = "",
    text: Annotated[str, typer.Option(help="答复（反映人可见） / the answer, which the sender reads")] = "",
    note: Annotated[str, typer.Option(help="内部备注 / a note that stays inside")] = "",
    by: Annotated[str, typer.Option("--by", help="谁办理的 / who decides")] = "",
) -> None:
    """办理一件反映：承办、答复或办结。Move a report on: assign, answer or close it."""
    from qinglan.flow import complaints
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    told = {"handler": handler, "note": note, "answer": text}
    workspace = open_workspace(shell.home)
    complaints.answer(workspace, number, to, **told, who=by or getpass.getuser(), now=datetime.now(UTC))
    if shell.as_json:
        shell.give({"number": complaints.number_of(number), "status": to})
    else:
        shell.out.print(shell.say("已记录。", "Recorded."))


@app.command("erase-contact")
def erase_contact(
    context: typer.Context,
    number: Number,
    by: Annotated[str, typer.Option("--by", help="谁删除的 / who erases it")] = "",
) -> None:
    """删除已办结反映的联系方式，案件保留。Erase the contact of a closed report; the report stays."""
    from qinglan.flow import complaints
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    workspace, who = open_workspace(shell.home), by or getpass.getuser()
    gone = complaints.erase_contact(workspace, number, who=who, now=datetime.now(UTC))
    if shell.as_json:
        shell.give({"number": complaints.number_of(number), "erased": gone})
    elif gone:
        shell.out.print(shell.say("联系方式已删除。", "The contact was erased."))
    else:
        shell.out.print(shell.say("没有联系方式。", "There was no contact."))


def open_data(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="新文件夹 / a new folder")],
) -> None:
    """导出开放数据：CSV、Parquet、GeoJSON及说明。Write open data with dictionary, licence and checksums."""
    from qinglan.flow.open_data import export
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    made = export(open_workspace(shell.home), folder)
    if shell.as_json:
        shell.give({"folder": str(folder), "files": [path.name for path in made]})
    else:
        shell.out.print(shell.say(f"已写入 {len(made)} 个文件：{folder}", f"{len(made)} files in {folder}"))
