"""`qinglan inventory`: freeze a year of the ledgers, total it, say where a number comes from and what changed."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from qinglan.cli.output import Shell
from qinglan.core.errors import UnknownName, UsageError

app = typer.Typer(help="排放清单。The emission inventory.", no_args_is_help=True, rich_markup_mode=None)

Version = Annotated[str, typer.Option("--version", help="版本，默认最新 / a version, by default the newest")]
Species = Annotated[str, typer.Option(help="污染物，逗号分隔 / species, by commas")]
#: What `export` writes, by the ending of the file.
FORMS = (".xlsx", ".csv", ".parquet")


def _held(context: typer.Context, version: str) -> tuple[Shell, Any]:
    """The shell, and a version with its frames."""
    from qinglan.flow import inventory
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    return shell, inventory.open_version(open_workspace(shell.home), version or None)


def _frame(shell: Shell, frame: pl.DataFrame) -> None:
    """A frame as JSON or as a table."""
    if shell.as_json:
        shell.give(frame.to_dicts())
        return
    sides = ["right" if kind.is_numeric() else "left" for kind in frame.dtypes]
    shell.table("", list(zip(frame.columns, sides, strict=True)), frame.rows())


@app.command()
def build(
    context: typer.Context,
    year: Annotated[int, typer.Argument(help="年份 / year")],
    reason: Annotated[str, typer.Option(help="理由（必填） / why")],
    by: Annotated[str, typer.Option("--by", help="经办人 / who acts")] = "",
) -> None:
    """由台账核算一年的清单并冻结。Build a year out of the ledgers and freeze it."""
    from qinglan.flow import inventory
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    workspace, who = open_workspace(shell.home), by or getpass.getuser()
    made = inventory.freeze(workspace, year, by=who, reason=reason, now=datetime.now(UTC))
    if shell.as_json:
        shell.give(made.as_dict())
        return
    if made.existing:
        told = f"与 {made.id} 完全相同，未另建。", f"The same as {made.id}; nothing was made."
    else:
        told = (
            f"{made.id}：{made.rows['emissions']} 项排放，{made.rows['gaps']} 项缺口。",
            f"{made.id}: {made.rows['emissions']} emissions, {made.rows['gaps']} gaps.",
        )
    shell.out.print(shell.say(*told))
    shell.table("", [("species", "left"), ("t", "right")], list(made.totals.items()))


@app.command("list")
def list_them(context: typer.Context) -> None:
    """列出已冻结的清单。List what is frozen."""
    from qinglan.flow import inventory
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    found = inventory.versions(open_workspace(shell.home))
    if shell.as_json:
        shell.give([version.as_dict() for version in found])
        return
    heads = shell.say(
        "版本 年份 冻结时间 经办人 理由 排放 缺口", "version year made by reason emissions gaps"
    ).split()
    rows = [
        (v.id, v.year, v.made[:16], v.by, v.reason, v.rows["emissions"], v.rows["gaps"]) for v in found
    ]  # fmt: skip
    shell.table("", [(head, "left") for head in heads], rows)


@app.command()
def totals(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="分组，逗号分隔 / groups, by commas")] = "class",
    species: Species = "",
    place: Annotated[str, typer.Option(help="地区代码，含下级 / division code, with all inside it")] = "",
    sector: Annotated[str, typer.Option(help="行业 / sector")] = "",
    version: Version = "",
) -> None:
    """汇总排放量（吨/年）。Total the tonnes of a year."""
    from qinglan.flow import inventory

    shell, held = _held(context, version)
    found = inventory.totals(
        held, _parts(by), species=_parts(species) or None, place=place or None, sector=sector or None
    )
    _frame(shell, found)


@app.command()
def gaps(context: typer.Context, version: Version = "") -> None:
    """哪些没有算出，为什么。What could not be computed, and why."""
    shell, held = _held(context, version)
    _frame(
        shell, held.gaps.group_by("reason", "ledger").len("rows").sort("rows", "ledger", descending=[True, False])
    )


@app.command()
def explain(
    context: typer.Context,
    ledger: Annotated[str, typer.Argument(help="台账代号 / id of the ledger")],
    key: Annotated[str, typer.Argument(help="行的标识 / identity of the row")],
    species: Annotated[str, typer.Argument(help="污染物 / species")],
    activity: Annotated[str, typer.Option(help="活动，行内不止一个时 / activity, where a row has several")] = "",
    version: Version = "",
) -> None:
    """一个数怎么来的：活动、系数、去除、出处。Where a number comes from."""
    from dataclasses import asdict

    from qinglan.flow import inventory

    shell, held = _held(context, version)
    found = inventory.explain(held, ledger, key, activity or None, species)
    steps = [asdict(step) for step in found["steps"]]
    if shell.as_json:
        shell.give({**found, "steps": steps})
        return
    heads = shell.say("输入 数值 出处 可靠程度", "input value source certainty").split()
    shell.table("", [(head, "left") for head in heads], [tuple(step.values()) for step in steps])


@app.command()
def check(
    context: typer.Context,
    top_down: Annotated[Path | None, typer.Option(help="自上而下清单CSV / a top-down inventory, CSV")] = None,
    region: Annotated[str, typer.Option(help="REAS的地区，空为本地 / region of REAS, else our own")] = "",
    band: Annotated[str, typer.Option(help="比值范围 / band: half_again, factor_two, factor_three")] = "",
    kind: Annotated[str, typer.Option(help="只看一种 / findings of one check")] = "",
    year: Annotated[int | None, typer.Option(help="年份，核对台账现状 / year of the ledgers as they are")] = None,
    version: Annotated[str, typer.Option(help="改为核对已冻结版本 / a frozen version instead")] = "",
    limit: Annotated[int, typer.Option(help="列出条数，0 为全部 / how many to list, 0 for all")] = 30,
) -> None:
    """核对清单：与别处数据对不上的逐条列出。Hold an inventory against what others know."""
    from qinglan.emission.findings import KINDS
    from qinglan.flow import inventory_checks
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    if kind and kind not in KINDS:
        raise UnknownName("check", kind, KINDS)
    if version and year is not None:
        raise UsageError("a version has its own year.", remedy="Give --version or --year, not both.")
    workspace = open_workspace(shell.home)
    given = inventory_checks.read_file(workspace, top_down, region) if top_down else None
    wanted = inventory_checks.Wanted(version or inventory_checks.DRAFT, year, band, given)
    report = inventory_checks.check(workspace, wanted)
    found = report.findings.filter(kind=kind) if kind else report.findings
    if shell.as_json:
        shell.give(report.as_dict() | {"findings": found.to_dicts()})
        return
    _tell(shell, report, found, limit)


def _tell(shell: Shell, report: Any, found: pl.DataFrame, limit: int) -> None:
    """What was asked, by check, and the findings."""
    from qinglan.emission.findings import texts

    title = {kind: shell.pick(words) for kind, words in texts().items() if kind != "coal"}
    heads = shell.say("核对项,比较数,问题,没有核对的及原因", "check,compared,findings,not checked and why").split(
        ","
    )
    counted = [
        (title[c["kind"]], c["compared"], c["found"], "; ".join(shell.pick(why) for why in c["lacking"]))
        for c in report.counts()
    ]
    shell.table(f"{report.version} {report.year}", [(head, "left") for head in heads], counted)
    heads = shell.say("核对项,台账,行,名称,说明", "check,ledger,row,name,says").split(",")
    shown = (found.head(limit) if limit else found).iter_rows(named=True)
    rows = [(title[f["kind"]], f["ledger"], f["row_key"], f["name"], f[shell.lang]) for f in shown]
    shell.table("", [(head, "left") for head in heads], rows)
    shell.out.print(shell.say(f"共 {found.height} 条", f"{found.height} findings"))


@app.command()
def compare(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="版本 / version")],
    after: Annotated[str, typer.Argument(help="版本 / version")],
    limit: Annotated[int, typer.Option(help="列出条数 / how many to list")] = 20,
) -> None:
    """两个版本逐行比较，分解为活动、系数、治理。Two versions row by row: activity, factor, control."""
    from qinglan.flow import inventory
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    found = inventory.compare(open_workspace(shell.home), before, after)
    if shell.as_json:
        shell.give({"rows": found.rows.to_dicts(), "totals": found.totals.to_dicts()})
        return
    _frame(shell, found.totals)
    shown = ("kind", "ledger", "source_id", "species", "before_t", "after_t", "change_t")
    _frame(shell, found.rows.select(name for name in shown if name in found.rows.columns).head(limit))
    shell.out.print(shell.say(f"共 {found.rows.height} 行不同", f"{found.rows.height} rows differ"))


@app.command()
def uncertainty(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="分组，逗号分隔 / groups, by commas")] = "species",
    species: Annotated[
        str, typer.Option(help="列出这种污染物的不确定从哪来 / what makes one species unsure")
    ] = "",
    limit: Annotated[int, typer.Option(help="列出条数，0 为全部 / how many to list, 0 for all")] = 30,
    version: Version = "",
) -> None:
    """总量的95%区间，或一种污染物的不确定从哪来。How sure totals are, or what makes one species unsure."""
    from qinglan.flow import inventory

    shell, held = _held(context, version)
    if species:
        found = inventory.weighed(held, species).inputs.drop("variance", "ledger", "row_key")
    else:
        found = inventory.uncertainty(held, _parts(by)).drop("mean", "sd")
    _frame(shell, found.head(limit) if limit else found)
    if not shell.as_json:
        told = (
            f"蒙特卡罗 {inventory.DRAWS} 次，种子 {inventory.SEED}",
            f"Monte Carlo of {inventory.DRAWS} draws, seed {inventory.SEED}",
        )
        shell.out.print(shell.say(*told))


Step = Annotated[int, typer.Option(help="网格边长（km） / size of a cell [km]: 3, 9, 18, 36")]


@app.command()
def field(
    context: typer.Context,
    species: Annotated[str, typer.Argument(help="污染物 / species")],
    step: Step = 9,
    limit: Annotated[int, typer.Option(help="列出条数，0 为全部 / how many cells, 0 for all")] = 20,
    version: Version = "",
) -> None:
    """按网格的年排放量（吨），最大的在前。Tonnes a year by cell, the largest first."""
    from qinglan.flow.inventory import fields

    shell, held = _held(context, version)
    found = fields.cells(fields.field_of(held, step), species)
    _frame(shell, found.head(limit) if limit else found)


@app.command("trace")
def trace_cell(
    context: typer.Context,
    lon: Annotated[float, typer.Argument(help="经度 / longitude")],
    lat: Annotated[float, typer.Argument(help="纬度 / latitude")],
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="日期 / day")],
    hour: Annotated[int, typer.Argument(help="小时 1–24，以结束时刻为名 / hour, named by its end")],
    species: Annotated[str, typer.Argument(help="污染物 / species")],
    step: Step = 9,
    version: Version = "",
) -> None:
    """一个网格一小时的排放由台账哪些行、哪些系数算出。The rows and factors that make a cell's hour."""
    from qinglan.flow.inventory import fields

    shell, held = _held(context, version)
    made = fields.field_of(held, step)
    iy, ix = fields.cell_at(made, lon, lat)
    at = fields.hour_of(held.version.year, day.date(), hour)
    found = fields.trace_cell(held, made, iy, ix, at, species)
    if shell.as_json:
        shell.give({"version": held.version.id, "cell": [iy, ix], "tonnes": found["tonnes"].sum(),
                    "rows": found.to_dicts()})  # fmt: skip
        return
    _frame(shell, found.select("ledger", "row_key", "sector", "tonnes", "share", "working", "factor_id"))
    told = (
        f"{found.height} 行，共 {found['tonnes'].sum():.5g} t",
        f"{found.height} rows, {found['tonnes'].sum():.5g} t",
    )
    shell.out.print(shell.say(*told))


@app.command()
def export(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="XLSX、CSV 或 Parquet / a file to write")],
    version: Version = "",
) -> None:
    """导出：指南格式工作簿，或全部排放行。Write the guide's tables, or all emissions."""
    from qinglan.emission.export.workbook import tables

    shell, held = _held(context, version)
    if path.exists():
        raise UsageError(f"{path} is there already.", remedy="Choose another name.")
    if path.suffix not in FORMS:
        raise UsageError(
            f"cannot write {path.suffix or 'a file without ending'}.", remedy=f"End it in {', '.join(FORMS)}."
        )
    if path.suffix == ".xlsx":
        path.write_bytes(tables(held.emissions))
    elif path.suffix == ".csv":
        held.emissions.drop("sigma").write_csv(path, include_bom=True)
    else:
        held.emissions.write_parquet(path)
    told = {"version": held.version.id, "rows": held.emissions.height, "path": str(path)}
    if shell.as_json:
        shell.give(told)
    else:
        shell.out.print(shell.say(f"{path}：{told['rows']} 行", f"{path}: {told['rows']} rows"), markup=False)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
