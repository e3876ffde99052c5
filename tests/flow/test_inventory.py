"""Frozen inventories. Source: docs/design/0012-ledgers.md; sums and round trips; the demonstration's rows."""

from __future__ import annotations

import runpy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import NotFound, StoreError, UnknownName, UsageError
from qinglan.flow import inventory, ledgers
from qinglan.flow.backup import backup, restore
from qinglan.flow.demo import freeze_years
from qinglan.flow.inventory import fields
from qinglan.flow.inventory.freezing import FOLDER
from qinglan.flow.workspace import Settings, Workspace, init, open_workspace
from qinglan.ledger.declare import load_ledger
from qinglan.store.registry import events, verify_events

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
BOILERS = load_ledger("boilers")


def take(space: Workspace, *rows: dict[str, Any]) -> None:
    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    table = {c: [text(r.get(c)) for r in rows] for c in BOILERS.schema}
    data = pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)).write_csv().encode()
    report = ledgers.import_workbook(
        space, "boilers", data, name="boilers.csv", me=ledgers.local_office(space, "test"), today=TODAY, now=NOW
    )
    assert report.aside == 0, report


def boiler(n: int, **cells: Any) -> dict[str, Any]:
    return {**BOILERS.good[0], "boiler_no": f"QH630105-{n:04}", "name": f"{n}号锅炉", **cells}


@pytest.fixture
def office(tmp_path: Path) -> Workspace:
    """Three boilers, one of which burns gas elsewhere."""
    made = init(tmp_path / "home", Settings(simulated=True))
    gas = dict(BOILERS.good[1])
    take(made, boiler(1), boiler(2, fuel_use=1200, so2_control="none"), gas)
    return made


def frozen(space: Workspace, year: int = 2025) -> inventory.Version:
    return inventory.freeze(space, year, by="王", reason="年度清单", now=NOW)


def test_the_same_rows_freeze_once(office: Workspace) -> None:
    first, second = frozen(office), frozen(office)
    assert (first.id, first.existing) == ("2025-01", False)
    assert (second.id, second.content, second.existing) == (first.id, first.content, True)
    assert [e["subject"] for e in events(office.registry, what=inventory.FROZEN)] == ["2025-01"]
    assert verify_events(office.registry).holds
    assert first.inputs["boilers"]["rows"] == 3
    assert [v.id for v in inventory.versions(office)] == ["2025-01"]


def test_the_demonstration_freezes_its_years_once(office: Workspace) -> None:
    """A year of which no ledger speaks is left out; where anybody has frozen one, nothing is made."""
    said: list[str] = []
    freeze_years(office, said.append)
    assert said == ["inventory 2025-01"]
    take(office, boiler(2, fuel_use=2400, so2_control="none"))
    freeze_years(office, said.append)
    assert len(said) == len(inventory.versions(office)) == 1


def test_one_changed_row_is_the_only_row_that_a_comparison_names(office: Workspace) -> None:
    frozen(office)
    take(office, boiler(2, fuel_use=2400, so2_control="none"))
    assert frozen(office).id == "2025-02"
    found = inventory.compare(office, "2025-01", "2025-02")
    assert set(found.rows["kind"]) == {"changed"}
    assert found.rows["source_id"].unique().to_list() == ["QH630105-0002"]
    # Twice the fuel, nothing else: the whole change is the activity's, and tonnes double.
    assert (found.rows["change_t"] - found.rows["by_activity"]).abs().max() < 1e-9
    assert ((found.rows["after_t"] / found.rows["before_t"]) - 2).abs().max() < 1e-9
    assert abs(found.totals["change_t"].sum() - found.rows["change_t"].sum()) < 1e-9


def test_a_new_row_is_added_and_one_that_left_is_gone(office: Workspace) -> None:
    frozen(office)
    take(office, boiler(4))
    me = ledgers.local_office(office, "test")
    number = ledgers.number_of(office, "boilers", "QH630105-0001")
    ledgers.withdraw(office, "boilers", [number], reason="拆除", me=me, now=NOW)
    frozen(office)
    rows = inventory.compare(office, "2025-01", "2025-02").rows
    said = set(rows.select("kind", "source_id").unique().iter_rows())
    assert said == {("added", "QH630105-0004"), ("gone", "QH630105-0001")}


def test_between_years_a_row_is_the_same_but_for_its_year(tmp_path: Path) -> None:
    """A line's identity holds its year: twice the output makes twice the tonnes, all by activity, none opened."""
    small = runpy.run_path(str(Path(__file__).with_name("small_inventory.py")))
    space, code = init(tmp_path / "home"), small["CODES"][1]
    small["take"](space, "air-enterprises", small["good"]("air-enterprises", uscc=code, permit_no=f"{code}001V"))
    line = {"uscc": code, "lon": 101.76, "lat": 36.66, "line_no": "L-630105-001"}
    lines = [small["good"]("production-lines", **line, year=y, output=t, capacity=900_000)
             for y, t in ((2024, 300_000), (2025, 600_000))]  # fmt: skip
    small["take"](space, "production-lines", *lines)
    before, after = frozen(space, 2024), frozen(space, 2025)
    rows = inventory.compare(space, before.id, after.id).rows
    assert set(rows["kind"]) == {"changed"}
    assert set(rows["row_key"]) == {"L-630105-001"}
    assert set(rows["ledger_key"]) == {"L-630105-001|2025"}
    assert (rows["after_t"] / rows["before_t"] - 2).abs().max() < 1e-9  # type: ignore[operator]
    assert (rows["change_t"] - rows["by_activity"]).abs().max() < 1e-9 * rows["after_t"].max()  # type: ignore[operator]
    assert (
        rows.select("by_factor", "by_control", "opened", "closed", "redefined").sum_horizontal().abs().max() == 0
    )


def test_what_weighs_most_sums_to_the_whole_and_names_its_row(office: Workspace) -> None:
    """Shares of variance sum to 1; the amount of a row is that row's; key sources make 95 % (IPCC 2006)."""
    frozen(office)
    held = inventory.open_version(office)
    found = inventory.weighed(held, "so2")
    assert found.inputs["share"].sum() == pytest.approx(1)
    assert found.inputs["cumulative"][-1] == pytest.approx(1)
    assert found.inputs["share"].is_sorted(descending=True)
    amounts = found.inputs.filter(input="amount")
    assert set(amounts["row_key"]) <= set(held.emissions["row_key"])
    assert amounts["row_key"].null_count() == 0
    assert (
        found.inputs.filter(input="factor")["row_key"].null_count() == found.inputs.filter(input="factor").height
    )
    assert found.keys.filter("key")["share"].sum() >= 0.95
    with pytest.raises(UnknownName):
        inventory.weighed(held, "o3")


@pytest.mark.parametrize("by", inventory.BY)
def test_every_way_to_total_sums_to_the_same_tonnes(office: Workspace, by: str) -> None:
    frozen(office)
    held = inventory.open_version(office)
    long = inventory.totals(held, [by, "species"])
    sums = dict(long.group_by("species").agg(pl.col("emission_t").sum()).iter_rows())
    assert sums == pytest.approx(dict(held.version.totals), rel=1e-9)
    wide = inventory.totals(held, [] if by == "species" else [by])
    assert {s: wide[s].sum() for s in sums} == pytest.approx(sums, rel=1e-9)


def test_totals_of_a_place_a_sector_and_a_species(office: Workspace) -> None:
    frozen(office)
    held = inventory.open_version(office)
    xining = inventory.totals(held, ["place"], place="630100", species="nox")
    assert xining["place"].to_list() == ["630105"]
    whole = inventory.totals(held, ["prefecture", "species"], place="630000")
    assert set(whole["prefecture"]) == {"630100", "632800"}
    assert inventory.totals(held, ["sector"], sector="cement").is_empty()
    for wrong in ({"by": ["colour"]}, {"by": [], "species": "o3"}, {"by": [], "sector": "magic"}):
        with pytest.raises(UnknownName):
            inventory.totals(held, **wrong)  # type: ignore[arg-type]


def test_a_number_is_explained_by_its_row_and_multiplies_out(office: Workspace) -> None:
    frozen(office)
    held = inventory.open_version(office)
    key = held.emissions.filter(source_id="QH630105-0002")["row_key"][0]
    told = inventory.explain(held, "boilers", key, None, "so2")
    row = told["emission"]
    assert told["activity"]["amount"] == row["amount"] == 1200
    assert {s.input for s in told["steps"]} >= {"amount", "factor", "result"}
    assert row["emission_t"] == pytest.approx(row["amount"] * row["factor"] / 1000, rel=1e-9)  # no device
    with pytest.raises(NotFound, match="has 0 emissions of ch4"):
        inventory.explain(held, "boilers", "nobody", None, "ch4")


def test_the_spread_of_a_version_is_the_same_each_time(office: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from qinglan.flow.inventory import spreading
    from qinglan.flow.memory import Memory

    frozen(office)
    held = inventory.open_version(office)
    first = inventory.uncertainty(held, ["sector"])
    monkeypatch.setattr(spreading, "_spreads", Memory(1))
    assert first.equals(inventory.uncertainty(held, ["sector"]))
    assert ((first["low"] <= first["emission_t"]) & (first["emission_t"] <= first["high"])).all()


def test_a_version_comes_back_from_a_backup(office: Workspace, tmp_path: Path) -> None:
    made = frozen(office)
    backup(office, tmp_path / "one.tar", now=NOW)
    restore(tmp_path / "one.tar", tmp_path / "again")
    other = inventory.open_version(open_workspace(tmp_path / "again"), made.id)
    assert other.version == inventory.versions(office)[0]
    assert other.emissions.equals(inventory.open_version(office).emissions)


def test_what_cannot_be_frozen_or_opened_says_what_to_do(tmp_path: Path, office: Workspace) -> None:
    empty = init(tmp_path / "empty")
    with pytest.raises(NotFound, match="qinglan ledger import"):
        frozen(empty)
    with pytest.raises(NotFound, match="qinglan inventory build"):
        inventory.open_version(empty)
    with pytest.raises(NotFound, match="Years with rows: 2025"):
        frozen(office, 2019)
    with pytest.raises(UsageError, match="reason"):
        inventory.freeze(office, 2025, by="王", reason=" ", now=NOW)
    frozen(office)
    with pytest.raises(NotFound, match="There are: 2025-01"):
        inventory.open_version(office, "2025-09")


def test_a_damaged_file_is_refused(office: Workspace) -> None:
    made = frozen(office)
    path = office.home / FOLDER / made.id / "emissions.parquet"
    pl.read_parquet(path).with_columns(pl.col("emission_t") * 2).write_parquet(path)
    with pytest.raises(StoreError, match="hash differs"):
        inventory.open_version(office, made.id)
    (path.parent / "version.json").write_text("{")
    with pytest.raises(StoreError, match=r"version\.json cannot be read"):
        inventory.versions(office)


def test_a_cells_hour_is_the_rows_that_stand_in_it(office: Workspace) -> None:
    """Conservation: cells sum to the totals to 1e-12, rows to the cell's hour; each leads to its factor."""
    year = frozen(office).year
    held = inventory.open_version(office)
    field = fields.field_of(held, 36)
    for species, total in held.version.totals.items():
        assert fields.cells(field, species)["tonnes"].sum() == pytest.approx(total, rel=1e-12)
    first = BOILERS.good[0]
    cell = fields.cell_at(field, first["lon"], first["lat"])
    hour = fields.hour_of(year, date(year, 1, 15), 8)
    rows = fields.trace_cell(held, field, *cell, hour, "nox")
    assert set(rows["row_key"]) == {"QH630105-0001", "QH630105-0002"}
    at = fields.cells(field, "nox", hour).filter(iy=cell[0], ix=cell[1])["tonnes"].item()
    assert rows["tonnes"].sum() == pytest.approx(at, rel=1e-12)
    for row in rows.iter_rows(named=True):
        told = inventory.explain(held, "boilers", row["row_key"], None, "nox")
        assert (row["factor_id"], row["year_t"]) == (
            told["emission"]["factor_id"],
            told["emission"]["emission_t"],
        )
        assert row["working"] == told["steps"][-1].value


def test_a_field_refuses_what_there_is_not(office: Workspace) -> None:
    held = inventory.open_version(office, frozen(office).id)
    with pytest.raises(UnknownName, match="size of cell"):
        fields.field_of(held, 7)
    field = fields.field_of(held, 36)
    with pytest.raises(UnknownName, match="species"):
        fields.cells(field, "radon")
    with pytest.raises(NotFound, match="no cell"):
        fields.cell_at(field, 0.0, 0.0)
    with pytest.raises(UsageError, match="not in the inventory's year"):
        fields.hour_of(2025, date(2024, 12, 31), 1)
    with pytest.raises(UsageError, match="25 is no hour"):
        fields.hour_of(2025, date(2025, 1, 1), 25)
