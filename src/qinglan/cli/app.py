"""The commands. Each is thin: read arguments, call one flow, print."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text as Line
from typer.core import TyperGroup

from qinglan import __version__
from qinglan.cli import (
    account_commands,
    complaint_commands,
    emergency_commands,
    forecast_commands,
    inventory_commands,
    ledger_commands,
    operation_commands,
    plan_commands,
    report_commands,
    review_commands,
    source_commands,
    verdicts,
    warn_commands,
)
from qinglan.cli.output import Shell, day_of, options_of
from qinglan.core.clock import Period, from_day_and_hour, today
from qinglan.core.errors import QinglanError, UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS


class _Commands(TyperGroup):
    """The common options may stand anywhere: ``qinglan run --json`` is ``qinglan --json run``."""

    _FLAGS, _VALUED = ("--json",), ("--home", "--lang")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring them to the front."""
        front, rest, left = [], [], list(args)
        while left:
            word = left.pop(0)
            if word == "--":
                rest += [word, *left]
                break
            if word in self._FLAGS or word.startswith(tuple(f"{name}=" for name in self._VALUED)):
                front.append(word)
            elif word in self._VALUED:
                front += [word, *left[:1]]
                left = left[1:]
            else:
                rest.append(word)
        return super().parse_args(ctx, [*front, *rest])


app = typer.Typer(
    name="qinglan",
    cls=_Commands,
    help="青蓝：空气质量行动计划运行系统。Qinglan runs an air-quality action plan.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(plan_commands.app, name="plan")
app.add_typer(review_commands.app, name="review")
app.command()(review_commands.disclosure)
app.add_typer(account_commands.app, name="user")
app.add_typer(account_commands.log_app, name="audit-log")
app.add_typer(report_commands.app, name="report")
app.add_typer(complaint_commands.app, name="complaints")
app.add_typer(ledger_commands.app, name="ledger")
app.add_typer(source_commands.app, name="source")
app.add_typer(inventory_commands.app, name="inventory")
app.add_typer(forecast_commands.app, name="forecast")
app.add_typer(warn_commands.app, name="warn")
app.add_typer(emergency_commands.app, name="emergency")
app.command("open-data")(complaint_commands.open_data)

Paths = Annotated[list[Path], typer.Argument(help="文件、文件夹或压缩包 / files, folders or zip archives")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="规则选项 BOOK.OPTION=CHOICE / a rule option, may be repeated")
]
Who = Annotated[str, typer.Option("--by", help="谁决定的 / who decides")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="截止日 YYYY-MM-DD / last day to look at")]


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[
        Path, typer.Option("--home", envvar="QINGLAN_HOME", help="工作区文件夹 / workspace folder")
    ] = Path("qinglan-data"),
    lang: Annotated[str, typer.Option("--lang", envvar="QINGLAN_LANG", help="zh 或 en / zh or en")] = "zh",
    as_json: Annotated[bool, typer.Option("--json", help="输出JSON / print JSON")] = False,
) -> None:
    """青蓝：从原始小时数据到行动计划的判定。From raw hours to the verdict on the plan."""
    if lang not in ("zh", "en"):
        raise UsageError(f"language {lang!r} is not known.", remedy="Choose zh or en.")
    context.obj = Shell(home, lang, as_json)


def _now() -> datetime:
    return datetime.now(UTC)


def _open(shell: Shell) -> Any:
    from qinglan.flow.workspace import open_workspace

    return open_workspace(shell.home)


@app.command()
def version(context: typer.Context) -> None:
    """版本。Version."""
    shell: Shell = context.obj
    shell.give({"qinglan": __version__}) if shell.as_json else shell.out.print(f"qinglan {__version__}")


@app.command()
def init(
    context: typer.Context,
    plan: Annotated[str, typer.Option(help="行动计划包 / plan pack")] = "qinghai-2024",
    place: Annotated[str, typer.Option(help="本单位行政区划代码 / division code of the office")] = "630000",
    stations: Annotated[
        str, typer.Option(help="初始站点登记：qinghai 或 none / first station register")
    ] = "qinghai",
    simulated: Annotated[
        bool, typer.Option("--simulated", help="模拟数据工作区 / a workspace of invented data")
    ] = False,
    registry: Annotated[
        str, typer.Option(help="登记库：postgresql://USER@HOST/DB，空为SQLite / where the registry lies")
    ] = "",
) -> None:
    """建立工作区。Make a workspace: settings, lake, registry, first stations."""
    from qinglan.flow.setup import make_workspace

    shell: Shell = context.obj
    workspace, registered = make_workspace(
        shell.home, plan, place, None if stations == "none" else stations, simulated, registry
    )
    if shell.as_json:
        shell.give({"home": str(workspace.home), "plan": plan, "place": place, "stations": registered})
    else:
        shell.out.print(
            shell.say(
                f"工作区已建立：{workspace.home}（{plan}，站点 {registered}）。下一步：qinglan ingest",
                f"Ready: {workspace.home} ({plan}, {registered} stations). Next: qinglan ingest LAYOUT PATH...",
            )
        )


@app.command()
def layouts(context: typer.Context) -> None:
    """可读的数据布局。The layouts that `ingest` reads."""
    from qinglan.flow.sources import layouts as known

    shell: Shell = context.obj
    infos = [layout.LAYOUT for layout in known().values()]
    if shell.as_json:
        shell.give(
            [{"name": i.name, "zh": i.title_zh, "en": i.title_en, "options": dict(i.options)} for i in infos]
        )
        return
    rows = [
        (
            i.name,
            shell.say(i.title_zh, i.title_en),
            ", ".join(i.extensions),
            f"{i.convention.label}, UTC{i.convention.utc_offset:+g}",
            ", ".join(i.options),
        )
        for i in infos
    ]
    heads = shell.say("布局 内容 扩展名 时标 选项", "layout content files hour-label options").split()
    shell.table("", [(h, "left") for h in heads], rows)


@app.command()
def ingest(
    context: typer.Context,
    layout: Annotated[str, typer.Argument(help="布局名，或 auto / a layout's name, or auto")],
    paths: Paths,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="布局选项 NAME=VALUE / of the layout")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="布局 table 的映射文件 / mapping file of the layout table", exists=True, dir_okay=False),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="空单元格清除原值 / empty cells erase values")
    ] = False,
    by: Annotated[
        str, typer.Option("--by", help="装入者的登录名，默认为系统用户 / who loads; by default the OS user")
    ] = "",
) -> None:
    """把数据装入工作区：重复装入不改变任何内容。Load files; loading twice changes nothing."""
    from qinglan.flow.ingest import AUTO, IngestSettings, ingest_auto
    from qinglan.flow.ingest import ingest as load

    shell: Shell = context.obj
    chosen = {}
    for text in option or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"cannot read option {text!r}.", remedy="Write NAME=VALUE.")
        chosen[name] = value
    if mapping is not None:
        chosen["mapping"] = str(mapping)
    workspace = _open(shell)
    seen = [0]

    def progress(at: Any) -> None:
        if at.done != seen[0] and (at.done % max(1, at.files // 20) == 0 or at.done == at.files):
            shell.progress(f"{at.done}/{at.files} {at.name} ({at.rows:,})")
            seen[0] = at.done

    how: dict[str, Any] = {"options": chosen, "progress": progress, "replace": replace}
    how["settings"] = IngestSettings(who=by or getpass.getuser())
    reports = ingest_auto(workspace, paths, **how) if layout == AUTO else [load(workspace, layout, paths, **how)]
    if shell.as_json:
        found = [r.as_dict() for r in reports]
        shell.give({"layout": AUTO, "loads": found} if layout == AUTO else found[0])
    else:
        for report in reports:
            verdicts.print_load(shell, report)
    if any(f.status == "failed" for r in reports for f in r.files):
        raise typer.Exit(1)


@app.command()
def loads(context: typer.Context) -> None:
    """已做的装入。The loads so far, newest first."""
    shell: Shell = context.obj
    verdicts.print_loads(shell, _open(shell).loads())


@app.command()
def rejects(
    context: typer.Context,
    retry: Annotated[
        str | None, typer.Option(help="重读该批次的问题行 / read the rejects of this load again")
    ] = None,
    limit: Annotated[int, typer.Option(help="列出行数 / rows to list")] = 20,
) -> None:
    """被搁置的行：原因与处理办法。Rows set aside, why, and what to do."""
    shell: Shell = context.obj
    verdicts.print_rejects(shell, _open(shell), retry, limit)


@app.command()
def qc(context: typer.Context, as_of: AsOf = None, settings: Settings = None) -> None:
    """自动质控：按规则标记，不改动原值。Flag the hours; reported values are never edited."""
    from qinglan.flow import quality
    from qinglan.flow.run import data_span

    shell: Shell = context.obj
    workspace = _open(shell)
    on = day_of(as_of) if as_of else data_span(workspace)[1]
    report = quality.control_on(workspace, on, options_of(settings or []))
    shell.give(report.as_dict()) if shell.as_json else verdicts.print_control(shell, report)


@app.command()
def overrule(
    context: typer.Context,
    station: str,
    day: Annotated[str, typer.Argument(help="统计日 YYYY-MM-DD / statistical day")],
    hour: Annotated[int, typer.Argument(help="小时标签1–24（时段末） / hour label, the hour's end")],
    item: str,
    decision: Annotated[str, typer.Argument(help="keep 或 reject / keep or reject")],
    reason: Annotated[str, typer.Option(help="理由（必填） / why")],
    rule: Annotated[str, typer.Option(help="规则名，* 为全部 / which rule")] = "*",
    by: Who = "",
) -> None:
    """人工裁定质控标记。A person's word against (or beside) a flag."""
    from qinglan.flow.decide import overrule_flag

    shell: Shell = context.obj
    time = from_day_and_hour(day_of(day), hour)
    overrule_flag(_open(shell), station, time, item, rule, decision, reason=reason, who=by or getpass.getuser())
    shell.give({"decided": decision}) if shell.as_json else shell.out.print(shell.say("已记录。", "Recorded."))


@app.command()
def dust(
    context: typer.Context,
    action: Annotated[str, typer.Argument(help="list、confirm 或 reject / list, confirm or reject")] = "list",
    event: Annotated[str, typer.Argument(help="事件编号 / id of the event")] = "",
    place: Annotated[str | None, typer.Option(help="地区 / place")] = None,
    status: Annotated[str | None, typer.Option(help="proposed、confirmed、rejected")] = None,
    reason: Annotated[str, typer.Option(help="理由 / why")] = "",
    by: Who = "",
) -> None:
    """沙尘事件：列出、确认或否决。Dust events: list, confirm, reject."""
    from qinglan.flow.decide import dust_events, review_dust

    shell: Shell = context.obj
    workspace = _open(shell)
    words = {"confirm": "confirmed", "reject": "rejected"}
    if action in words:
        review_dust(workspace, event, words[action], reason=reason, who=by or getpass.getuser())
    elif action != "list":
        raise UsageError(f"cannot {action!r} a dust event.", remedy="Choose list, confirm or reject.")
    found = dust_events(workspace, status, place)
    shell.give(found) if shell.as_json else verdicts.print_dust(shell, workspace, found)


@app.command()
def aqi(
    context: typer.Context,
    so2: float | None = None,
    no2: float | None = None,
    co: Annotated[float | None, typer.Option(help="mg/m³")] = None,
    o3: Annotated[
        float | None, typer.Option(help="日最大8小时，或--hourly时的1小时 / MDA8, or the hour with --hourly")
    ] = None,
    pm10: float | None = None,
    pm2_5: Annotated[float | None, typer.Option("--pm2_5", "--pm25")] = None,
    on: Annotated[str | None, typer.Option(help="按该日期有效的标准 / by the standard of this date")] = None,
    hourly: Annotated[bool, typer.Option("--hourly", help="小时值 / values of an hour")] = False,
    place: Annotated[
        str | None, typer.Option(help="查某地某日（取自工作区） / a place's days from the workspace")
    ] = None,
    day: Annotated[str | None, typer.Option(help="日期或时段 / a day or period for --place")] = None,
    settings: Settings = None,
) -> None:
    """AQI：按日期取标准，计算给定浓度，或查询某地日值。The index of given values, or of a place's days."""
    shell: Shell = context.obj
    if place is not None:
        verdicts.print_place_days(shell, _open(shell), place, day)
        return
    from qinglan.flow.calculate import index_of

    given = {"so2": so2, "no2": no2, "co": co, ("o3" if hourly else "mda8"): o3, "pm10": pm10, "pm2_5": pm2_5}
    values = {name: value for name, value in given.items() if value is not None}
    found = index_of(
        values, day_of(on) if on else today(_now()), hourly=hourly, options=options_of(settings or [])
    )
    shell.give(found) if shell.as_json else verdicts.print_index(
        shell, found, HOURLY_ITEMS if hourly else DAILY_ITEMS
    )


@app.command()
def assess(
    context: typer.Context,
    period: Annotated[str, typer.Argument(help="2025、2025-03、2025Q1、2025H1 或 起..止 / a period")],
    place: Annotated[list[str] | None, typer.Option(help="地区，可重复 / a place, may be repeated")] = None,
    settings: Settings = None,
) -> None:
    """评价：浓度、百分位、达标、优良率、综合指数。Evaluate places over a period."""
    from qinglan.flow.assess import assess as judge

    shell: Shell = context.obj
    found = judge(_open(shell), Period.parse(period), place, options_of(settings or []), shell.progress)
    shell.give(found) if shell.as_json else verdicts.print_assessment(shell, found)


@app.command()
def rank(
    context: typer.Context,
    period: Annotated[str, typer.Argument(help="时段 / a period")],
    among: Annotated[str, typer.Option(help="prefectures、counties 或 all")] = "prefectures",
    dust_removed: Annotated[bool, typer.Option("--dust-out/--dust-in", help="扣除沙尘 / dust removed")] = True,
    top: Annotated[int, typer.Option(help="列出前几名，0为全部 / rows to list, 0 for all")] = 0,
    settings: Settings = None,
) -> None:
    """排名：综合指数与同比。Rank places by the composite index, with the change against last year."""
    from qinglan.flow.assess import rank as order

    shell: Shell = context.obj
    dusty = "out" if dust_removed else "in"
    found = order(_open(shell), Period.parse(period), among, dusty, options_of(settings or []), shell.progress)
    shell.give(found) if shell.as_json else verdicts.print_ranking(shell, found, top)


@app.command()
def trend(
    context: typer.Context,
    place: Annotated[str, typer.Argument(help="地区 / place")],
    item: Annotated[str, typer.Argument(help="项目 / item: so2 no2 co mda8 pm10 pm2_5")],
    dust_removed: Annotated[bool, typer.Option("--dust-out/--dust-in", help="扣除沙尘 / dust removed")] = True,
    settings: Settings = None,
) -> None:
    """趋势：秩相关（HJ 663）与Theil-Sen斜率。Rank test of the years and slope of the months."""
    from qinglan.flow.trends import place_trend

    shell: Shell = context.obj
    dusty = "out" if dust_removed else "in"
    found = place_trend(_open(shell), place, item, dusty, options_of(settings or []), shell.progress)
    shell.give(found) if shell.as_json else verdicts.print_trend(shell, found)


@app.command()
def compare(
    context: typer.Context,
    year: Annotated[int, typer.Argument(help="年 / year")],
    ruler: Annotated[str, typer.Argument(help="who2021、eu2024、usepa2024")],
    place: Annotated[list[str] | None, typer.Option(help="地区，可重复 / a place, may be repeated")] = None,
) -> None:
    """与世卫、欧盟、美国标准对照。Places beside the rulers of WHO, EU and US."""
    from qinglan.flow.trends import compare as beside

    shell: Shell = context.obj
    found = beside(_open(shell), year, ruler, place, {}, shell.progress)
    shell.give(found) if shell.as_json else verdicts.print_comparison(shell, found)


@app.command()
def audit(context: typer.Context) -> None:
    """与邻近站比较，查找时间轴错位、列互换、参比状态报错。Find series dated, ordered or stated wrongly."""
    from qinglan.flow.audit import audit as search

    shell: Shell = context.obj
    found = search(_open(shell), shell.progress)
    shell.give(found) if shell.as_json else verdicts.print_audit(shell, found)


@app.command()
def rules(
    context: typer.Context,
    on: Annotated[str | None, typer.Option(help="日期 / date")] = None,
) -> None:
    """某日有效的标准与选项。The rule books in force on a date, and their options."""
    from qinglan.flow.assess import rule_uses

    shell: Shell = context.obj
    found = rule_uses(day_of(on) if on else today(_now()))
    if shell.as_json:
        shell.give(found)
        return
    rows = [(b["book"], b["edition"], b["valid_from"], "") for b in found]
    heads = shell.say("规则书 现行文本 起 选项", "book text-in-force from option").split()
    made = []
    for row, book in zip(rows, found, strict=True):
        made.append(row)
        made += [
            ("", "", "", f"{o['name']} = {o['choice']}  ({', '.join(o['choices'])})") for o in book["options"]
        ]
    shell.table("", [(h, "left") for h in heads], made)


@app.command()
def run(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="先建立模拟青海 / simulate the province first")] = False,
    as_of: AsOf = None,
    settings: Settings = None,
) -> None:
    """主任务：从原始小时到计划判定。From raw hours to the verdict on the plan."""
    from qinglan.flow.run import run as judge

    shell: Shell = context.obj
    reviewer = None
    if demo:
        from qinglan.flow.demo import confirm_known_dust, prepare

        prepare(shell.home, shell.progress)
        reviewer = confirm_known_dust
    verdict = judge(
        _open(shell),
        now=_now(),
        as_of=day_of(as_of) if as_of else None,
        options=options_of(settings or []),
        progress=shell.progress,
        review=reviewer,
    )
    shell.give(verdict.content) if shell.as_json else verdicts.print_verdict(shell, verdict)


operation_commands.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: our own errors become one line and an exit code (2: wrong usage or name, 1: not done)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given)
    except QinglanError as error:
        if "--json" in given:
            Shell(Path(), as_json=True).give(
                {"error": type(error).__name__, "message": error.message, "remedy": error.remedy}
            )
        else:
            Shell(Path()).err.print(Line.assemble(("× ", "bold red"), str(error)), soft_wrap=True)
        sys.exit(2 if isinstance(error, UsageError | UnknownName) else 1)
