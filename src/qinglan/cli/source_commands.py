"""`qinglan source`: every enterprise once, what the ledgers say of it, where they disagree, what people decide."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

import polars as pl
import typer

from qinglan.cli.output import Shell
from qinglan.core.clock import today

app = typer.Typer(
    help="污染源：一企一档与不一致。Sources: one file each, and conflicts.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip

Year = Annotated[int | None, typer.Option(help="按年台账取哪一年 / year of the yearly ledgers")]
Code = Annotated[str, typer.Argument(help="统一社会信用代码 / credit code")]
Place = Annotated[str, typer.Option(help="市州或县区代码 / code of a prefecture or county")]
Words = Annotated[str, typer.Option("--q", help="名称或代码中的字 / words of the name or code")]
Limit = Annotated[int, typer.Option(help="列出条数 / how many to list")]


def _office(context: typer.Context, by: str = "") -> tuple[Shell, Any, Any]:
    """The shell, the workspace, and the office that acts."""
    from qinglan.flow.ledgers import local_office
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    workspace = open_workspace(shell.home)
    return shell, workspace, local_office(workspace, by or getpass.getuser())


def _give(shell: Shell, rows: pl.DataFrame, columns: list[str], limit: int) -> None:
    """Rows as JSON, or the columns of the first of them as a table with how many there are."""
    if shell.as_json:
        shell.give(rows.to_dicts())
        return
    sides = [(n, "right" if rows.schema[n].is_numeric() else "left") for n in columns]
    shell.table("", sides, rows.select(columns).head(limit).rows())
    shell.out.print(shell.say(f"共 {rows.height} 条。", f"{rows.height} in all."))


@app.command("list")
def list_them(
    context: typer.Context,
    q: Words = "",
    place: Place = "",
    record: Annotated[str, typer.Option(help="有此台账的行 / known to this ledger")] = "",
    lacks: Annotated[str, typer.Option(help="无此台账的行 / not known to this ledger")] = "",
    only: Annotated[str, typer.Option(help="conflict|open|alone")] = "",
    year: Year = None,
    limit: Limit = 50,
) -> None:
    """列出污染源：有几本台账、几处不一致。List the sources, who knows them, and their conflicts."""
    from qinglan.flow.views import sources

    shell, workspace, me = _office(context)
    found = sources.found(workspace, me, today(datetime.now(UTC)).year, year)
    ask = {"q": q, "place": place, "industry": "", "record": record, "lacks": lacks, "only": only}
    rows = sources.chosen(found, ask)
    columns = ["identity", "name", "county", "industry_class", "grade", "rows", "conflicts", "open"]
    _give(shell, rows, columns, limit)


@app.command()
def show(context: typer.Context, code: Code, year: Year = None) -> None:
    """各台账对一家企业怎么说，采信谁。What the ledgers say of a source, and who is believed."""
    from qinglan.flow.views import source

    shell, workspace, me = _office(context)
    now = datetime.now(UTC)
    one = source.source(workspace, me, today(now), now, code, year)
    if shell.as_json:
        records = [{"ledger": r["ledger"].id, "total": r["total"]} for r in one.records]
        shell.give({
            **one.row, "year": one.told.year, "facts": one.facts, "conflicts": one.conflicts, "records": records,
            "outlets": one.outlets, "listed": one.listed, "grades": one.grades, "inspections": one.inspections,
            "emitted": one.emitted, "emission_year": one.emission_year, "orders": one.orders,
        })  # fmt: skip
        return
    shell.out.print(f"{one.row['name']}  {code}  {one.told.year}", markup=False)
    heads = [(h, "left") for h in shell.say("事项 台账 值 状态", "fact origin value state").split()]
    said = [
        (shell.pick(f["words"]), v["origin"], f"{v['value']} {f['unit']}".strip(), v["state"])
        for f in one.facts
        for v in ([f["won"]] if f["won"] else []) + f["others"]
    ]
    shell.table("", heads, said)
    rows = [(shell.pick(r["ledger"].title), r["total"]) for r in one.records]
    shell.table("", [(shell.say("台账", "ledger"), "left"), (shell.say("行数", "rows"), "right")], rows)


@app.command()
def conflicts(
    context: typer.Context,
    q: Words = "",
    place: Place = "",
    fact: Annotated[str, typer.Option(help="事项，如 so2_kg / a fact")] = "",
    origin: Annotated[str, typer.Option(help="一方，如 cems / one of the two sides")] = "",
    by: Annotated[str, typer.Option(help="rule|person")] = "",
    year: Year = None,
    limit: Limit = 50,
) -> None:
    """不一致台账：谁怎么说、采信谁、凭什么。Where ledgers disagree: who says what, who is believed, why."""
    from qinglan.flow.views import sources

    shell, workspace, me = _office(context)
    found = sources.found(workspace, me, today(datetime.now(UTC)).year, year)
    rows = sources.disagreements(found, {"q": q, "place": place, "fact": fact, "origin": origin, "by": by})
    columns = ["identity", "fact", "winner", "value", "other", "other_value", "difference", "decided_by",
               shell.say("zh", "en")]  # fmt: skip
    _give(shell, rows, columns, limit)


@app.command()
def decide(
    context: typer.Context,
    code: Code,
    fact: Annotated[str, typer.Argument(help="事项 / fact")],
    origin: Annotated[str, typer.Argument(help="采信哪一方 / whom to believe")],
    reason: Annotated[str, typer.Option(help="理由（必填） / why")],
    by: Annotated[str, typer.Option("--by", help="谁决定的 / who decides")] = "",
) -> None:
    """裁定对一件事采信哪本台账。Decide which ledger to believe about a fact of a source."""
    from qinglan.flow import identities

    shell, workspace, me = _office(context, by)
    identities.decide(workspace, me, code, fact, origin, reason=reason, now=datetime.now(UTC))
    shell.out.print(shell.say("已裁定，并写入审计链。", "Decided, and written into the audit log."))


@app.command()
def bind(
    context: typer.Context,
    origin: Annotated[str, typer.Argument(help="哪一方的行 / whose row")],
    row_key: Annotated[str, typer.Argument(help="行的标识 / identity of the row in its ledger")],
    code: Code,
    reason: Annotated[str, typer.Option(help="理由（必填） / why")],
    year: Year = None,
    by: Annotated[str, typer.Option("--by", help="谁认定的 / who says so")] = "",
) -> None:
    """认定一行没有身份的台账行属于哪家企业。Say to which enterprise a row without an identity belongs."""
    from qinglan.flow import identities

    shell, workspace, me = _office(context, by)
    now = datetime.now(UTC)
    on = year or today(now).year - 1
    identities.bind(workspace, me, origin, row_key, code, reason=reason, now=now, year=on)
    shell.out.print(shell.say("已认定，并写入审计链。", "Said, and written into the audit log."))
