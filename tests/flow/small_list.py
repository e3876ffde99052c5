"""A workspace with five enterprises and an emergency list, small enough to count by hand.

Cement (grade C, listed too mildly), glass (grade A, listed), brick (grade D, 72 h to stop, listed with a whole
stop that it cannot give), lime (never listed), heat (its boiler needed by the people, never listed).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.flow import ledgers
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.sim.enterprises import credit_code

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
CEMENT, GLASS, BRICK, LIME, HEAT = (credit_code("630106", n) for n in range(1, 6))
#: code, class of industry, sector, product, technology, name.
MAKERS = (
    (CEMENT, "3011", "cement", "clinker", "nsp_kiln", "试水泥"),
    (GLASS, "3041", "glass", "float_glass", "none", "试玻璃"),
    (BRICK, "3031", "brick", "brick", "tunnel_kiln", "试砖瓦"),
    (LIME, "3012", "lime", "lime", "none", "试石灰"),
)
CUTS: dict[str, Any] = {
    "yellow": "load", "yellow_cut": 10, "orange": "stop_lines", "orange_cut": 20, "red": "stop_lines",
    "red_cut": 30,
}  # fmt: skip
STOP: dict[str, Any] = {
    "yellow": "stop_lines", "yellow_cut": 50, "orange": "stop", "orange_cut": 100, "red": "stop", "red_cut": 100,
}  # fmt: skip


def take(space: Workspace, ledger_id: str, *rows: dict[str, Any]) -> None:
    """Rows into a ledger, over its first good example."""
    ledger = load_ledger(ledger_id)
    whole = [{**ledger.good[0], **row} for row in rows]

    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    table = {c: [text(r.get(c)) for r in whole] for c in ledger.schema}
    data = pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)).write_csv().encode()
    me = ledgers.local_office(space, "test")
    report = ledgers.import_workbook(space, ledger_id, data, name="x.csv", me=me, today=TODAY, now=NOW)
    assert report.aside == 0, report.faults.to_dicts()


def enterprise(uscc: str, industry_class: str, name: str) -> dict[str, Any]:
    return {
        "uscc": uscc, "name": name, "county": "630106", "industry": industry_class[:2], "grade": "none",
        "industry_class": industry_class, "permit_no": f"{uscc}001V", "power_monitoring": False,
    }  # fmt: skip


def assessed(uscc: str, name: str, sector: str, grade: str, **cells: Any) -> dict[str, Any]:
    seven = ("equipment", "control", "limits", "fugitive", "monitoring", "management", "transport")
    return {"uscc": uscc, "enterprise": name, "county": "630106", "sector": sector, "grade": grade, "before": None,
            **dict.fromkeys(seven, grade), **cells}  # fmt: skip


def listed(uscc: str, number: str, name: str, sector: str, grade: str, **cells: Any) -> dict[str, Any]:
    """A row of the list whose tonnage is left at nothing unless it is given."""
    return {
        "uscc": uscc, "enterprise": name, "county": "630106", "line_no": number, "line": "1号线", "sector": sector,
        "grade": grade, "lead_hours": 8, "pm_day": 100, "so2_day": 100, "nox_day": 500, "voc_day": 10, **CUTS,
        **cells,
    }  # fmt: skip


def small_list(home: Path) -> Workspace:
    """The workspace, with rows of 2025 in seven ledgers."""
    made = init(home, Settings(simulated=True))
    heat = enterprise(HEAT, "4430", "试热力")
    take(made, "air-enterprises", *(enterprise(u, c, n) for u, c, *_, n in MAKERS), heat)
    take(made, "production-lines", *(
        {"line_no": f"L-00{k}", "year": 2025, "name": "1号线", "uscc": u, "enterprise": n, "county": "630106",
         "sector": s, "product": p, "technology": t}
        for k, (u, _, s, p, t, n) in enumerate(MAKERS, 1)
    ))  # fmt: skip
    take(made, "boilers", {"boiler_no": "GL-001", "uscc": HEAT, "county": "630106"})
    take(made, "outlets", {"uscc": CEMENT, "enterprise": "试水泥", "county": "630106", "serves": "L-001",
                           "permit_no": f"{CEMENT}001V"})  # fmt: skip
    take(
        made,
        "process-monitoring",
        {"point_no": "JK-001", "uscc": GLASS, "enterprise": "试玻璃", "county": "630106"},
    )
    take(
        made, "performance-grades", assessed(CEMENT, "试水泥", "cement", "C"),
        assessed(GLASS, "试玻璃", "glass", "A"), assessed(BRICK, "试砖瓦", "brick", "D"),
        assessed(LIME, "试石灰", "lime", "B", valid_to="2025-12-31"),
    )  # fmt: skip
    take(
        made, "emergency-list", listed(CEMENT, "L-001", "试水泥", "cement", "C"),
        listed(GLASS, "L-002", "试玻璃", "glass", "A", yellow="self", yellow_cut=0, orange="self", orange_cut=0,
               red="self", red_cut=0),
        listed(BRICK, "L-003", "试砖瓦", "brick", "D", **STOP, lead_hours=72),
    )  # fmt: skip
    return made
