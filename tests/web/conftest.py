"""A small fabricated result folder, true to contract 0002 §2 and §4, that the pages are tested on.

The numbers are drawn, not computed: what is tested here is that pages show what the files say.
`python tests/web/conftest.py FOLDER` writes one to look at with `qinglan.web.serve`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from qinglan.access import DEMO, Grant, Principal
from qinglan.core.clock import Period, from_day_and_hour
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.flow.workspace import init
from qinglan.store import runs
from qinglan.web import create_app

RUN_ID = "0f3a9c51d2e84b67"
FIRST, LAST = date(2025, 1, 1), date(2026, 4, 12)
AS_OF = date(2025, 12, 31)
NOW = datetime(2026, 4, 12, 16, 20, tzinfo=UTC)

PLACES = [
    ("630000", "青海省", "Qinghai"),
    ("630100", "西宁市", "Xining"),
    ("630200", "海东市", "Haidong"),
    ("632200", "海北藏族自治州", "Haibei"),
    ("632300", "黄南藏族自治州", "Huangnan"),
    ("632500", "海南藏族自治州", "Hainan"),
    ("632600", "果洛藏族自治州", "Golog"),
    ("632700", "玉树藏族自治州", "Yushu"),
    ("632800", "海西蒙古族藏族自治州", "Haixi"),
    ("632801", "格尔木市", "Golmud"),
]
STATIONS = [
    ("1480A", "市环境监测站", "630100"),
    ("1481A", "省医药仓库", "630100"),
    ("1482A", "四陆医院", "630100"),
    ("1483A", "第五水厂", "630100"),
    ("2670A", "平安县", "630200"),
    ("2671A", "西海镇", "632200"),
    ("2672A", "隆务镇", "632300"),
    ("2673A", "恰卜恰镇", "632500"),
    ("2674A", "大武镇", "632600"),
    ("2675A", "结古镇", "632700"),
    ("2676A", "德令哈市", "632800"),
]
BASE = {"so2": 12.0, "no2": 22.0, "co": 0.7, "mda8": 118.0, "pm10": 52.0, "pm2_5": 20.0}
LIMIT = {"so2": 60, "no2": 40, "co": 4, "mda8": 160, "pm10": 70, "pm2_5": 35}
OLD, NEW, CHANGE = "HJ 633-2012", "HJ 633-2026", date(2026, 3, 1)


def write(folder: Path, name: str, rows: list[dict]) -> None:
    """One Parquet table from rows."""
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")


def days_between(first: date, last: date) -> list[date]:
    """Both ends included."""
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


def draw_days(rng: np.random.Generator) -> list[dict]:
    """Daily values of every place: a season, a few dust days, some gaps."""
    rows = []
    for k, (code, _, _) in enumerate(PLACES):
        for day in days_between(FIRST, LAST):
            season = np.cos(2 * np.pi * (day.timetuple().tm_yday - 10) / 365)
            row = {"place": code, "day": day, "stations": 4 if code == "630100" else 1}
            for item in DAILY_ITEMS:
                sign = -0.3 if item == "mda8" else 0.45
                clean = 1.15 - 0.06 * k
                value = BASE[item] * clean * (1 + sign * season) * rng.lognormal(0, 0.28)
                if item in ("pm10", "pm2_5") and day.month in (3, 4) and rng.random() < 0.08:
                    value *= rng.uniform(3, 12)
                gap = rng.random() < 0.02
                row[item] = None if gap else round(float(value), 3)
                row[f"{item}_stations"] = 0 if gap else row["stations"]
            rows.append(row)
    return rows


def index(row: dict, edition: str) -> dict:
    """A rough index good enough to colour a page: concentration over limit, times one hundred."""
    scale = {"pm10": 120 if edition == NEW else 150, "pm2_5": 60 if edition == NEW else 75, "no2": 80, "so2": 150}
    parts = {i: row[i] and min(500, int(100 * row[i] / scale.get(i, LIMIT[i])) + 1) for i in DAILY_ITEMS}
    known = {i: v for i, v in parts.items() if v is not None}
    aqi = max(known.values(), default=None)
    complete = len(known) == len(DAILY_ITEMS)
    if not complete and (aqi is None or aqi <= 100):
        aqi = None
    level = (
        None if aqi is None else next((n + 1 for n, top in enumerate((50, 100, 150, 200, 300)) if aqi <= top), 6)
    )
    primary = ",".join(i for i, v in known.items() if v == aqi) if aqi and aqi > 50 else ""
    state = "complete" if complete else "incomplete" if aqi else "unavailable"
    return {
        "edition": edition,
        "aqi": aqi,
        "level": level,
        "primary_pollutant": primary,
        "aqi_state": state,
        **{f"iaqi_{i}": v for i, v in parts.items()},
    }


def place_aqi(days: list[dict]) -> list[dict]:
    """Both editions for every day, the one in force marked."""
    return [
        {
            "place": r["place"],
            "day": r["day"],
            **index(r, edition),
            "in_force": (edition == NEW) == (r["day"] >= CHANGE),
        }
        for r in days
        for edition in (OLD, NEW)
    ]


def periods() -> list[Period]:
    """Year, quarters and months of 2025, months and first quarter of 2026."""
    found = [Period.year(2025), *(Period.quarter(2025, q) for q in range(1, 5)), Period.quarter(2026, 1)]
    return found + [Period.month(2025, m) for m in range(1, 13)] + [Period.month(2026, m) for m in range(1, 4)]


def evaluate(days: list[dict], aqi: list[dict]) -> tuple[list[dict], list[dict], list[dict]]:
    """`evaluation`, `summary` and `ranking` for every period and both dust treatments."""
    evaluation, summary, ranking = [], [], []
    for period in periods():
        inside = [r for r in days if period.start <= r["day"] <= period.end]
        judged = [r for r in aqi if r["edition"] == OLD and period.start <= r["day"] <= period.end]
        for dust in ("in", "out"):
            rank_rows = []
            for code, _, _ in PLACES:
                mine = [r for r in inside if r["place"] == code]
                total, key = 0.0, {"place": code, "period": period.label, "dust": dust}
                ratios = {}
                for item in DAILY_ITEMS:
                    values = np.array([r[item] for r in mine if r[item] is not None])
                    if dust == "out" and item.startswith("pm"):
                        values = values[values < 4 * BASE[item]]
                    statistic = {"co": "p95", "mda8": "p90"}.get(item, "mean")
                    value = (
                        float(np.percentile(values, int(statistic[1:]))) if statistic != "mean" else values.mean()
                    )
                    value, limit = round(float(value), 3), float(LIMIT[item])
                    ratios[item] = value / limit
                    total += value / limit
                    if statistic != "mean":  # as the air room writes it: a mean that no limit is held against
                        plain = {
                            "statistic": "mean",
                            "value": 1.0,
                            "limit": None,
                            "attained": None,
                            "data_valid": True,
                        }
                        plain |= {"exceedance_factor": None, "valid_days": 1, "expected_days": period.days}
                        evaluation.append(key | {"item": item, **plain, "edition": "GB 3095-2012"})
                    evaluation.append(
                        key
                        | {
                            "item": item,
                            "statistic": statistic,
                            "value": value,
                            "limit": limit,
                            "attained": value <= limit,
                            "exceedance_factor": max(0.0, round(value / limit - 1, 2)),
                            "valid_days": len(values),
                            "expected_days": period.days,
                            "data_valid": len(values) > 0.88 * period.days,
                            "edition": "GB 3095-2012",
                        }
                    )
                levels = [r["level"] for r in judged if r["place"] == code and r["level"]]
                good = sum(x <= 2 for x in levels)
                main = max(ratios, key=ratios.__getitem__)
                base = {"composite_index": round(total, 4), "main_pollutant": main}
                summary.append(
                    key
                    | base
                    | {
                        "edition": OLD,
                        "valid_days": len(levels),
                        "good_days": good,
                        "good_rate": round(100 * good / len(levels), 1),
                        "heavy_days": sum(x >= 5 for x in levels),
                        "raw_valid_days": len(levels),
                        "raw_good_days": good,
                        "raw_good_rate": round(100 * good / len(levels), 1),
                        "raw_heavy_days": sum(x >= 5 for x in levels),
                        "adjusted_good_rate": round(100 * good / len(levels), 1),
                        **{f"level_{n}": levels.count(n) for n in range(1, 7)},
                        "max_index": round(max(ratios.values()), 3),
                        "attained": max(ratios.values()) <= 1,
                        "data_valid": True,
                    }
                )
                previous = None if period.start.year == 2025 else round(total * 1.04, 4)
                rank_rows.append(
                    key
                    | base
                    | {
                        "previous_index": previous,
                        "change_rank": None,
                        "change_percent": None if previous is None else round(100 * (total / previous - 1), 1),
                    }
                )
            cities = [r for r in rank_rows if r["place"].endswith("00") and r["place"] != "630000"]
            for n, row in enumerate(sorted(cities, key=lambda r: r["composite_index"]), 1):
                ranking.append({**row, "rank": n})
    return evaluation, summary, ranking


def draw_station_days(rng: np.random.Generator, days: list[dict]) -> list[dict]:
    """Station days: the place's values with a little difference."""
    by_key = {(r["place"], r["day"]): r for r in days}
    rows = []
    for station, _, code in STATIONS:
        for day in days_between(FIRST, LAST):
            source = by_key[code, day]
            row = {"station": station, "day": day, "mda8_n": 17}
            for item in DAILY_ITEMS:
                value = source[item]
                row[item] = None if value is None else round(value * float(rng.uniform(0.92, 1.08)), 3)
                row[f"{'o3' if item == 'mda8' else item}_n"] = 11 if value is None else int(rng.integers(20, 25))
            row["o3_1h"] = row["mda8"] and row["mda8"] + 12
            rows.append(row)
    return rows


def draw_hours(rng: np.random.Generator) -> list[dict]:
    """Ten days of hourly AQI with concentrations, for stations (with their place) and for places."""
    last, rows = from_day_and_hour(LAST, 23), []
    keys = [(None, code) for code, _, _ in PLACES] + [(s, code) for s, _, code in STATIONS]
    for back in range(240):
        time = last - timedelta(hours=back)
        for station, code in keys:
            if station == "2674A" and back < 3:
                continue
            row = {"station": station, "place": code, "time": time.replace(tzinfo=None)}
            source = {}
            for item in HOURLY_ITEMS:
                name = "mda8" if item == "o3" else item
                wave = 1 + 0.3 * np.sin((time.hour + 4) / 24 * 2 * np.pi)
                value = round(float(BASE[name] * wave * rng.lognormal(0, 0.25)), 1)
                row[item] = source[name] = value
            judged = index(source, NEW)
            judged = {
                k.replace("mda8", "o3"): v.replace("mda8", "o3") if isinstance(v, str) else v
                for k, v in judged.items()
            }
            rows.append({**row, **judged})
    return rows


TARGETS = json.loads((Path(__file__).parent / "targets.json").read_text("utf-8"))
DEPARTMENTS = {
    "energy": {"zh": "省能源局", "en": "Energy Administration"},
    "ecology": {"zh": "省生态环境厅", "en": "Department of Ecology and Environment"},
}


def articles() -> list[dict]:
    """All 38 articles, those with tasks from the fourth on."""
    made = []
    for number in range(1, 39):
        tasks = []
        if number > 3:
            record = {"on": "2025-06-30", "ref": "3f", "source": "file", "by": "officer"}
            nothing = dict.fromkeys(record)
            boilers = {"type": "ledger", "id": "boilers", "state": "missing", **nothing}
            target = {"type": "target", "id": "pm2_5-2025", "state": "have", "target_status": "met", **nothing}
            tasks.append(
                {
                    "id": f"a{number:02d}-first",
                    "title": {"zh": f"第{number}条的首要任务", "en": f"First task of article {number}"},
                    "status": ("waiting", "overdue", "done", "continuous")[number % 4],
                    "due": None if number % 4 == 3 else "2025-12-31",
                    "cadence": "continuous" if number % 4 == 3 else "once",
                    "late": number % 8 == 2,
                    "lead": ["energy"] if number % 3 else ["ecology", "energy"],
                    "supporting": ["ecology"],
                    "conditional": None,
                    "evidence": [
                        boilers,
                        target,
                        {"type": "document", "id": "unheard-of", "state": "stale", **record},
                    ],
                }
            )
        text = {"zh": f"条文{number}", "en": f"Article heading {number}"}
        nothing = {"zh": "总则", "en": "General"}
        made.append(
            {
                "number": number,
                "title": text,
                "summary": text,
                "no_tasks": None if tasks else nothing,
                "tasks": tasks,
            }
        )
    return made


def verdict(summary: list[dict], ranking: list[dict]) -> dict:
    """`verdict.json` of contract §4."""
    ranks = {r["place"]: r for r in ranking if r["period"] == "2025" and r["dust"] == "out"}
    rules = [
        ("gb3095", "GB 3095-2012", {}),
        ("hj633", OLD, {"city_aqi": "from_concentrations"}),
        ("hj663", "HJ 663-2013", {}),
        ("ranking", "2018", {}),
        ("dust", "120-2016", {"removal": "day_removal", "count_as_valid": "true"}),
        ("gbt8170", "GB/T 8170-2008", {}),
    ]
    return {
        "run": {
            "id": RUN_ID,
            "kind": "run",
            "started_at": "2026-04-12T15:40:00+00:00",
            "rules": [
                {"book": b, "edition": e, "valid_from": "2016-01-01", "content_hash": "ab" * 32, "options": o}
                for b, e, o in rules
            ],
            "inputs": {"lake/hours": "9f" * 32, "plan": "1c" * 32},
            "arguments": {"plan": "qinghai-2024"},
            "code_version": "0.1.0",
        },
        "plan": {
            "id": "qinghai-2024",
            "title": {
                "zh": "青海省空气质量持续改善行动计划实施方案",
                "en": "Qinghai action plan for continuous improvement of air quality",
            },
            "hash": "1c" * 32,
        },
        "as_of": AS_OF.isoformat(),
        "simulated": True,
        "targets": TARGETS,
        "articles": articles(),
        "departments": DEPARTMENTS,
        "dust": {"proposed": 3, "confirmed": 2, "rejected": 1},
        "control": {
            "hours": 96360,
            "flags": 412,
            "decisions": 2,
            "counts": [{"rule": "range", "item": "pm10", "state": "invalid", "hours": 412}],
        },
        "places": [{"place": c, "name": z, "name_en": e, **ranks.get(c, {})} for c, z, e in PLACES],
    }


def fabricate(home: Path) -> Path:
    """Write a workspace home with one run; returns the run's folder."""
    rng = np.random.default_rng(20240628)
    folder = home / "results" / RUN_ID
    folder.mkdir(parents=True)
    days = draw_days(rng)
    aqi = place_aqi(days)
    evaluation, summary, ranking = evaluate(days, aqi)
    dusty = [{"place": r["place"], "day": r["day"]} for r in days if (r["pm10"] or 0) > 4 * BASE["pm10"]]
    tables = {
        "place_days": days,
        "place_aqi": aqi,
        "evaluation": evaluation,
        "summary": summary,
        "ranking": ranking,
        "station_days": draw_station_days(rng, days),
        "hourly_aqi": draw_hours(rng),
        "dust_days": dusty,
        "stations": [
            {
                "station": s,
                "name": n,
                "place": p,
                "county": None,
                "lon": 101.7 + k / 10,
                "lat": 36.6,
                "altitude": 2260.0,
                "kind": "ambient",
                "control_point": s == "1483A",
                "valid_from": date(2013, 1, 1),
                "valid_to": None,
                "aliases": [],
            }
            for k, (s, n, p) in enumerate(STATIONS)
        ],
    }
    for name, rows in tables.items():
        write(folder, name, rows)
    text = json.dumps(verdict(summary, ranking), ensure_ascii=False, indent=1)
    (folder / "verdict.json").write_text(text, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Stub:
    """A workspace whose lake and registry are made up on the spot."""

    home: Path

    def loads(self) -> list[dict]:
        """One load."""
        return [
            {
                "id": "4f" * 10,
                "layout": "cnemc-hourly",
                "started_at": NOW,
                "finished_at": NOW,
                "status": "done",
                "counts": {
                    "files": {"done": 1},
                    "read": 96360,
                    "inserted": 96000,
                    "unchanged": 0,
                    "rejected": 360,
                },
            }
        ]

    def rejects(self) -> list[dict]:
        """One reason, with text that a careless page would run."""
        return [
            {
                "load_id": "4f" * 10,
                "code": "unknown_station",
                "field": "station",
                "status": "open",
                "count": 2,
                "rows": 360,
                "source": "<script>alert(1)</script>.csv",
                "reason": "station 9999A is not registered",
                "reason_zh": "站点 9999A 不在名录",
                "remedy": "register it",
                "remedy_zh": "先登记",
            }
        ]

    def station_hours(self, dataset: str, station: str, day: date) -> list[dict]:
        """Twenty-four hours of station 1480A: a negative, a missing and a below-detection value among them."""
        if station != "1480A":
            return []
        if dataset == "flags":
            return [
                {
                    "station": station,
                    "time": from_day_and_hour(day, 5),
                    "item": "pm10",
                    "rule": "negative",
                    "state": "invalid",
                    "detail": "-3",
                }
            ]
        rows = []
        for hour in range(1, 25):
            row = {"station": station, "time": from_day_and_hour(day, hour), "day": day, "hour": hour}
            for item in HOURLY_ITEMS:
                given = {("pm10", 5): -3.0, ("so2", 6): None}.get((item, hour), 10.0 + hour)
                state = {("pm10", 5): "invalid", ("so2", 6): "missing", ("no2", 7): "below_detection"}
                row |= {item: given} | (
                    {f"{item}_state": state.get((item, hour), "valid")} if dataset == "checked" else {}
                )
            rows.append(row)
        return rows


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace home with one fabricated run."""
    path = tmp_path_factory.mktemp("home")
    fabricate(path)
    return path


@pytest.fixture(scope="session")
def client(home: Path) -> TestClient:
    """A client of the console over the fabricated run."""
    app = create_app(Stub(home), clock=lambda: NOW, identify=lambda request: DEMO)
    return TestClient(app, base_url="http://127.0.0.1")


#: People of the tests by name; a request says who asks in the header ``x-who`` (nobody: the demo visitor).
PEOPLE = {
    "province": Principal("u-province", "Province", (Grant("province", place="630000"),), via="session"),
    "energy": Principal("u-energy", "Energy", (Grant("department", department="energy"),), via="session"),
    "health": Principal("u-health", "Health", (Grant("department", department="health"),), via="session"),
    "xining": Principal("u-xining", "Xining", (Grant("prefecture", place="630100"),), via="session"),
}
#: A task of the plan pack qinghai-2024 that one document proves: `ecology` leads it, `energy` supports it.
TASK = "a11-heating-plan"


@pytest.fixture(scope="session")
def office_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real workspace whose current run is the fabricated one, with one task of the real plan."""
    path = tmp_path_factory.mktemp("office") / "home"
    stations = [{"station": s, "name": n, "place": p} for s, n, p in STATIONS]
    workspace = init(path, stations=stations, who="tests")
    folder = fabricate(path)
    said = json.loads((folder / "verdict.json").read_text("utf-8"))
    named = next(a for a in said["articles"] if a["number"] == 11)["tasks"][0]
    nothing = dict.fromkeys(("on", "ref", "source", "by"))
    named |= {
        "id": TASK, "lead": ["ecology"], "supporting": ["energy"], "places": ["630000"], "local": True,
        "evidence": [{"type": "document", "id": "plan", "state": "missing", **nothing}],
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(said, ensure_ascii=False), "utf-8")
    runs.record_run(workspace.registry, RUN_ID, "run", said["run"], who="tests", at=NOW)
    return path


@pytest.fixture(scope="session")
def office(office_home: Path) -> TestClient:
    """A client of the console over :func:`office_home`."""
    app = create_app(
        office_home, clock=lambda: NOW, identify=lambda r: PEOPLE.get(r.headers.get("x-who", ""), DEMO)
    )
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


if __name__ == "__main__":
    fabricate(Path(sys.argv[1]))
