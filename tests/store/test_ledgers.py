"""Rows of ledgers: one transaction a change, every version kept. Source: docs/design/0012-ledgers.md."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import NotFound, UsageError
from qinglan.store import ledgers
from qinglan.store.dump import dump, load
from qinglan.store.ledgers import Change, Overtaken
from qinglan.store.registry import Registry, events, verify_events

AT = datetime(2026, 4, 1, 8, tzinfo=UTC)


@pytest.fixture
def registry(registry_place: Path | str) -> Iterator[Registry]:
    """On SQLite and on PostgreSQL."""
    opened = Registry(registry_place)
    yield opened
    opened.close()


def frame(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows to write, with what is not said left at its plainest."""
    plain = {"_row": None, "_version": None, "kind": "added", "standing": "live", "into": None, "state": "in_use",
             "place": "630105", "enterprise": "", "source": "", "columns": ""}  # fmt: skip
    rows = [
        {**plain, "data": json.dumps({"boiler_no": g["key"], "capacity": g.get("capacity", 4)}), **g}
        for g in given
    ]
    return pl.DataFrame([{n: r[n] for n in ledgers.WRITE_SCHEMA} for r in rows], schema=dict(ledgers.WRITE_SCHEMA))


def line(number: int, **said: Any) -> dict[str, Any]:
    return {"line": number, "key": "", "place": "", "enterprise": "", "digest": f"{number:064}",
            "raw": '{"capacity": "x"}', "faults": '[{"code": "bad_number"}]', **said}  # fmt: skip


def test_a_change_is_one_transaction_with_versions_and_an_event(registry: Registry) -> None:
    first = ledgers.record(registry, Change("boilers", "import", name="a.xlsx", counts={"read": 3}),
                           frame({"key": "B-1"}, {"key": "A-2"}), [line(4)], who="wang", at=AT)  # fmt: skip
    number, rows = ledgers.rows(registry, "boilers")
    assert number == first
    assert rows["_key"].to_list() == ["A-2", "B-1"]
    assert rows["_version"].to_list() == [1, 1]
    row = int(rows.row(by_predicate=pl.col("_key") == "B-1", named=True)["_row"])
    second = ledgers.record(registry, Change("boilers", "form", reason="核实"),
                            frame({"key": "B-1", "_row": row, "_version": 1, "kind": "changed", "capacity": 6,
                                   "columns": "capacity"}), who="li", at=AT)  # fmt: skip
    found = ledgers.history(registry, "boilers", row)
    assert [(v["version"], v["act"], v["by"], v["columns"]) for v in found] == [
        (2, "form", "li", "capacity"), (1, "import", "wang", ""),
    ]  # fmt: skip
    assert [json.loads(v["data"])["capacity"] for v in found] == [6, 4], "the older version says what it said"
    assert ledgers.newest(registry) == {"boilers": second}
    log = events(registry, what="ledger.changed")
    assert [(e["detail"]["change"], e["detail"]["rows"], e["detail"]["aside_kept"]) for e in log] == [
        (first, 2, 1), (second, 1, 0),
    ]  # fmt: skip
    assert log[0]["detail"]["hash"] != log[1]["detail"]["hash"]
    assert verify_events(registry).holds
    assert ledgers.aside_counts(registry) == {"boilers": 1}


def test_the_hash_is_of_what_the_rows_say_not_of_their_order(registry: Registry) -> None:
    for ledger, keys in (("one", ("a", "b")), ("two", ("b", "a"))):
        ledgers.record(registry, Change(ledger, "import"), frame(*({"key": k} for k in keys)), who="w", at=AT)
    one, two = (e["detail"]["hash"] for e in events(registry, what="ledger.changed"))
    assert one == two


def test_who_comes_second_is_told_and_nothing_is_written(registry: Registry) -> None:
    ledgers.record(registry, Change("boilers", "import"), frame({"key": "B-1"}), who="wang", at=AT)
    _, rows = ledgers.rows(registry, "boilers")
    edit = frame({"key": "B-1", "_row": rows["_row"][0], "_version": 1, "kind": "changed", "capacity": 6})
    ledgers.record(registry, Change("boilers", "form"), edit, who="li", at=AT)
    with pytest.raises(Overtaken, match="li 2026-04-01"):
        ledgers.record(registry, Change("boilers", "form"), edit, who="zhao", at=AT)
    with pytest.raises(Overtaken, match="B-1"):  # a new row whose identity has come into being meanwhile
        ledgers.record(registry, Change("boilers", "form"), frame({"key": "B-1"}), who="zhao", at=AT)
    with pytest.raises(Overtaken):
        ledgers.record(registry, Change("boilers", "import", based_on=1), frame({"key": "B-9"}), who="zhao", at=AT)
    assert len(ledgers.changes(registry, "boilers")) == 2
    assert len(events(registry)) == 2
    assert ledgers.rows(registry, "boilers")[1].height == 1


def test_withdrawn_and_merged_rows_stay_with_their_history(registry: Registry) -> None:
    ledgers.record(registry, Change("boilers", "import"), frame({"key": "A"}, {"key": "B"}), who="w", at=AT)
    a, b = ledgers.rows(registry, "boilers")[1]["_row"].to_list()
    lost = frame({"key": "B", "_row": b, "_version": 1, "kind": "merged", "standing": "merged", "into": a})
    ledgers.record(registry, Change("boilers", "merge", reason="同一台"), lost, who="w", at=AT)
    assert ledgers.rows(registry, "boilers")[1]["_key"].to_list() == ["A"]
    assert ledgers.rows(registry, "boilers", standing=None)[1].height == 2
    assert ledgers.gone(registry, "boilers").rows() == [(b, "B", 2, "merged", a)]
    assert [r["key"] for r in ledgers.merged_into(registry, "boilers", a)] == ["B"]
    assert ledgers.row(registry, "boilers", b)["into"] == a
    with pytest.raises(NotFound):
        ledgers.row(registry, "mines", b)
    with pytest.raises(NotFound):
        ledgers.row_of_key(registry, "boilers", "C")


def test_lines_kept_aside_are_repaired_by_a_change_or_dismissed_with_a_reason(registry: Registry) -> None:
    nothing = frame()
    ledgers.record(registry, Change("boilers", "import"), nothing, [line(2), line(3)], who="w", at=AT)
    two, three = (r["id"] for r in ledgers.aside(registry, "boilers"))
    assert ledgers.newest(registry) == {}, "no row was written, so there is no new frame"
    change = Change("boilers", "form", settles=[two])
    fixed = ledgers.record(registry, change, frame({"key": "B-1"}), who="w", at=AT)
    with pytest.raises(UsageError, match="reason"):
        ledgers.dismiss(registry, "boilers", [three], reason=" ", who="w")
    assert ledgers.dismiss(registry, "boilers", [two, three], reason="重复报送", who="w", at=AT) == 1
    found = {r["id"]: (r["status"], r["settled_change"], r["reason"]) for r in
             ledgers.aside(registry, "boilers", status=None)}  # fmt: skip
    assert found == {two: ("repaired", fixed, ""), three: ("dismissed", None, "重复报送")}


def test_a_dry_run_writes_no_row(registry: Registry) -> None:
    number = ledgers.record_dry(registry, Change("boilers", "import", name="a.xlsx", file="ab"), who="w", at=AT)
    assert ledgers.change(registry, "boilers", number)["state"] == "dry"
    assert ledgers.changes(registry, "boilers") == []
    assert ledgers.newest(registry) == {}
    assert [e["what"] for e in events(registry)] == ["ledger.tried"]


def test_a_copy_brings_rows_versions_and_lines_back(registry: Registry, tmp_path: Path) -> None:
    ledgers.record(registry, Change("boilers", "import"), frame({"key": "甲-1"}), [line(2)], who="w", at=AT)
    counts = dump(registry, tmp_path / "copy")
    assert (counts["ledger_rows"], counts["ledger_versions"], counts["ledger_aside"]) == (1, 1, 1)
    other = Registry(tmp_path / "other.sqlite", upgrade=False)
    assert load(other, tmp_path / "copy", str(registry.revision())) == counts
    assert ledgers.rows(other, "boilers")[1].equals(ledgers.rows(registry, "boilers")[1])
    more = ledgers.record(other, Change("boilers", "form"), frame({"key": "乙-2"}), who="w", at=AT)
    assert more == 2, "numbers go on"
    other.close()


def test_many_rows_take_seconds(registry: Registry) -> None:
    """Issue 3, must show 1: 100,000 machines within 60 s, of which the registry may take a third."""
    n = 50_000
    many = pl.select(i=pl.int_range(n)).select(
        _row=pl.lit(None, pl.Int64), _version=pl.lit(None, pl.Int64), key=pl.format("M-{}", "i"),
        kind=pl.lit("added"), standing=pl.lit("live"), into=pl.lit(None, pl.Int64), state=pl.lit("in_use"),
        place=pl.lit("630105"), enterprise=pl.lit("91630000710402871H"), source=pl.lit(""), columns=pl.lit(""),
        data=pl.concat_str(pl.lit('{"text": "' + "x" * 400 + '", "n": '), "i", pl.lit("}")),
    )  # fmt: skip
    began = time.perf_counter()
    ledgers.record(registry, Change("machines", "import"), many, who="w", at=AT)
    took = time.perf_counter() - began
    _, rows = ledgers.rows(registry, "machines")
    assert rows.height == n
    assert took < 10
