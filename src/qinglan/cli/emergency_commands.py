"""`qinglan emergency`: the emergency list checked, completed, accepted; its lines; the sheet of a plant."""

from __future__ import annotations

import getpass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell, day_of
from qinglan.core.clock import today

app = typer.Typer(
    help="重污染天气应急减排清单。The emergency reduction list.", no_args_is_help=True, rich_markup_mode=None
)

Year = Annotated[int, typer.Option(help="清单年度，默认最新 / year of the list, by default its newest")]
On = Annotated[str, typer.Option(help="日期，默认今天 / day, by default today")]
By = Annotated[str, typer.Option("--by", help="经办人 / who acts")]
#: Lists that a terminal still reads; all of it with --all or --json.
_SHOWN = 20


def _open(context: typer.Context, on: str) -> tuple[Shell, Any, date]:
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    return shell, open_workspace(shell.home), day_of(on) if on else today(datetime.now(UTC))


def _needs(shell: Shell, needs: Any, last: str) -> None:
    """Required and reached by level and species, in per cent and tonnes a day."""
    from qinglan.episode.reasons import LEVEL_WORDS, SPECIES_WORDS

    side = 0 if shell.lang == "zh" else 1
    heads = shell.say(
        "级别 污染物 要求% 清单% 可信% 要求t/d 可信t/d 判定",
        "level species required% listed% credible% required_t/d credible_t/d holds",
    ).split()  # fmt: skip
    if last == "completed":
        heads[-3:-2] = [shell.say("补足后%", "completed%"), heads[-3]]
    rows = []
    for n in needs.iter_rows(named=True):
        shares = [f"{100 * n[k]:.1f}" for k in ("required", "claimed", "credible")]
        shares += [f"{100 * n['completed']:.1f}"] if last == "completed" else []
        rows.append(
            (LEVEL_WORDS[n["level"]][side], SPECIES_WORDS[n["need"]][side], *shares, f"{n['required_t']:.2f}",
             f"{n[f'{last}_t']:.2f}", shell.say("达到", "yes") if n["holds"] else shell.say("不足", "SHORT"))
        )  # fmt: skip
    shell.table("", [(head, "left") for head in heads], rows)


@app.command()
def check(
    context: typer.Context,
    year: Year = 0,
    on: On = "",
    every: Annotated[bool, typer.Option("--all", help="列出全部问题 / list every finding")] = False,
) -> None:
    """核对清单：减排比例、覆盖、一刀切、民生保障、停产时间。Check the list; exit code 1 where it falls short."""
    from qinglan.flow import emergency

    shell, workspace, day = _open(context, on)
    found = emergency.check(workspace, day, year or None)
    holds = bool(found.needs["holds"].all())
    if shell.as_json:
        shell.give(
            {"year": found.year, "inventory": found.gathered.inventory, "inventory_year": found.gathered.year,
             "base": dict(found.gathered.base), "lines": found.rows.height, "holds": holds,
             "needs": found.needs.to_dicts(), "findings": found.findings.to_dicts()}
        )  # fmt: skip
    else:
        shell.out.print(
            shell.say(
                f"{found.year}年清单{found.rows.height}条线，排放清单{found.gathered.year}年（{found.gathered.inventory}）。",
                f"List of {found.year}: {found.rows.height} lines; inventory of {found.gathered.year} "
                f"({found.gathered.inventory}).",
            )
        )  # fmt: skip
        _needs(shell, found.needs, "credible")
        counts = found.findings.group_by("check").len().sort("len", "check", descending=[True, False])
        shell.table(
            "", [(shell.say("检查", "check"), "left"), (shell.say("问题", "findings"), "right")], counts.rows()
        )
        told = found.findings if every else found.findings.head(_SHOWN)
        for row in told.iter_rows(named=True):
            said = shell.say(f"{row['zh']}{row['remedy_zh']}", f"{row['en']} {row['remedy_en']}")
            shell.out.print(f"  {row['key'] or '—'}  {said}", markup=False)
    if not holds:
        raise typer.Exit(1)


@app.command()
def lines(
    context: typer.Context,
    year: Year = 0,
    on: On = "",
    place: Annotated[str, typer.Option(help="县区代码 / code of a county")] = "",
) -> None:
    """在用生产线和设施：日排放量、等级、如何核查。Lines in use: tonnes a day, grade, how each is checked."""
    from qinglan.episode.completion import SPECIES
    from qinglan.episode.list_rows import verified_by
    from qinglan.flow import emergency

    shell, workspace, day = _open(context, on)
    found = emergency.gathered(workspace, emergency.year_of(workspace, year or None), day).lines
    rows = [r for r in found.iter_rows(named=True) if not place or r["county"] == place]
    if shell.as_json:
        shell.give([{**r, "verified_by": verified_by(r)} for r in rows])
        return
    heads = shell.say(
        "企业 线 行业 等级 颗粒物 二氧化硫 氮氧化物 VOCs 核查",
        "enterprise line sector grade pm so2 nox voc checked_by",
    ).split()
    shell.table(
        "t/d", [(head, "left") for head in heads],
        [(*(r[k] for k in ("enterprise", "line", "sector", "grade", *SPECIES)), verified_by(r)) for r in rows],
    )  # fmt: skip


@app.command()
def complete(
    context: typer.Context,
    year: Year = 0,
    on: On = "",
    accept: Annotated[bool, typer.Option("--accept", help="写入台账 / write it into the ledger")] = False,
    reason: Annotated[str, typer.Option(help="接受的理由 / why it is accepted")] = "",
    by: By = "",
    every: Annotated[bool, typer.Option("--all", help="列出全部变化 / list every change")] = False,
) -> None:
    """补足清单：费用最低的公平方案，逐线说明；--accept 写入台账。The cheapest fair completion, line by line."""
    from qinglan.flow import emergency
    from qinglan.flow.ledgers import local_office

    shell, workspace, day = _open(context, on)
    found = emergency.propose(workspace, day, year or None)
    told: dict[str, Any] = {
        "year": found.year, "met": found.met, "digest": found.digest, "cost": found.cost,
        "needs": found.needs.to_dicts(), "changes": found.changes.to_dicts(), "held": found.held.to_dicts(),
    }  # fmt: skip
    if not shell.as_json:
        _needs(shell, found.needs, "completed")
        for row in found.held.iter_rows(named=True):
            said = shell.say(f"{row['zh']}{row['remedy_zh']}。", f"{row['en']} Remedy: {row['remedy_en']}.")
            shell.out.print(f"  {said}", markup=False)
        for row in (found.changes if every else found.changes.head(_SHOWN)).iter_rows(named=True):
            said = shell.say(row["zh"], row["en"])
            shell.out.print(f"  {row['enterprise']} {row['line']} [{row['kind']}] {said}", markup=False)
        kinds = dict(found.changes.group_by("kind").len().sort("kind").iter_rows())
        shell.out.print(
            shell.say(
                f"方案 {found.digest}：{kinds or '无变化'}", f"Proposal {found.digest}: {kinds or 'no change'}"
            ),
            markup=False,
        )
    if accept:
        who = local_office(workspace, by or getpass.getuser())
        done = emergency.accept(
            workspace, found.digest, reason=reason, me=who, today=day, now=datetime.now(UTC), year=found.year
        )
        told |= {"accepted": done.changed, "refused": done.refused, "change": done.change}
        if not shell.as_json:
            shell.out.print(
                shell.say(f"已写入{done.changed}行，退回{done.refused}行。",
                          f"{done.changed} rows written, {done.refused} refused.")
            )  # fmt: skip
    if shell.as_json:
        shell.give(told)
    if not found.met:
        raise typer.Exit(1)


@app.command()
def sheet(
    context: typer.Context,
    uscc: Annotated[str, typer.Argument(help="统一社会信用代码 / credit code of an enterprise")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="写到这个文件，.docx或.pdf / file to write, .docx or .pdf")
    ],
    year: Year = 0,
    on: On = "",
    by: By = "",
) -> None:
    """一厂一策：一家企业各级预警的措施、减排量、时限和核查方式。The sheet of one plant, as Word or PDF."""
    from qinglan.flow import emergency
    from qinglan.flow.ledgers import local_office

    shell, workspace, day = _open(context, on)
    me = local_office(workspace, by or getpass.getuser())
    data, name = emergency.sheet(
        workspace, me, day, uscc, language=shell.lang, form=out.suffix.removeprefix(".").lower(), year=year or None
    )
    out.write_bytes(data)
    if shell.as_json:
        shell.give({"name": name, "file": str(out), "bytes": len(data)})
    else:
        shell.out.print(shell.say(f"已写入{out}。", f"{out} was written."), markup=False)
