# ruff: noqa: E501  (lines of text)
"""Write the two pages that hold Qinglan against real data: ``python docs/explain_real_data.py``.

It reads the shared test data (QINGLAN_TEST_DATA, by default beside the repository), loads them through the doors of
the product into a workspace that is thrown away, and puts what it computes into
``explanation/published-hours-2020.md`` and ``explanation/evaluation-2015-2016.md``. No number there is typed by hand;
``tests/air/test_real_*.py`` recompute them another way and hold the pages to the data.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.air import evaluate, rank
from qinglan.air.aqi import hourly_aqi
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS, quantity
from qinglan.flow import air_results, decide
from qinglan.flow.ingest import ingest, open_rejects
from qinglan.flow.run import air_tables
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan.places import load_stations
from qinglan.plan.rules import rules_on
from qinglan.store import decisions

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("QINGLAN_TEST_DATA", ROOT.parent / "shared" / "data"))
PAGES = ROOT / "docs" / "explanation"
HOURS_PAGE, YEARS_PAGE = PAGES / "published-hours-2020.md", PAGES / "evaluation-2015-2016.md"

QINGHAI = ("630100", "630200", "632200", "632300", "632500", "632600", "632700", "632800")
NAMES = dict(zip(QINGHAI, ("西宁", "海东", "海北", "黄南", "海南", "果洛", "玉树", "海西"), strict=True))
YEARS = (Period.year(2015), Period.year(2016))
REVIEWER = "docs/explain_real_data.py"

#: Why a row of 2020 agrees or not, in the order in which it is asked.
CLASSES: Mapping[str, tuple[str, str]] = {
    "agrees": ("AQI、级别、首要污染物全部一致", "AQI, level and primary pollutants agree"),
    "nothing_measured": ("六项均缺测，双方都无 AQI", "nothing was measured; neither side has an AQI"),
    "withheld_without_particles": (
        "PM10 与 PM2.5 同时缺测，平台不发布；其余项目可算出 AQI",
        "both particles are missing: the platform published nothing, the other items still give an index",
    ),
    "order_of_ties": (
        "仅并列首要污染物的书写顺序不同",
        "only the order in which tied pollutants are written differs",
    ),
    "unexplained": ("未能解释", "not explained"),
}


@dataclass(frozen=True)
class PublishedHours:
    """What the comparison of 2020 found."""

    rows: pl.DataFrame
    accepted: int
    set_aside: pl.DataFrame
    unknown: list[str]
    options: list[tuple[str, str, int, int]]

    @property
    def classes(self) -> dict[str, int]:
        """Hours by class, all classes."""
        counted = dict(self.rows["why"].value_counts().iter_rows())
        return {name: counted.get(name, 0) for name in CLASSES}


def published_hours(data: Path, home: Path) -> PublishedHours:
    """Load the hours of 2020, compute their index, and say of every hour why it agrees or not."""
    register = [asdict(s) | {"aliases": list(s.aliases)} for s in load_stations("qinghai")]
    workspace = init(home, Settings(), stations=register)
    ingest(workspace, "station_register", [data / "cnemc_station_list" / "station_info_1498.csv"])
    report = ingest(workspace, "published_hourly", [data / "cn_stations_hourly_2020"])
    con = workspace.lake.connect()
    try:
        hours = workspace.lake.table("hours", con=con)
        printed = workspace.lake.table("published", con=con)
        printed = printed.select(
            "station", "time", "o3_8h", printed_aqi="aqi", printed_level="level", printed="primary_pollutant"
        )
        tables, counts = {}, []
        for pm in ("one_hour", "sliding_24h"):
            for o3 in ("one_hour", "one_hour_and_8h"):
                rules = rules_on(date(2020, 4, 1), {"hj633": {"hourly_pm": pm, "hourly_o3": o3}})
                index = hourly_aqi(hours, rules).inner_join(
                    hours.select("station", "time", *HOURLY_ITEMS), ["station", "time"]
                )
                joined = index.left_join(printed, ["station", "time"]).drop("station_right", "time_right")
                frame = pl.from_arrow(con.to_pyarrow(joined.order_by(["station", "time"])))
                assert isinstance(frame, pl.DataFrame)
                tables[pm, o3] = frame
                both = frame.filter(pl.col("printed_aqi").is_not_null())
                counts.append((pm, o3, both.height, (both["aqi"] == both["printed_aqi"]).sum()))
        rejects = pl.DataFrame(workspace.rejects()).select("code", "field", "count", "rows")
        unknown = [r["value"] for r in open_rejects(workspace) if r["code"] == "unknown_station"]
    finally:
        con.disconnect()
    rows = tables["one_hour", "one_hour"]
    levels = {r["level"]: r["zh"] for r in rules_on(date(2020, 4, 1)).aqi.get("levels").value}
    why = [explained(row, levels) for row in rows.iter_rows(named=True)]
    return PublishedHours(
        rows.with_columns(why=pl.Series(why)), report.total("accepted"), rejects, sorted(unknown), counts
    )


def explained(row: Mapping[str, Any], levels: Mapping[int, str]) -> str:
    """Class of one hour: the first of :data:`CLASSES` that fits."""
    if row["printed_aqi"] is None:
        if row["aqi"] is None and all(row[item] is None for item in HOURLY_ITEMS):
            return "nothing_measured"
        particles = row["pm10"] is None and row["pm2_5"] is None
        said = row["printed_level"] is not None or row["printed"] is not None
        return "withheld_without_particles" if particles and not said else "unexplained"
    ours, theirs = row["primary_pollutant"] or "", row["printed"] or ""
    if row["aqi"] != row["printed_aqi"] or levels.get(row["level"]) != row["printed_level"]:
        return "unexplained"
    if ours == theirs:
        return "agrees"
    return "order_of_ties" if sorted(ours.split(",")) == sorted(theirs.split(",")) else "unexplained"


@dataclass(frozen=True)
class Years:
    """What the evaluation of 2015 and 2016 found; `national` is the ranking of all cities."""

    evaluation: pl.DataFrame
    summary: pl.DataFrame
    ranking: pl.DataFrame
    national: pl.DataFrame
    province: pl.DataFrame
    rates: pl.DataFrame
    beyond: pl.DataFrame
    events: list[dict[str, Any]]
    zeros: dict[str, int]
    edition: str


def evaluate_years(data: Path, home: Path) -> Years:
    """Evaluate 2015 and 2016 for the prefectures of Qinghai, with Xining's dust confirmed, and rank all cities."""
    folder = data / "cn_city_daily_aqistudy_2013_2017"
    workspace = init(home / "qinghai", Settings())
    ingest(workspace, "city_daily", [folder / "qinghai_8_prefectures_daily.csv.gz"])
    air, _, periods = air_tables(workspace, periods=YEARS, review=_confirm_xining)
    try:
        air_results.compute_ranking(air, {"prefectures": QINGHAI}, periods)
        tables = {n: _frame(air.con.to_pyarrow(air[n])) for n in ("evaluation", "summary", "ranking")}
        rules = rules_on(date(2016, 12, 31))
        inside = air["evaluation"].filter(lambda t: t.place.isin(list(QINGHAI)))
        counts = air["counts"].filter(lambda t: (t.dust == "in") & t.place.isin(list(QINGHAI)))
        days = air["place_days"]
        beyond = _frame(air.con.to_pyarrow(days.filter(days.mda8 > 800).select("place", "day", "mda8")))
        province, rates = (_frame(air.con.to_pyarrow(t)) for t in evaluate.province_means(inside, counts, rules))
    finally:
        air.con.disconnect()
    rejects = {r["field"]: r["count"] for r in workspace.rejects()}
    events = decide.dust_events(workspace, None, "630100")
    national = _ranked_nation(folder / "all_366_cities_daily.csv.gz", home / "nation")
    return Years(
        **tables,
        national=national,
        province=province,
        rates=rates,
        beyond=beyond,
        events=events,
        zeros=rejects,
        edition=rules.limits.edition,
    )


def _confirm_xining(workspace: Workspace) -> None:
    for event in decide.dust_events(workspace, "proposed", "630100"):
        decide.review_dust(
            workspace, event["id"], decisions.CONFIRMED, reason="daily screen, for this page", who=REVIEWER
        )


def _ranked_nation(path: Path, home: Path) -> pl.DataFrame:
    """All cities ranked for 2016 against 2015, as measured (the dust of other cities was reviewed by nobody)."""
    workspace = init(home, Settings())
    ingest(workspace, "city_daily", [path])
    con = workspace.lake.connect()
    try:
        days = workspace.lake.table("city_days", con=con)
        rules = rules_on(date(2016, 12, 31))
        indexed = rank.composite_index(evaluate.evaluation(days, YEARS, rules), rules)
        found = rank.with_change(rank.ranking(indexed), YEARS)
        frame = _frame(con.to_pyarrow(found.filter(found.period == "2016").drop("index_count")))
    finally:
        con.disconnect()
    names = {code: workspace.places[code].name for code in frame["place"].to_list()}
    return frame.with_columns(name=pl.col("place").replace_strict(names)).sort("rank", "place", nulls_last=True)


def _frame(table: Any) -> pl.DataFrame:
    made = pl.from_arrow(table)
    assert isinstance(made, pl.DataFrame)
    return made


def dust_days(events: Sequence[Mapping[str, Any]]) -> list[date]:
    """Statistical days of events that span whole days."""
    days = []
    for event in events:
        first, last = ((event[end] + timedelta(hours=7)).date() for end in ("start", "end"))
        days += [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return sorted(days)


# ---- pages ----------------------------------------------------------------------------------------------------


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; None is a dash."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join("—" if c is None else str(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


MADE = "<!-- Written by docs/explain_real_data.py from the shared test data; do not edit. -->"


def hours_page(found: PublishedHours) -> str:
    """The page on the hours of 2020."""
    total, classes = found.rows.height, found.classes
    both = found.rows.filter(pl.col("printed_aqi").is_not_null())
    same = (both["aqi"] == both["printed_aqi"]).sum()
    no_primary = both.filter(pl.col("primary_pollutant") == "").height
    partial = both.filter(pl.col("aqi_state") == "incomplete").height
    return f"""# 2020 年公布的小时 AQI / Hourly AQI as published in 2020

{MADE}

`cn_stations_hourly_2020` 是发布平台 2020-03-26 至 04-08 的逐时页面（青海八市州与兰州）。经 `qinglan ingest published_hourly`
入库后，用 HJ 633—2012 的默认选项重算每个站点小时的 AQI、级别和首要污染物，与同一行上公布的值逐行比较。

The pages of the publishing platform were loaded with `qinglan ingest published_hourly`; the index of every station hour was
computed again from the row by HJ 633-2012 with default options and held against what the same row printed.

## 结果 / Outcome

入湖 {total:,} 个站点小时，其中 {both.height:,} 个公布了 AQI。 / {total:,} station hours are in the lake; {
        both.height:,} of them
have a published AQI.

{
        table(
            ["", "一致 / agree", "共 / of", "%"],
            [
                ("AQI", f"{same:,}", f"{both.height:,}", f"{100 * same / both.height:.2f}"),
                ("级别 / level", f"{same:,}", f"{both.height:,}", f"{100 * same / both.height:.2f}"),
                (
                    "首要污染物（不计书写顺序） / primary (as a set)",
                    f"{classes['agrees'] + classes['order_of_ties']:,}",
                    f"{both.height:,}",
                    f"{100 * (classes['agrees'] + classes['order_of_ties']) / both.height:.2f}",
                ),
            ],
        )
    }

每一行都归入一类 / Every row falls into one class:

{
        table(
            ["类 / class", "小时 / hours", ""],
            [(f"`{n}`", f"{classes[n]:,}", f"{zh}<br>{en}") for n, (zh, en) in CLASSES.items()],
        )
    }

- AQI ≤ 50 时双方都不列首要污染物（{no_primary:,} 小时）。 / Neither side names a primary pollutant up to 50 ({
        no_primary:,} hours).
- 平台在缺少部分项目时仍发布（{
        partial:,} 小时），只要有一项颗粒物；两项颗粒物都缺时一律不发布。 / With items missing the
  platform still published ({partial:,} hours) as long as one of the particles was there, and never without both.

{_options_part(found)}
{_aside_part(found)}"""


def _options_part(found: PublishedHours) -> str:
    return f"""## 这说明了哪些选项 / Which options the data support

标准文本对小时报留有疑问：颗粒物用 1 小时值还是 24 小时滑动值，臭氧是否并用 8 小时滑动值。四种读法与公布值的符合程度：

The text leaves two questions about the hourly report. How the four readings fit what was published:

{
        table(
            ["`hj633.hourly_pm`", "`hj633.hourly_o3`", "一致 / agree", "%"],
            [(f"`{pm}`", f"`{o3}`", f"{n:,} / {of:,}", f"{100 * n / of:.1f}") for pm, o3, of, n in found.options],
        )
    }

默认选项（两项都用 1 小时值）与 2020 年的做法完全一致；另外三种都不是当时的算法。滑动值由库中的小时算出，序列有缺口，故后两行还受缺测影响。

The defaults (both by the hour) are what was done in 2020. Sliding means are formed from the hours in the lake, whose gaps weigh on
the last two rows as well.
"""


def _aside_part(found: PublishedHours) -> str:
    return f"""## 没有进入比较的 / What was set aside

{table(["代码 / code", "字段 / field", "条 / marks", "行 / rows"], found.set_aside.sort("code", "field").rows())}

`unknown_station`：站点名单中没有的名称（{"、".join(found.unknown)}；登记后可重试）；`frozen_double`：同一站点以两个名称出现，其中一个序列冻结不变；
`duplicate_identical`：整行重复。原文都保存在搁置表中。 / A station that no list names, a second and frozen series of one
station, and rows that repeat; their text is kept among the rejects.
"""


def years_page(found: Years) -> str:
    """The page on 2015 and 2016."""
    years = [_year_part(found, period) for period in ("2015", "2016")]
    return "\n".join([_years_head(found), *years, _dust_part(found), _nation_part(found)])


def _years_head(found: Years) -> str:
    zeros = "、".join(f"{field} {count}" for field, count in sorted(found.zeros.items()))
    return f"""# 2015 与 2016 年评价 / The evaluation of 2015 and 2016

{MADE}

`cn_city_daily_aqistudy_2013_2017` 的城市日值经 `qinglan ingest city_daily` 入库，按 {found.edition}、HJ 633—2012、HJ 663—2013 和
2018 年排名规定评价。**这些不是官方结果**，请留意：

City days of a public archive, evaluated by the rules of those years. **These are not official results:**

- 数据是网站抓取的日值，来源未声明许可，仅供测试。 / scraped daily values without a stated licence, for testing only.
- 来源以 0 表示缺测，入库时置空并逐格留痕（青海八市州：{zeros}）。 / zeros mean missing; they were emptied and noted.
- AQI 由所列日值按 HJ 633 重算；来源自己的 AQI 是小时指数的平均，不可比。 / the index is computed from the daily values; the
  archive's own AQI is a mean of hourly ones.
- 两个城市日的 O3 超过 800（{_beyond(found)}），显系错误；HJ 633—2012 对超过 800 的 8 小时值不计算分指数，来源又没有小时值，
  故该日 AQI 由其余项目决定。 / Two city days show ozone above 800, plainly in error; the text computes no index from an 8-h
  value above 800 and the archive has no hours, so the other items decide.
- `O3` 按日最大 8 小时值采用。浓度为当时的标准状态。 / `O3` is taken as MDA8; gases are at the standard state of the time.
- “数据不足”：有效日未达 324 天或某月不足 27 天（2 月 25 天）。 / “too few”: the minimum of GB 3095 table 4 is not met.
"""


def _beyond(found: Years) -> str:
    rows = found.beyond.sort("place", "day").iter_rows(named=True)
    return "、".join(f"{NAMES[r['place']]} {r['day']} {r['mda8']:g}" for r in rows)


_COLUMNS = (("pm2_5", "mean"), ("pm2_5", "p95"), ("pm10", "mean"), ("pm10", "p95"), ("so2", "mean"), ("so2", "p98"),
            ("no2", "mean"), ("no2", "p98"), ("co", "p95"), ("mda8", "p90"))  # fmt: skip
_ATTAINED = {True: "达标 / met", False: "超标 / not met", None: None}


def _year_part(found: Years, period: str) -> str:
    heads = ["", *[f"{quantity(i).symbol} {s}" for i, s in _COLUMNS]]
    values = found.evaluation.filter(pl.col("period") == period, pl.col("dust") == "in")
    cells = {(r["place"], r["item"], r["statistic"]): r for r in values.iter_rows(named=True)}
    rows = []
    for place in QINGHAI:
        own = [cells.get((place, i, s)) for i, s in _COLUMNS]
        rows.append([NAMES[place], *[_cell(r) for r in own]])
    limits = [cells[QINGHAI[0], i, s]["limit"] for i, s in _COLUMNS]
    rows.append(["限值 / limit", *[f"{v:g}" for v in limits]])
    summary = found.summary.join(
        found.ranking.select("place", "period", "dust", "rank", "change_percent"),
        on=["place", "period", "dust"],
        how="left",
    ).filter(pl.col("period") == period)
    days = []
    for place in QINGHAI:
        own = {r["dust"]: r for r in summary.filter(pl.col("place") == place).iter_rows(named=True)}
        raw, out = own["in"], own["out"]
        days.append([
            NAMES[place], raw["valid_days"], raw["good_days"], f"{raw['raw_good_rate']:.1f}", f"{raw['adjusted_good_rate']:.1f}" if raw["adjusted_good_rate"] is not None else None,
            raw["raw_heavy_days"], f"{raw['composite_index']:.2f}", f"{out['composite_index']:.2f}", raw["rank"], out["rank"],
            None if raw["change_percent"] is None else f"{raw['change_percent']:+.1f}",
            " ".join(quantity(n).symbol for n in raw["main_pollutant"].split(",")),
            _ATTAINED[raw["attained"]], None if raw["data_valid"] else "数据不足 / too few",
        ])  # fmt: skip
    rate = found.rates.filter(pl.col("period") == period).row(0, named=True)
    mean = found.province.filter(
        pl.col("period") == period,
        pl.col("item") == "pm2_5",
        pl.col("statistic") == "mean",
        pl.col("dust") == "in",
    )["value"][0]
    return f"""
## {period}

浓度 / concentrations (µg/m³; CO mg/m³), 含沙尘 / dust in. `*`：超过限值 / above the limit.

{table(heads, rows)}

{
        table(
            [
                "",
                "有效日 / valid",
                "优良日 / good",
                "优良率 / rate %",
                "扣沙尘 / adjusted %",
                "重污染 / heavy",
                "综合指数 / index",
                "扣沙尘 / dust out",
                "名次 / rank",
                "扣沙尘 / dust out",
                "同比 / change %",
                "首要 / main",
                "年评价 / year",
                "",
            ],
            days,
        )
    }

全省 / province: PM₂.₅ 八市州均值 / mean of the eight {
        mean:.1f} µg/m³; 优良率 / good-day rate: 城市平均 / mean of cities
{rate["rate_mean_of_cities"]:.1f} %, 合并计日 / pooled days {rate["rate_pooled_days"]:.1f} %.
"""


def _cell(row: Mapping[str, Any] | None) -> str | None:
    if row is None:
        return None
    text = f"{row['shown']:.{quantity(row['item']).decimals}f}"
    return text + ("*" if row["attained"] is False else "")


def _dust_part(found: Years) -> str:
    rows = [
        [days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}", f"{e['evidence']['peak_pm10']:.1f}",
         f"{e['evidence']['base_pm10']:.0f}", f"{e['evidence']['least_ratio']:.2f}"]
        for e in found.events
        for days in (dust_days([e]),)
    ]  # fmt: skip
    keys = ["place", "period", "item", "statistic"]
    particles = found.evaluation.filter(pl.col("place") == "630100", pl.col("item").is_in(["pm10", "pm2_5"]))
    both = particles.filter(pl.col("dust") == "in").join(
        particles.filter(pl.col("dust") == "out"), on=keys, suffix="_out"
    )
    both = both.filter(pl.col("period").is_in(["2015", "2016"])).sort(keys)
    effect = [
        [
            r["period"],
            f"{quantity(r['item']).symbol} {r['statistic']}",
            f"{r['value']:.2f}",
            f"{r['value_out']:.2f}",
        ]
        for r in both.iter_rows(named=True)
    ]
    return f"""
## 西宁的沙尘日 / Dust days of Xining

只有日值，因此由较粗的日筛查提出（PM₁₀ 高于 150 µg/m³ 且达到 31 日中位数的 2 倍，PM₂.₅/PM₁₀ 低于其中位数的 0.9）。这里把提出的
事件全部确认，只为显示含与不含的差别；其他市州的事件没有审核，故两栏相同。真实审核需要卫星影像和沙尘监测网。 / Proposed by our daily screen and all confirmed here, only
to show the difference; those of the other prefectures were left alone, so their columns agree. A real review needs images and the dust network.

{table(["日 / day", "峰值 / peak PM₁₀", "常值 / usual", "最低 / least PM₂.₅/PM₁₀"], rows)}

扣除前后 / with and without:

{table(["", "", "含 / in", "扣除 / out"], effect)}
"""


def _nation_part(found: Years) -> str:
    ranked = found.national
    placed = ranked.filter(pl.col("rank").is_not_null())

    def rows(frame: pl.DataFrame) -> list[list[Any]]:
        return [
            [
                r["rank"], r["name"], f"{r['composite_index']:.2f}",
                " ".join(quantity(n).symbol for n in r["main_pollutant"].split(",")),
                *[f"{r[i]:.{quantity(i).decimals}f}" for i in DAILY_ITEMS],
                None if r["change_percent"] is None else f"{r['change_percent']:+.1f}",
                None if r["data_valid"] else "数据不足 / too few",
            ]
            for r in frame.iter_rows(named=True)
        ]  # fmt: skip

    heads = [
        "名次 / rank",
        "",
        "指数 / index",
        "首要 / main",
        *[quantity(i).symbol for i in DAILY_ITEMS],
        "同比 / change %",
        "",
    ]
    mine = placed.filter(pl.col("place").is_in(list(QINGHAI)))
    short = placed.filter(~pl.col("data_valid")).height
    return f"""
## {ranked.height} 个城市 2016 年排名 / {ranked.height} cities ranked for 2016

含沙尘，六项齐全者参加排名：{placed.height} 个；其中 {short} 个有项目未达有效日要求，仍列出并注明。 / Dust in; {placed.height} cities
have all six items, {short} of them with fewer valid days than the standard asks in some item.

前十 / first ten:

{table(heads, rows(placed.head(10)))}

后十 / last ten:

{table(heads, rows(placed.tail(10)))}

青海 / Qinghai:

{table(heads, rows(mine))}
"""


def pages(data: Path) -> dict[Path, str]:
    """Both pages by file."""
    with tempfile.TemporaryDirectory(prefix="qinglan-docs-") as folder:
        home = Path(folder)
        return {
            HOURS_PAGE: hours_page(published_hours(data, home / "hours")),
            YEARS_PAGE: years_page(evaluate_years(data, home / "years")),
        }


if __name__ == "__main__":
    for path, text in pages(DATA).items():
        path.write_text(text, encoding="utf-8")
