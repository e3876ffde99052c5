"""A made office whose ledgers disagree in known ways: what each check of the inventory finds is told below.

Eight enterprises E1 to E8 in Chengbei, Xining, all of 2025. E1 to E6 and E8 each have a coal boiler of 10,000 t:
sulphur 0.5 %, only E6 2.5 %. E7 operates and has nothing; E8 was closed in 2020. Of coal users, E1 says 10,000 t
and 0.5 %, E2 20,000 t and 0.9 %. E1's outlet may emit 1 t of NOx a year and 100 mg/m3 of SO2; its means are 120,
130 and 90. The boiler of E4 has one outlet, monitored all year: 850 t of SO2, ten times the balance, and 12 kg of
NOx. E1 to E5 are on the emergency list. To the statistics E1 told its coal and SO2 (85 t, as the guide's
balance gives: 10,000 t, 0.5 %, 85 % of the sulphur) and 1 t of NOx; E3 three times its coal, ten times its SO2.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.flow import ledgers
from qinglan.flow.workspace import Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.sim.enterprises import credit_code

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
COUNTY = "630105"
CODES = {n: credit_code(COUNTY, n) for n in range(1, 9)}


def good(ledger: str, **cells: Any) -> dict[str, Any]:
    """The ledger's own example with other cells."""
    return {**load_ledger(ledger).good[0], "county": COUNTY, **cells}


def take(space: Workspace, ledger: str, *rows: dict[str, Any]) -> None:
    """Import rows; none may be kept aside."""

    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    columns = [c for c in load_ledger(ledger).schema if any(r.get(c) is not None for r in rows)]
    table = {c: [text(r.get(c)) for r in rows] for c in columns}
    data = pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)).write_csv().encode()
    me = ledgers.local_office(space, "tests")
    report = ledgers.import_workbook(space, ledger, data, name=f"{ledger}.csv", me=me, today=TODAY, now=NOW)
    assert report.aside == 0, report.faults


def office(home: Path) -> Workspace:
    """The office in a new workspace."""
    made = init(home)
    place = {"lon": 101.76, "lat": 36.66}
    firms = []
    for n, code in CODES.items():
        closed = {"status": "closed", "closed_on": "2020-06-30"} if n == 8 else {}
        permit = {"permit_no": f"{code}001V", "address": f"天津路{n}号", **place}
        firms.append(good("air-enterprises", uscc=code, name=f"企业{n}", **permit, **closed))
    take(made, "air-enterprises", *firms)
    take(made, "boilers", *(
        good("boilers", boiler_no=f"GL-{n:02}", name="锅炉", uscc=CODES[n], year=2025, fuel_use=10_000,
             sulphur=2.5 if n == 6 else 0.5, so2_control="none")
        for n in (1, 2, 3, 4, 5, 6, 8)
    ))  # fmt: skip
    use = {"use_kind": "heating", "year": 2025, "standard_coal": None, "cap": None, "bought_outside": None,
           "clean_bought": None, "unit_capacity": None, "unit_commissioned": None}  # fmt: skip
    take(made, "coal-use", *(
        good("coal-use", uscc=CODES[n], enterprise=f"企业{n}", raw_coal=coal, sulphur=sulphur, ash=14.5, **use)
        for n, coal, sulphur in ((1, 10_000, 0.5), (2, 20_000, 0.9))
    ))  # fmt: skip
    form = {"permit_no": None, "gas": None, "oil": None, "so2_made": None, "nox_made": None, "pm_made": None,
            "pm": 1000, "method": "factor", "year": 2025, "coal_sulphur": 0.5}  # fmt: skip
    take(made, "env-statistics", *(
        good("env-statistics", uscc=CODES[n], enterprise=f"企业{n}", coal=coal, fuel_coal=coal, so2=so2,
             nox=1, **form)
        for n, coal, so2 in ((1, 10_000, 85), (3, 30_000, 850))
    ))  # fmt: skip
    outlet = {"uscc": CODES[1], "enterprise": "企业1", "permit_no": f"{CODES[1]}001V", "so2_limit": 100,
              "nox_permit_t": 1, "pm_limit": None, "nox_limit": None, **place}  # fmt: skip
    take(made, "outlets", good("outlets", **outlet))
    take(made, "stack-data", *(
        good("stack-data", uscc=CODES[1], enterprise="企业1", month=f"2025-{month:02}", so2=so2)
        for month, so2 in ((1, 120), (2, 130), (3, 90))
    ))  # fmt: skip
    whole = {"uscc": CODES[4], "enterprise": "企业4", "pm_kg": None, "pm": None}
    other = {"uscc": CODES[4], "enterprise": "企业4", "serves": "GL-04", "permit_no": f"{CODES[4]}001V"}
    take(made, "outlets", good("outlets", **outlet | other | {"so2_limit": None, "nox_permit_t": 620}))
    take(made, "stack-data", *(
        good("stack-data", month=f"2025-{month:02}", so2_kg=850_000 / 12, nox_kg=1, **whole)
        for month in range(1, 13)
    ))  # fmt: skip
    take(made, "emergency-list", *(
        good("emergency-list", uscc=CODES[n], enterprise=f"企业{n}", line_no=f"GL-{n:02}", year=2025)
        for n in range(1, 6)
    ))  # fmt: skip
    return made
