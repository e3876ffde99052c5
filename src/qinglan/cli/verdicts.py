"""The tables that the commands print."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text as Line

from qinglan.cli.output import Shell, shown
from qinglan.core.clock import CST, Period
from qinglan.core.names import DAILY_ITEMS, quantity

Row = Mapping[str, Any]

#: Rows of the ranking under a verdict; `qinglan rank` prints all.
_PLACES_SHOWN = 20

_DUST = {"in": ("含沙尘", "dust in"), "out": ("扣沙尘", "dust out")}


def _heads(shell: Shell, zh: str, en: str, right: Sequence[int] = ()) -> list[tuple[str, str]]:
    """Headings written as one string, cells apart by ``|``."""
    return [(h.strip(), "right" if i in right else "left") for i, h in enumerate(shell.say(zh, en).split("|"))]


def print_verdict(shell: Shell, verdict: Any) -> None:
    """The verdict: targets judged by the air, the prefectures, what waits, and where it is written."""
    content = verdict.content
    if content["simulated"]:
        shell.out.print(
            shell.say(
                "[bold yellow]模拟数据：以下均非真实监测结果。[/]",
                "[bold yellow]SIMULATED DATA: nothing below was measured.[/]",
            )
        )
    title = shell.pick(content["plan"]["title"])
    shell.out.print(f"[bold]{title}[/bold]  {shell.say('截至', 'as of')} {content['as_of']}")
    air = [t for t in content["targets"] if t["judged_by"] == "air"]
    shell.table(
        shell.say("空气质量目标", "Targets that the air answers"),
        _heads(
            shell, "目标|判定|现值|目标值|距目标|数据", "target|status|value|limit|distance|coverage", (2, 3, 4, 5)
        ),
        [_target_row(shell, t) for t in air],
    )
    for target in air:
        _print_beside(shell, target)
    _print_places(shell, content)
    others = [t for t in content["targets"] if t["judged_by"] != "air"]
    counts: dict[str, int] = {}
    for target in others:
        counts[target["status"]] = counts.get(target["status"], 0) + 1
    said = shell.say("、", ", ").join(f"{shell.state(k)} {v}" for k, v in counts.items())
    shell.out.print(
        shell.say(
            f"其余 {len(others)} 项指标：{said}（qinglan plan status 列出所待证据）",
            f"The other {len(others)} targets: {said} (`qinglan plan status` lists what they wait for)",
        )
    )
    dust = content["dust"]
    shell.out.print(
        shell.say(
            f"沙尘事件：已确认 {dust['confirmed']}，已否决 {dust['rejected']}，待确认 {dust['proposed']}",
            f"Dust events: {dust['confirmed']} confirmed, {dust['rejected']} rejected, {dust['proposed']} open",
        )
    )
    shell.out.print(f"[dim]{shell.say('运行', 'run')} {content['run']['id']}  {verdict.folder}[/dim]")


def _target_row(shell: Shell, target: Row) -> list[Any]:
    sign = {">=": "≥", "<=": "≤"}.get(target["comparison"], target["comparison"])
    coverage = target["coverage"] or {}
    distance = target["distance"]
    return [
        shell.pick(target["title"]),
        shell.state(target["status"]),
        f"{target['shown'] or '—'} {target['unit']}",
        f"{sign}{shown(target['limit'])}",
        "—" if distance is None else f"{distance:+.2f}",
        f"{coverage['percent']}%" if coverage else "—",
    ]


def _print_beside(shell: Shell, target: Row) -> None:
    """Under the table: by which text, what the other readings give, where it is heading."""
    parts = [target["edition"]] if target["edition"] else []
    parts += [f"{shell.pick(v['title'])} {v['shown'] or '—'}" for v in target["variants"]]
    if (target["budget"] or {}).get("said"):
        parts.append(shell.pick(target["budget"]["said"]))
    slope = target["trend"]
    if slope:
        sure = shell.say("显著", "significant") if slope["significant"] else shell.say("不显著", "not significant")
        parts.append(
            shell.say(
                f"趋势 {slope['slope_per_year']:+.2f}/年（{sure}）",
                f"trend {slope['slope_per_year']:+.2f} a year ({sure})",
            )
        )
    if target["waiting_for"]:
        parts.append(shell.pick(target["waiting_for"]))
    shell.out.print(f"  [dim]{shell.pick(target['title'])}[/dim]", shell.say("；", "; ").join(parts), markup=True)


def _print_places(shell: Shell, content: Row) -> None:
    rows = [r for r in content["places"] if r["level"] != "county"]
    if not rows:
        return
    period, whole = rows[0]["period"], len(rows)
    rows = rows[:_PLACES_SHOWN]
    shell.table(
        shell.say(
            f"{period} 排名（颗粒物浓度扣除沙尘，天数按实测）",
            f"Ranking of {period} (dust out of particles; days as measured)",
        ),
        _heads(
            shell,
            "名次|地区|综合指数|同比|优良率|扣沙尘优良率|有效天|重污染天|首要污染物|年评价",
            "rank|place|index|change|good days|dust out|valid days|heavy days|main pollutant|year",
            (0, 2, 3, 4, 5, 6, 7),
        ),
        [
            [
                shown(r["rank"]),
                shell.say(r["name"], r["name_en"]),
                f"{r['composite_index']:.2f}" if r["composite_index"] is not None else "—",
                f"{r['change_percent']:+.1f}%" if r.get("change_percent") is not None else "—",
                f"{r['raw_good_rate']:.1f}%" if r["raw_good_rate"] is not None else "—",
                f"{r['adjusted_good_rate']:.1f}%" if r["adjusted_good_rate"] is not None else "—",
                shown(r["raw_valid_days"]),
                shown(r["raw_heavy_days"]),
                pollutants(r["main_pollutant"]),
                attained(shell, r["attained"], r["data_valid"]),
            ]
            for r in rows
        ],
    )
    _more(shell, whole)


def _more(shell: Shell, whole: int) -> None:
    """Say how many rows a cut table left out."""
    if whole > _PLACES_SHOWN:
        rest = whole - _PLACES_SHOWN
        shell.out.print(
            shell.say(
                f"  另有 {rest} 个地区：qinglan rank 或控制台", f"  {rest} more: `qinglan rank` or the console"
            )
        )


def attained(shell: Shell, value: bool | None, data_valid: bool) -> Line:
    """Attainment of a place as a word; marked when the standard's minimum of data was not met."""
    if value is None:
        return Line("—")
    word = shell.say("达标", "attained") if value else shell.say("超标", "exceeded")
    made = Line(word, style="green" if value else "red")
    if not data_valid:
        made.append(shell.say("（数据不足）", " (too few data)"), style="yellow")
    return made


def pollutants(names: str | None) -> str:
    """``pm10,pm2_5`` -> ``PM₁₀, PM₂.₅``."""
    return ", ".join(quantity(n).symbol for n in names.split(",")) if names else "—"


def print_load(shell: Shell, report: Any) -> None:
    """What became of a load: counts, failed files with the reason, rejects by code."""
    totals = report.totals()
    names = ("read", "inserted", "filled", "superseded", "unchanged", "rejected")
    zh = {
        "read": "读取",
        "inserted": "新增",
        "filled": "补值",
        "superseded": "更新",
        "unchanged": "未变",
        "rejected": "搁置",
    }
    line = "  ".join(f"{shell.say(zh[n], n)} {totals.get(n, 0):,}" for n in names)
    files = ", ".join(f"{k} {v}" for k, v in totals["files"].items())
    shell.out.print(f"{report.layout}  ({files})  {line}  {report.load_id}", markup=False)
    for file in report.files:
        if file.message:
            style = "red" if file.status == "failed" else "dim"
            shell.out.print(Line.assemble("  ", (file.name, style), f": {file.message}"), soft_wrap=True)
    for code, count in totals["by_code"].items():
        shell.out.print(f"  {code}: {count:,}")
    if totals["by_code"]:
        shell.out.print(
            shell.say(
                "  qinglan rejects 列出每一行及处理办法", "  `qinglan rejects` lists each row and the remedy"
            )
        )


def print_loads(shell: Shell, rows: Sequence[Row]) -> None:
    """Loads with their counts."""
    if shell.as_json:
        shell.give(list(rows))
        return
    names = ("read", "inserted", "filled", "superseded", "unchanged", "rejected")
    shell.table(
        "",
        _heads(
            shell,
            "批次|布局|状态|文件|读取|新增|补值|更新|未变|搁置",
            "load|layout|status|files|read|inserted|filled|superseded|unchanged|set aside",
            (3, 4, 5, 6, 7, 8, 9),
        ),
        [
            [
                r["id"],
                r["layout"],
                r["status"],
                sum(r["counts"].get("files", {}).values()),
                *[f"{r['counts'].get(n, 0):,}" for n in names],
            ]
            for r in rows
        ],
    )


def print_rejects(shell: Shell, workspace: Any, retry: str | None, limit: int) -> None:
    """Open rejects with their remedy; or read the files of a load again."""
    from qinglan.flow.ingest import open_rejects, retry_rejects

    if retry is not None:
        done = retry_rejects(workspace, retry, who=getpass.getuser())
        if shell.as_json:
            shell.give({"repaired": done.repaired, "still_open": done.still_open, "lost": list(done.lost)})
        else:
            shell.out.print(
                shell.say(
                    f"已修复 {done.repaired}，仍搁置 {done.still_open}",
                    f"repaired {done.repaired}, still open {done.still_open}",
                )
            )
        return
    rows = open_rejects(workspace)
    if shell.as_json:
        shell.give(rows)
        return
    shell.table(
        shell.say(f"搁置 {len(rows)} 条", f"{len(rows)} rows set aside"),
        _heads(shell, "批次|文件|行|代码|字段|值|原因与办法", "load|file|line|code|field|value|reason and remedy"),
        [
            [
                r["load_id"],
                r["source"],
                r["line"],
                r["code"],
                r["field"],
                r["value"],
                shell.say(f"{r['reason_zh']}。{r['remedy_zh']}", f"{r['reason']}. {r['remedy']}"),
            ]
            for r in rows[:limit]
        ],
    )


def print_control(shell: Shell, report: Any) -> None:
    """Flags by rule and state."""
    shell.out.print(
        shell.say(
            f"站点小时 {report.hours:,}，标记 {report.flags:,}，人工裁定 {report.decisions}",
            f"{report.hours:,} station-hours, {report.flags:,} flags, {report.decisions} decisions",
        )
    )
    shell.table(
        "",
        _heads(shell, "规则|项目|状态|小时", "rule|item|state|hours", (3,)),
        [[c["rule"], quantity(c["item"]).symbol, c["state"], f"{c['hours']:,}"] for c in report.counts],
    )


def print_dust(shell: Shell, workspace: Any, events: Sequence[Row]) -> None:
    """Dust events."""
    shell.table(
        "",
        _heads(
            shell, "编号|地区|起|止|峰值PM₁₀|状态|审核|理由", "id|place|from|to|peak PM₁₀|status|by|reason", (4,)
        ),
        [
            [
                e["id"],
                workspace.places[e["place"]].name if e["place"] in workspace.places else e["place"],
                f"{e['start'].astimezone(CST):%Y-%m-%d %H}",
                f"{e['end'].astimezone(CST):%Y-%m-%d %H}",
                shown(e["evidence"].get("peak_pm10")),
                e["status"],
                e["reviewer"],
                e["reason"],
            ]
            for e in events
        ],
    )


def print_index(shell: Shell, found: Row, items: Sequence[str]) -> None:
    """One index with its single indices and advice."""
    meaning = found["meaning"]
    words = [f"AQI {'NA' if found['aqi'] is None else found['aqi']}"]
    if meaning:
        words.append(shell.say(meaning["zh"], meaning["en"]))
    words.append(f"{shell.say('首要污染物', 'primary')}: {pollutants(found['primary_pollutant'])}")
    shell.out.print("  ".join([*words, f"({found['edition']})"]), style="bold", markup=False)
    shell.table("", [(quantity(i).symbol, "right") for i in items], [[found.get(f"iaqi_{i}") for i in items]])
    if found["aqi_state"] != "complete":
        shell.out.print(shell.say("项目不全", "not all items are there") + f" ({found['aqi_state']})")
    if meaning:
        for zh, en in (("health_zh", "health_en"), ("advice_zh", "advice_en")):
            shell.out.print(shell.say(meaning[zh], meaning[en]))


def print_place_days(shell: Shell, workspace: Any, place: str, day: str | None) -> None:
    """Daily index of a place from the current run, under every edition."""
    from datetime import date

    from qinglan.core.errors import UsageError
    from qinglan.flow import views
    from qinglan.flow.decide import place_code

    code = place_code(workspace, place)
    if not day:
        raise UsageError("which day?", remedy="Add --day YYYY-MM-DD, or a period such as --day 2025-03.")
    try:
        span = Period(date.fromisoformat(day), date.fromisoformat(day)) if len(day) == 10 else Period.parse(day)
    except ValueError as cause:
        raise UsageError(f"cannot read day {day!r}.", remedy="Write YYYY-MM-DD or a period.") from cause
    rows = views.current(workspace).rows(
        "place_aqi",
        "place = $place and day between $first and $last",
        "day, edition",
        place=code,
        first=span.start,
        last=span.end,
    )
    if shell.as_json:
        shell.give(rows)
        return
    shell.table(
        workspace.places[code].name,
        _heads(shell, "日期|标准|AQI|级|首要污染物|现行", "day|standard|AQI|level|primary|in force", (2, 3)),
        [
            [
                r["day"],
                r["edition"],
                r["aqi"],
                r["level"],
                pollutants(r["primary_pollutant"]),
                "✓" if r["in_force"] else "",
            ]
            for r in rows
        ],
    )


def print_assessment(shell: Shell, found: Row) -> None:
    """Summary of places, then each item against its limits for a handful of places."""
    rows = found["summary"]
    shell.table(
        f"{found['period']}  {', '.join(dict.fromkeys(r['edition'] for r in rows))}",
        _heads(
            shell,
            "地区|沙尘|有效天|优良天|优良率|重污染天|综合指数|首要|评价",
            "place|dust|valid|good|rate|heavy|index|main|year",
            (2, 3, 4, 5, 6),
        ),
        [
            [
                shell.say(r["name"], r["name_en"]),
                shell.say(*_DUST[r["dust"]]),
                r["valid_days"],
                r["good_days"],
                f"{r['good_rate']:.1f}%" if r["good_rate"] is not None else "—",
                r["heavy_days"],
                f"{r['composite_index']:.2f}" if r["composite_index"] is not None else "—",
                pollutants(r["main_pollutant"]),
                attained(shell, r["attained"], r["data_valid"]),
            ]
            for r in rows
        ],
    )
    if len({r["place"] for r in rows}) > 12:
        return
    shell.table(
        shell.say("各项浓度（µg/m³；CO mg/m³）", "Items (µg/m³; CO mg/m³)"),
        _heads(
            shell,
            "地区|沙尘|项目|统计量|值|限值|达标|超标倍数|有效天",
            "place|dust|item|statistic|value|limit|attained|exceedance|valid",
            (4, 5, 7, 8),
        ),
        [
            [
                shell.say(e["name"], e["name_en"]),
                shell.say(*_DUST[e["dust"]]),
                quantity(e["item"]).symbol,
                e["statistic"],
                e["shown"],
                e["limit"],
                attained(shell, e["attained"], e["data_valid"]),
                e["exceedance_factor"],
                e["valid_days"],
            ]
            for e in sorted(
                found["evaluation"],
                key=lambda e: (e["place"], e["dust"], DAILY_ITEMS.index(e["item"]), e["statistic"]),
            )
        ],
    )


def print_ranking(shell: Shell, found: Row, top: int) -> None:
    """The ranking, or its first rows."""
    rows = found["ranking"][:top] if top else found["ranking"]
    shell.table(
        f"{found['period']}  {shell.say(*_DUST[found['dust']])}",
        _heads(
            shell,
            "名次|地区|综合指数|首要|SO₂|NO₂|CO-95|O₃-90|PM₁₀|PM₂.₅|上年|变化",
            "rank|place|index|main|SO₂|NO₂|CO-95|O₃-90|PM₁₀|PM₂.₅|before|change",
            (0, 2, 4, 5, 6, 7, 8, 9, 10, 11),
        ),
        [
            [
                r["rank"],
                shell.say(r["name"], r["name_en"]),
                f"{r['composite_index']:.2f}" if r["composite_index"] is not None else "—",
                pollutants(r["main_pollutant"]),
                *[None if r[i] is None else f"{r[i]:.{1 if i == 'co' else 0}f}" for i in DAILY_ITEMS],
                f"{r['previous_index']:.2f}" if r["previous_index"] is not None else "—",
                f"{r['change_percent']:+.1f}%" if r["change_percent"] is not None else "—",
            ]
            for r in rows
        ],
    )


def print_trend(shell: Shell, found: Row) -> None:
    """Annual values, the rank test and the slope."""
    symbol = quantity(found["item"]).symbol
    shell.table(
        f"{symbol} {found['statistic']}",
        _heads(shell, "年|值|数据|标准", "year|value|data|standard", (1,)),
        [[r["period"], r["shown"], "✓" if r["data_valid"] else "×", r["edition"]] for r in found["annual"]],
    )
    test, slope = found["rank_test"], found["slope"]
    if "not_made" in test:
        shell.out.print(shell.say("秩相关检验：", "rank test: ") + test["not_made"])
    else:
        words = {
            "rising": ("上升", "rising"),
            "falling": ("下降", "falling"),
            "no_change": ("基本无变化", "no change"),
        }
        shell.out.print(
            f"{shell.say('秩相关系数', 'rank correlation')} {test['coefficient']:+.3f} "
            f"({shell.say('临界值', 'critical')} {test['critical']:.3f}) {shell.say(*words[test['direction']])}"
        )
    if "not_made" in slope:
        shell.out.print(shell.say("斜率：", "slope: ") + slope["not_made"])
    else:
        sure = shell.say("显著", "significant") if slope["significant"] else shell.say("不显著", "not significant")
        shell.out.print(
            f"Theil-Sen {slope['per_year']:+.2f} [{slope['low']:+.2f}, {slope['high']:+.2f}] "
            f"{quantity(found['item']).unit}{shell.say('/年', ' a year')}  p {slope['p']:.3f}  {sure}",
            markup=False,
        )


def print_comparison(shell: Shell, found: Row) -> None:
    """Each form of a comparator beside the measured value."""
    words = {True: ("满足", "met"), False: ("不满足", "not met"), None: ("—", "—")}
    shell.table(
        f"{found['comparator']} {found['year']}",
        _heads(
            shell,
            "地区|项目|形式|值|限值|单位|超标/允许|结论|说明",
            "place|item|form|value|limit|unit|over/allowed|result|note",
            (3, 4),
        ),
        [
            [
                shell.say(r["name"], r["name_en"]),
                quantity(r["item"]).symbol,
                r["form"],
                r["value"],
                r["limit"],
                r["unit"],
                f"{shown(r['exceedances'])}/{shown(r['allowed_exceedances'])}",
                shell.say(*words[r["attained"]]),
                r["note"],
            ]
            for r in found["rows"]
        ],
    )


def print_audit(shell: Shell, found: Row) -> None:
    """Series that fit their neighbours only when moved in time, exchanged, or restated."""
    shell.out.print(shell.say(f"已检查 {found['looked_at']} 个站点", f"{found['looked_at']} stations looked at"))
    moved = [(shell.say("时间轴错位", "dated wrong"), f, f"{f['lag']:+d} {f['step']}") for f in found["shifted"]]
    moved += [(shell.say("列互换", "columns exchanged"), f, " ↔ ".join(f["items"])) for f in found["swapped"]]
    shell.table(
        shell.say("错位与互换（按原报值）", "Dates and columns (hours as reported)"),
        _heads(shell, "疑点|站点|起|止|内容|得分", "finding|station|from|to|what|score", (5,)),
        [[kind, f["station"], f["start"], f["end"], what, f"{f['score']:.1f}"] for kind, f, what in moved],
    )
    shell.table(
        shell.say("参比状态（按有效日值）", "Reference states (valid days)"),
        _heads(
            shell,
            "站点|项目|起|止|实际比值|预期比值|解释|把握",
            "station|items|from|to|factor|expected|explanation|confidence",
            (4, 5, 7),
        ),
        [
            [
                s["station"],
                pollutants(s["item"]),
                s["start"],
                s["end"],
                f"{s['factor']:.3f}",
                "—" if s["expected"] is None else f"{s['expected']:.3f}",
                s["explanation"],
                f"{s['confidence']:.2f}",
            ]
            for s in found["states"]
        ],
    )
    if found["not_looked_at"]:
        shell.out.print(
            shell.say("未检查（无坐标、海拔或邻站）：", "not looked at: ") + ", ".join(found["not_looked_at"])
        )
