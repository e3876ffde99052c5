"""`qinglan ledger`: workbooks in and out, rows, what is due and found, and the numbers that ledgers give."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell, day_of
from qinglan.core.clock import today
from qinglan.core.errors import NotFound, UsageError

app = typer.Typer(help="台账。Ledgers.", no_args_is_help=True, rich_markup_mode=None)

Ledger = Annotated[str, typer.Argument(help="台账代号 / id of the ledger, see `qinglan ledger list`")]
Key = Annotated[str, typer.Argument(help="行的标识 / identity of the row")]
Workbook = Annotated[Path, typer.Argument(help="XLSX 或 CSV / a workbook")]
Reason = Annotated[str, typer.Option(help="理由（必填） / why")]
By = Annotated[str, typer.Option("--by", help="经办人 / who acts")]
On = Annotated[str, typer.Option("--on", help="按哪一天判断，默认今天 / the day asked, by default today")]
Of = Annotated[str, typer.Option("--ledger", help="只看一本台账 / one ledger only")]
Article = Annotated[int | None, typer.Option(help="条款号 / number of an article")]
Place = Annotated[str, typer.Option(help="地区代码，含下级 / division code, with all inside it")]
Limit = Annotated[int, typer.Option(help="列出条数 / how many to list")]


def _office(context: typer.Context, by: str = "") -> tuple[Shell, Any, Any]:
    """The shell, the workspace, and the office that acts."""
    from qinglan.flow.ledgers import local_office
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    workspace = open_workspace(shell.home)
    return shell, workspace, local_office(workspace, by or getpass.getuser())


def _day(on: str) -> date:
    return day_of(on) if on else today(datetime.now(UTC))


def _heads(shell: Shell, zh: str, en: str, right: Sequence[int] = ()) -> list[tuple[str, str]]:
    return [(h, "right" if n in right else "left") for n, h in enumerate(shell.say(zh, en).split())]


def _free(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already.", remedy="Choose another name.")


@app.command("list")
def list_them(context: typer.Context, on: On = "") -> None:
    """列出全部台账：行数、不符、逾期、搁置。List all ledgers with what is found in them."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    rows = ledgers.overview(workspace, me, _day(on))
    if shell.as_json:
        shell.give([{**r, "ledger": r["ledger"].id, "title": dict(r["ledger"].title)} for r in rows])
        return
    shell.table(
        "",
        _heads(
            shell, "代号 台账 行数 不符 逾期 临期 搁置 最近变更",
            "id ledger rows breaches overdue soon aside changed", (2, 3, 4, 5, 6),
        ),
        [(r["ledger"].id, shell.pick(r["ledger"].title), r["rows"], r["findings"], r["overdue"], r["soon"],
          r["aside"], f"{r['change']['at']:%Y-%m-%d}" if r["change"] else None) for r in rows],
    )  # fmt: skip


@app.command()
def show(
    context: typer.Context,
    ledger: Ledger,
    key: Annotated[
        str, typer.Argument(help="行的标识，空为声明 / identity of a row; empty: what is declared")
    ] = "",
) -> None:
    """一本台账的声明，或其中一行。What a ledger declares, or one of its rows."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    declared = ledgers.load_ledger(ledger)
    if key:
        row = ledgers.one(workspace, ledger, ledgers.number_of(workspace, ledger, key), me=me)
        if shell.as_json:
            shell.give(row)
            return
        cells = [(shell.pick(c.words), row["data"].get(c.name), c.unit) for c in declared.columns]
        shell.table(f"{row['key']} ({row['standing']})", _heads(shell, "列 值 单位", "column value unit"), cells)
        return
    if shell.as_json:
        shell.give(ledgers.declaration(declared))
        return
    shell.out.print(f"{shell.pick(declared.title)}  {shell.pick(declared.about)}", markup=False)
    shell.table(
        "",
        _heads(shell, "列 名称 类型 单位 必填", "column name type unit required"),
        [(c.name, shell.pick(c.words), c.type, c.unit, c.required) for c in declared.columns],
    )
    said = [(c.id, c.level, shell.pick(c.message)) for c in declared.checks]
    said += [(d.id, "due", shell.pick(d.message)) for d in declared.deadlines]
    if said:
        shell.table("", _heads(shell, "规则 性质 要求", "rule level says"), said)


@app.command()
def template(
    context: typer.Context,
    ledger: Ledger,
    file: Annotated[Path, typer.Argument(help="新的 .xlsx 文件 / a new .xlsx file")],
) -> None:
    """写出空模板（下拉、批注）。Write an empty workbook with drop-downs and notes."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    _free(file)
    file.write_bytes(ledgers.export(workspace, ledger, None, me=me, lang=shell.lang))
    shell.give({"file": str(file)}) if shell.as_json else shell.out.print(str(file))


@app.command("import")
def import_it(
    context: typer.Context,
    ledger: Ledger,
    file: Workbook,
    dry: Annotated[bool, typer.Option("--dry-run", help="只试算，不写入 / look only, write nothing")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="完整台账：未列出的行撤销 / rows that it leaves out are withdrawn")
    ] = False,
    repairs: Annotated[
        int | None, typer.Option(help="修复哪次导入的搁置行 / change whose lines it repairs")
    ] = None,
    marked: Annotated[
        Path | None, typer.Option(help="标注问题的工作簿写到这里 / where to write it with its faults marked")
    ] = None,
    reason: Annotated[str, typer.Option(help="理由 / why")] = "",
    by: By = "",
    on: On = "",
) -> None:
    """导入工作簿；有误的行搁置。Take a workbook in; lines at fault are kept aside."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context, by)
    if not file.is_file():
        raise NotFound(f"{file} is not a file.", remedy="Give a workbook.")
    if marked is not None:
        _free(marked)
    day = _day(on)
    report = ledgers.import_workbook(
        workspace, ledger, file, name=file.name, me=me, today=day, now=datetime.now(UTC), dry=dry,
        withdraw_missing=whole, reason=reason, repairs=repairs,
    )  # fmt: skip
    if marked is not None:
        data, _ = ledgers.marked_workbook(workspace, ledger, report.change, me=me, today=day)
        marked.write_bytes(data)
    if shell.as_json:
        shell.give({"ledger": ledger, "change": report.change, "dry": dry, **report.counts,
                    "faults": report.faults.head(1000).to_dicts()})  # fmt: skip
        return
    words = shell.say("试算，未写入", "tried, nothing written") if dry else shell.say("已写入", "written")
    shell.out.print(f"{words} ({shell.say('变更', 'change')} {report.change})")
    heads = (
        "读到 新增 修改 无变化 恢复 撤销 搁置 已知 修复 不符 提醒",
        "read added changed same back withdrawn aside known repaired breaches warnings",
    )
    shell.table("", _heads(shell, *heads, right=range(11)), [[report.counts[n] for n in ledgers.COUNTS]])
    _faults(shell, report.faults)


def _faults(shell: Shell, faults: Any, most: int = 20) -> None:
    if not faults.height:
        return
    lang = shell.lang
    rows = [
        (f["line"], f["column"], f["level"], (f["value"] or "")[:30], f[lang], f[f"remedy_{lang}"])
        for f in faults.head(most).iter_rows(named=True)
    ]
    heads = _heads(shell, "行 列 性质 原值 问题 办法", "line column level cell fault remedy", (0,))
    shell.table("", heads, rows)
    if faults.height > most:
        more = faults.height - most
        shell.out.print(shell.say(f"另有 {more} 处，--marked 标注全部", f"{more} more; --marked marks them all"))


@app.command()
def export(
    context: typer.Context,
    ledger: Ledger,
    file: Annotated[Path, typer.Argument(help="新的 .xlsx 文件 / a new .xlsx file")],
    search: Annotated[str, typer.Option(help="搜索词 / words to find")] = "",
    place: Place = "",
) -> None:
    """导出台账行，改好可再导入。Write rows as a workbook that can be imported again."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    _free(file)
    asked = ledgers.Asked(search, place)
    rows = ledgers.wanted(ledgers.load_ledger(ledger), ledgers.frame(workspace, ledger).rows, asked)
    file.write_bytes(ledgers.export(workspace, ledger, rows, me=me, lang=shell.lang))
    shell.give({"file": str(file), "rows": rows.height}) if shell.as_json else shell.out.print(
        shell.say(f"{rows.height} 行：{file}", f"{rows.height} rows: {file}")
    )


@app.command()
def check(context: typer.Context, ledger: Ledger, on: On = "") -> None:
    """按现行声明重新核对全部行。Hold all rows against the declaration as it is now."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    found = ledgers.recheck(workspace, ledger, me=me, today=_day(on))
    if shell.as_json:
        shell.give({"ledger": ledger, "counts": found.counts, "faults": found.faults.head(1000).to_dicts()})
        return
    text = shell.say("行数 {}，错误行 {}，不符 {}，提醒 {}", "{} rows, {} with errors, {} breaches, {} warnings")
    numbers = [found.counts[n] for n in ("read", "aside", "findings", "warnings")]
    shell.out.print(text.format(*numbers))
    _faults(shell, found.faults)


@app.command()
def due(
    context: typer.Context,
    ledger: Of = "",
    article: Article = None,
    place: Place = "",
    days: Annotated[int | None, typer.Option(help="几天内到期（含逾期） / due within so many days")] = None,
    on: On = "",
    limit: Limit = 50,
) -> None:
    """未完成的期限事项，先到先列。What is not done yet, the earliest first."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    rows = ledgers.deadlines(
        workspace, me, _day(on), ledger=ledger, article=article, place=place, within_days=days
    )
    if shell.as_json:
        shell.give({"total": len(rows), "rows": rows[:limit]})
        return
    heads = _heads(shell, "期限 天 台账 对象 地区 条 要求", "due days ledger row place article asked", (1,))
    shell.table("", heads, [(r["due"], r["days"], r["ledger"], r["label"] or r["_key"], r["place"], r["article"],
                             r[shell.lang]) for r in rows[:limit]])  # fmt: skip
    shell.out.print(shell.say(f"共 {len(rows)} 项", f"{len(rows)} in all"))


@app.command()
def findings(
    context: typer.Context,
    ledger: Of = "",
    article: Article = None,
    place: Place = "",
    warnings: Annotated[bool, typer.Option("--warnings", help="连同提醒 / warnings too")] = False,
    on: On = "",
    limit: Limit = 50,
) -> None:
    """违反条款的行。Rows that break an article of the plan."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    rows = ledgers.findings(
        workspace, me, _day(on), ledger=ledger, article=article, place=place, level="" if warnings else "finding"
    )
    if shell.as_json:
        shell.give({"total": len(rows), "rows": rows[:limit]})
        return
    heads = _heads(shell, "台账 对象 地区 条 原值 不符", "ledger row place article cell breach")
    told = [
        (r["ledger"], r["label"] or r["_key"], r["place"], r["article"], r["value"], r[shell.lang])
        for r in rows[:limit]
    ]
    shell.table("", heads, told)
    shell.out.print(shell.say(f"共 {len(rows)} 处", f"{len(rows)} in all"))


@app.command()
def indicators(context: typer.Context, ledger: Of = "", on: On = "") -> None:
    """台账算出的指标及其判定的目标。Numbers that ledgers give, and the targets that they answer."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    rows = ledgers.indicators(workspace, me, _day(on), ledger=ledger)
    if shell.as_json:
        shell.give(rows)
        return
    heads = _heads(shell, "台账 指标 值 单位 行数 目标", "ledger indicator value unit rows target", (2, 4))
    shell.table("", heads, [(r["ledger"], shell.pick(r["title"]), r["value"], r["unit"], r["rows"], r["target"])
                            for r in rows])  # fmt: skip


@app.command()
def history(context: typer.Context, ledger: Ledger, key: Key) -> None:
    """一行的全部版本。Every version of a row."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context)
    rows = ledgers.history(workspace, ledger, ledgers.number_of(workspace, ledger, key), me=me)
    if shell.as_json:
        shell.give(rows)
        return
    heads = _heads(shell, "版本 时间 经办 操作 变动 理由", "version when by what changed reason", (0,))
    told = [
        (r["version"], f"{r['at']:%Y-%m-%d %H:%M}Z", r["by"], r["act"],
         "; ".join(f"{c['column']}: {c['before']} → {c['after']}" for c in r["changes"]), r["reason"])
        for r in rows
    ]  # fmt: skip
    shell.table("", heads, told)


@app.command()
def merge(
    context: typer.Context,
    ledger: Ledger,
    stays: Annotated[str, typer.Argument(help="保留的行 / identity of the row that stays")],
    goes: Annotated[str, typer.Argument(help="并入的行 / identity of the row that goes")],
    reason: Reason,
    take: Annotated[
        list[str] | None,
        typer.Option(help="采用并入行的列，可重复 / columns in which it is right, may be repeated"),
    ] = None,
    by: By = "",
) -> None:
    """合并重复的两行，历史都保留。Merge two rows that mean the same; both histories stay."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context, by)
    a, b = (ledgers.number_of(workspace, ledger, key) for key in (stays, goes))
    now = datetime.now(UTC)
    ledgers.merge(workspace, ledger, a, b, take=take or (), reason=reason, me=me, today=today(now), now=now)
    shell.give({"stays": stays, "goes": goes}) if shell.as_json else shell.out.print(
        shell.say("已合并。", "Merged.")
    )


@app.command()
def withdraw(
    context: typer.Context,
    ledger: Ledger,
    keys: Annotated[list[str], typer.Argument(help="行的标识 / identities of rows")],
    reason: Reason,
    by: By = "",
) -> None:
    """撤销行，历史保留。Take rows out; their history stays."""
    from qinglan.flow import ledgers

    shell, workspace, me = _office(context, by)
    numbers = [ledgers.number_of(workspace, ledger, key) for key in keys]
    done = ledgers.withdraw(workspace, ledger, numbers, reason=reason, me=me, now=datetime.now(UTC))
    shell.give({"withdrawn": done}) if shell.as_json else shell.out.print(
        shell.say(f"已撤销 {done} 行。", f"{done} withdrawn.")
    )
