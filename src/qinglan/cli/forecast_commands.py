"""`qinglan forecast`: train the models, make a forecast, read it, and hold it to the air that came."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import polars as pl
import typer

from qinglan.cli import desk_commands
from qinglan.cli.output import Shell, day_of
from qinglan.core.clock import CST, wall
from qinglan.core.errors import UnknownName, UsageError

app = typer.Typer(help="空气质量预报。The forecast.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(desk_commands.app, name="desk")

At = Annotated[
    str,
    typer.Option("--at", help="代表的时刻 YYYY-MM-DD[THH:MM]（北京时间），默认现在 / the instant it stands for"),
]
Places = Annotated[list[str] | None, typer.Option("--place", help="地区，可重复 / a place, may be repeated")]
Hours = Annotated[bool, typer.Option("--hours", help="站点逐时，72小时 / stations by the hour, to 72 h")]
By = Annotated[str, typer.Option("--by", help="经办人 / who acts")]


def _instant(text: str) -> datetime:
    """An instant as it is typed; a bare date is its 16:00."""
    if not text:
        return datetime.now(UTC)
    found = wall(text)
    return found + timedelta(hours=16) if len(text) == 10 else found


def _opened(context: typer.Context) -> tuple[Shell, Any]:
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    return shell, open_workspace(shell.home)


def _codes(workspace: Any, names: list[str] | None) -> list[str] | None:
    from qinglan.flow.decide import place_code

    return [place_code(workspace, name) for name in names] if names else None


@app.command()
def train(context: typer.Context, at: At = "", hours: Hours = False) -> None:
    """训练模型并写模型卡：截止前的日值，留出最近一段检验。Fit the models, with a card of their scores."""
    from qinglan.flow import forecasts
    from qinglan.flow.forecasts import hourly

    shell, workspace = _opened(context)
    trained = hourly.train if hours else forecasts.train
    card = trained(workspace, _instant(at), progress=shell.progress)
    if shell.as_json:
        shell.give(card.as_dict())
        return
    shell.out.print(
        shell.say(
            f"训练 {card.id}：{card.start} 至 {card.cut_off}，模型 {'、'.join(card.models)}。",
            f"Training {card.id}: {card.start} to {card.cut_off}, models {', '.join(card.models)}.",
        )
    )
    lead = shell.say("小时", "h") if hours else shell.say("日", "d")
    heads = shell.say(
        f"项目 模型 时效（{lead}） 均方根误差 平均误差 CRPS 80%覆盖",
        f"item model lead/{lead} RMSE MAE CRPS within-80%",
    )
    rows = [
        (s["item"], s["model"], int(s["lead"]), s["rmse"], s["mae"], s["crps"], s["coverage_80"])
        for s in card.scores
        if s["lead"] in ((1, 6, 24, 72) if hours else (2, 4, 8))
    ]
    shell.table("", [(h, "left") for h in heads.split()], rows)


@app.command()
def run(context: typer.Context, at: At = "", until: Annotated[
    str, typer.Option("--until", help="逐日补报至此日（回报） / and every day until this one")
] = "", hours: Hours = False, by: By = "") -> None:  # fmt: skip
    """做一次预报；截止为前一日24时（逐时为该整点），其后数据不用。Make a forecast from what was known then."""
    from qinglan.flow import forecasts
    from qinglan.flow.forecasts import hourly

    shell, workspace = _opened(context)
    first, who = _instant(at), by or getpass.getuser()
    count = (day_of(until) - first.date()).days + 1 if until else 1
    if count < 1:
        raise UsageError(f"--until {until} is before --at {first.date()}.", remedy="Give a later day.")
    make = hourly.run if hours else forecasts.run
    made = [
        make(workspace, first + timedelta(days=n), who=who, now=datetime.now(UTC), progress=shell.progress)
        for n in range(count)
    ]
    if shell.as_json:
        shell.give([dict(f.about) for f in made] if until else dict(made[0].about))
        return
    for found in made:
        shell.out.print(shell.say(*(_hours_said if hours else _days_said)(found.id, found.about)))
    _notes(shell, made[-1].notes)


def _days_said(name: str, about: Mapping[str, Any]) -> tuple[str, str]:
    first, last, number = about["days"][0], about["days"][-1], len(about["places"])
    return (
        f"预报 {name}：{first} 至 {last}，{number} 个地区，数据截至 {about['last_day']}。",
        f"Forecast {name}: {first} to {last}, {number} places, data up to {about['last_day']}.",
    )


def _hours_said(name: str, about: Mapping[str, Any]) -> tuple[str, str]:
    first, last, known = (
        f"{datetime.fromisoformat(about[key] if at is None else about[key][at]).astimezone(CST):%Y-%m-%d %H:%M}"
        for key, at in (("hours", 0), ("hours", -1), ("last_hour", None))
    )
    number = len(about["stations"])
    return (
        f"逐时预报 {name}：{first} 至 {last}，{number} 个站点，数据截至 {known}。",
        f"Hourly forecast {name}: {first} to {last}, {number} stations, data up to {known}.",
    )


def _notes(shell: Shell, notes: list[Any]) -> None:
    """How the forecast was degraded, one line each."""
    for note in notes:
        detail = ", ".join(f"{k} {v}" for k, v in note.items() if k != "code")
        shell.out.print(f"  · {note['code']}{': ' if detail else ''}{detail}", markup=False)


@app.command()
def show(
    context: typer.Context,
    places: Places = None,
    item: Annotated[str, typer.Option(help="项目，空为AQI / an item; empty: AQI")] = "",
    as_of: Annotated[
        str, typer.Option("--as-of", help="此日及以前最新的一次 / the newest made until this day")
    ] = "",
    station: Annotated[str, typer.Option(help="站点编码：看其逐时预报 / a station: its hours")] = "",
) -> None:
    """看预报：AQI范围、级别、概率、首要污染物。What the newest forecast says."""
    from qinglan.flow import forecasts

    shell, workspace = _opened(context)
    if station:
        _station(shell, workspace, station)
        return
    on: date | None = day_of(as_of) if as_of else None
    found = forecasts.newest(workspace, on)
    said = found.read(_codes(workspace, places))
    if shell.as_json:
        shell.give(
            {"about": dict(found.about), "aqi": said.aqi.to_dicts(), "values": _of(said.values, item).to_dicts()}
        )
        return
    named = {code: workspace.named(code)[shell.say("name", "name_en")] for code in said.aqi["place"].unique()}
    if item:
        heads = shell.say("地区 日期 均值 5% 25% 50% 75% 95%", "place day mean 5% 25% 50% 75% 95%").split()
        columns = ("mean", "q05", "q25", "q50", "q75", "q95")
        rows = [
            (named[r["place"]], r["day"], *[r[c] for c in columns])
            for r in _of(said.values, item).iter_rows(named=True)
        ]
    else:
        heads = shell.say(
            "地区 日期 AQI 级别 首要污染物 优良概率 超200概率 沙尘 臭氧",
            "place day AQI level primary p(good) p(>200) dust ozone",
        ).split(" " if shell.lang == "zh" else None)
        rows = [
            (named[r["place"]], r["day"], f"{r['low']}–{r['high']}", r["level"], r["primary"] or "—",
             f"{r['p1'] + r['p2']:.0%}", f"{r['p5'] + r['p6']:.0%}", "●" if r["dust"] else "",
             "●" if r["ozone"] else "")
            for r in said.aqi.iter_rows(named=True)
        ]  # fmt: skip
    shell.table(f"{found.id} · {found.about['made_at'][:16]}", [(h, "left") for h in heads], rows)
    _notes(shell, found.notes)


def _station(shell: Shell, workspace: Any, station: str) -> None:
    """The hours of one station: AQI with its range, and the median of each pollutant."""
    from qinglan.core.names import HOURLY_ITEMS
    from qinglan.flow.forecasts import hourly

    found = hourly.newest(workspace)
    if station not in found.about["stations"]:
        raise UnknownName("station of the forecast", station, found.about["stations"])
    said = hourly.read(found, [station])
    if shell.as_json:
        shell.give({"about": dict(found.about), "aqi": said.aqi.to_dicts(), "values": said.values.to_dicts()})
        return
    medians = {(r["time"], r["item"]): r["q50"] for r in said.values.iter_rows(named=True)}
    heads = [*shell.say("时刻 AQI 级别", "time AQI level").split(), *HOURLY_ITEMS]
    rows = [
        (f"{r['time'].astimezone(CST):%m-%d %H:%M}", f"{r['q25']}–{r['q75']}", r["level"],
         *[medians.get((r["time"], item)) for item in HOURLY_ITEMS])
        for r in said.aqi.iter_rows(named=True)
    ]  # fmt: skip
    shell.table(f"{found.id} · {station}", [(h, "left") for h in heads], rows)
    _notes(shell, found.notes)


def _of(values: pl.DataFrame, item: str) -> pl.DataFrame:
    """Rows of one item, or all."""
    from qinglan.core.names import DAILY_ITEMS

    if item and item not in DAILY_ITEMS:
        raise UsageError(f"unknown item {item!r}.", remedy=f"Choose among {', '.join(DAILY_ITEMS)}.")
    return values.filter(item=item) if item else values


@app.command()
def targets(context: typer.Context) -> None:
    """目标的余量接上预报：达标概率与不用预报时的对照。The chance of each target, with and without."""
    from qinglan.flow.forecasts import targets as joined

    shell, workspace = _opened(context)
    found = joined.chances(workspace)
    if shell.as_json:
        shell.give(found)
        return
    heads = shell.say(
        "目标 达标概率 不用预报 全期预计 预报天数", "target chance without whole-period forecast-days"
    ).split()
    rows = [
        (name, f"{r['probability']:.0%}", "—" if r["without"] is None else f"{r['without']:.0%}",
         f"{r['value']:.1f} ({r['low']:.1f}–{r['high']:.1f})", r["days"])
        for name, r in found.items()
    ]  # fmt: skip
    shell.table("", [(h, "left") for h in heads], rows)
    for name, row in found.items():
        shell.out.print(f"  {name}: {shell.pick(row['basis'])}", markup=False)
    if not found:
        shell.out.print(
            shell.say(
                "没有可接的：期限未到的空气目标、之后日子的预报、至少两年历史，三者缺一。",
                "Nothing to join: it takes a target of the air that is not over, a forecast of days after the "
                "run, and two past years.",
            )
        )


@app.command()
def verify(
    context: typer.Context,
    by: Annotated[
        str, typer.Option("--by", help="lead_day、place、season，逗号分隔 / groups, by commas")
    ] = "lead_day",
    places: Places = None,
    since: Annotated[str, typer.Option(help="预报日自 / valid days from")] = "",
    until: Annotated[str, typer.Option(help="预报日至 / valid days to")] = "",
    office: Annotated[
        bool, typer.Option("--office", help="单位发布与机器分开 / what was issued and the machine, apart")
    ] = False,
    hours: Hours = False,
) -> None:
    """检验：与实况对照，误差、技巧、级别与首要污染物命中。Hold the forecasts to the air that came."""
    from qinglan.flow import forecasts

    shell, workspace = _opened(context)
    groups = [name.strip() for name in by.split(",") if name.strip()]
    if office:
        _apart(shell, workspace, groups, places, since, until)
        return
    if hours:
        _hours_checked(shell, workspace)
        return
    found = forecasts.verify(
        workspace, by=groups, places=_codes(workspace, places),
        since=day_of(since) if since else None, until=day_of(until) if until else None,
    )  # fmt: skip
    if shell.as_json:
        shell.give(
            {
                "forecasts": found.forecasts, "hindcasts": found.hindcasts, "days": found.days,
                "values": found.values.to_dicts(), "skill": found.skill.to_dicts(), "aqi": found.aqi.to_dicts(),
                "brier": found.brier.to_dicts(), "reliability": found.reliability.to_dicts(),
            }
        )  # fmt: skip
        return
    shell.out.print(
        shell.say(
            f"{found.forecasts} 次预报（其中事后补报 {found.hindcasts} 次），{found.days[0]} 至 {found.days[1]}。",
            f"{found.forecasts} forecasts ({found.hindcasts} of them computed afterwards), "
            f"{found.days[0]} to {found.days[1]}.",
        )
    )
    for title, frame in ((shell.say("浓度", "Concentrations"), found.values), ("AQI", found.aqi),
                         (shell.say("超标概率", "Chances of exceeding"), found.brier),
                         (shell.say("技巧（CRPS）", "Skill (CRPS)"), found.skill)):  # fmt: skip
        sides = ["right" if kind.is_numeric() else "left" for kind in frame.dtypes]
        shell.table(title, list(zip(frame.columns, sides, strict=True)), _short(frame))


def _hours_checked(shell: Shell, workspace: Any) -> None:
    """Scores of the hourly forecasts by item and lead."""
    from qinglan.flow.forecasts import hourly_checking

    found = hourly_checking.verify(workspace)
    if shell.as_json:
        shell.give({"forecasts": found.forecasts, "since": found.since.isoformat(),
                    "until": found.until.isoformat(), "scores": found.scores.to_dicts()})  # fmt: skip
        return
    title = shell.say(f"逐时预报检验，{found.forecasts} 次", f"Hourly forecasts, {found.forecasts} of them")
    sides = ["right" if kind.is_numeric() else "left" for kind in found.scores.dtypes]
    shell.table(title, list(zip(found.scores.columns, sides, strict=True)), _short(found.scores))


def _apart(
    shell: Shell, workspace: Any, groups: list[str], places: list[str] | None, since: str, until: str
) -> None:
    """Office and machine on the same places and days."""
    from qinglan.flow.forecasts import desk

    found = desk.apart(
        workspace, by=groups, places=_codes(workspace, places), since=day_of(since) if since else None,
        until=day_of(until) if until else None,
    )  # fmt: skip
    if shell.as_json:
        told = {"scores": found.scores.to_dicts(), "edits": found.edits.to_dicts()}
        shell.give({"bulletins": found.bulletins, "days": found.days, **told})
        return
    shell.out.print(
        shell.say(
            f"{found.bulletins} 期已发布的预报，{found.days[0]} 至 {found.days[1]}。",
            f"{found.bulletins} issued bulletins, {found.days[0]} to {found.days[1]}.",
        )
    )
    heads = shell.say(
        "谁 样本 均方根误差 平均误差 偏差 级别 范围 首要 >100 >150 >200",
        "who n RMSE MAE bias level range primary >100 >150 >200",
    ).split()
    rows = [
        (*(r[g] for g in groups), r["who"], r["n"], *(round(r[k], 1) for k in ("rmse", "mae", "bias")),
         *("—" if r[k] is None else f"{r[k]:.0%}" for k in ("level_hit", "range_hit", "primary_hit")),
         *(f"{r[f'hits_{n}']}/{r[f'misses_{n}']}/{r[f'false_alarms_{n}']}" for n in (100, 150, 200)))
        for r in found.scores.iter_rows(named=True)
    ]  # fmt: skip
    shell.table(
        shell.say("报中/漏报/空报", "hits/misses/false alarms"), [(h, "left") for h in (*groups, *heads)], rows
    )
    heads = shell.say("订正 更近 更远", "edited nearer farther").split()
    edits = found.edits.select(*groups, "edited", "better", "worse")
    shell.table("", [(h, "left") for h in (*groups, *heads)], edits.rows())


def _short(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return frame.with_columns(pl.col(pl.Float64).round(3)).rows()
