"""The event log as a chain. Source: docs/design/0007-accounts.md; the hash is worked out here a second time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from qinglan.store.registry import Registry, append_event, events, events_page, verify_events

AT = datetime(2025, 1, 1, 8, 30, 0, 125, tzinfo=UTC)


@pytest.fixture
def registry(registry_place: Path | str) -> Iterator[Registry]:
    """The same tests on SQLite and PostgreSQL."""
    opened = Registry(registry_place)
    yield opened
    opened.close()


def fill(registry: Registry, n: int) -> None:
    for k in range(n):
        with registry.begin() as con:
            detail = {"k": k, "on": AT, "名": "青海", "x": 0.1 + k, 3: None}
            append_event(con, "test.done", f"s{k % 3}", detail, who="王", at=AT + timedelta(seconds=k))


def broken(registry: Registry, *statements: str) -> None:
    """What somebody with the database's password can do: take the guard away and edit."""
    with create_engine(registry.engine.url).begin() as con:
        if con.dialect.name == "sqlite":
            con.execute(text("DROP TRIGGER IF EXISTS events_no_update"))
            con.execute(text("DROP TRIGGER IF EXISTS events_no_delete"))
        else:
            con.execute(text("ALTER TABLE events DISABLE TRIGGER USER"))
        for one in statements:
            con.execute(text(one))


def test_the_chain_is_sha256_over_canonical_json(registry: Registry) -> None:
    fill(registry, 3)
    before = "0" * 64
    for row in events(registry):
        told = {name: row[name] for name in ("who", "what", "subject", "detail")}
        told |= {"at": row["at"].strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"), "prev_hash": before}
        text_ = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert row["prev_hash"] == before
        before = hashlib.sha256(text_.encode()).hexdigest()
        assert row["hash"] == before
    found = verify_events(registry)
    assert (found.holds, found.count, found.head) == (True, 3, before)


@pytest.mark.parametrize(
    ("statements", "row", "why"),
    [
        (["UPDATE events SET who = '李' WHERE id = 3"], 3, "content"),
        (["UPDATE events SET detail = '{}' WHERE id = 2"], 2, "content"),
        (["UPDATE events SET at = '2024-01-01 00:00:00.000000' WHERE id = 5"], 5, "content"),
        (["DELETE FROM events WHERE id = 4"], 5, "link"),
        (["DELETE FROM events WHERE id = 1"], 2, "link"),
        (["UPDATE events SET id = 99 WHERE id = 2"], 3, "link"),
    ],
)
def test_the_first_broken_row_is_named(registry: Registry, statements: list[str], row: int, why: str) -> None:
    fill(registry, 5)
    broken(registry, *statements)
    found = verify_events(registry)
    assert (found.holds, found.broken, found.why) == (False, row, why)


def test_a_tail_cut_off_shows_against_a_head_noted_down(registry: Registry) -> None:
    fill(registry, 5)
    head = verify_events(registry).head
    assert verify_events(registry, known=head).holds
    broken(registry, "DELETE FROM events WHERE id = 5")
    assert verify_events(registry).holds  # a chain alone cannot know
    assert verify_events(registry, known=head).why == "head"


@pytest.mark.parametrize("statement", ["UPDATE events SET who = 'x'", "DELETE FROM events"])
def test_the_database_refuses_changes_of_the_log(registry: Registry, statement: str) -> None:
    fill(registry, 2)
    with pytest.raises(Exception, match="append-only"), registry.begin() as con:
        con.execute(text(statement))
    assert verify_events(registry).count == 2


def test_rows_from_before_the_chain_are_chained_by_the_migration(registry: Registry) -> None:
    fill(registry, 4)
    registry.migrate("0002")
    registry.migrate()
    assert verify_events(registry).count == 4
    assert [row["detail"]["k"] for row in events(registry)] == [0, 1, 2, 3]


def test_processes_that_write_at_once_make_one_chain(registry: Registry) -> None:
    program = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from qinglan.store.registry import Registry, append_event\n"
        "r = Registry(sys.argv[1] if '://' in sys.argv[1] else Path(sys.argv[1]))\n"
        "for k in range(40):\n"
        "    with r.begin() as con:\n"
        "        append_event(con, 'x', sys.argv[2], {'k': k}, who='w', at=datetime.now(UTC))\n"
    )
    place = registry.engine.url.render_as_string(hide_password=False).removeprefix("sqlite:///")
    started = [subprocess.Popen([sys.executable, "-c", program, place, str(n)]) for n in range(3)]
    assert [one.wait(60) for one in started] == [0, 0, 0]
    found = verify_events(registry)
    assert (found.holds, found.count) == (True, 120)


def test_a_transaction_undone_leaves_the_chain_as_it_was(registry: Registry) -> None:
    fill(registry, 2)

    def fail_after_writing() -> None:
        with registry.begin() as con:
            append_event(con, "x", "y", {}, who="w", at=AT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    fill(registry, 1)
    assert verify_events(registry).count == 3


def test_pages_of_the_log_are_newest_first_and_filtered(registry: Registry) -> None:
    fill(registry, 7)
    first = events_page(registry, asked={"what": "test"}, limit=3)
    assert [row["detail"]["k"] for row in first] == [6, 5, 4]
    rest = events_page(registry, asked={}, before=first[-1]["id"], limit=9)
    assert [row["detail"]["k"] for row in rest] == [3, 2, 1, 0]
    asked = {"subject": "s1", "who": "王", "first": AT + timedelta(seconds=2), "last": AT + timedelta(seconds=9)}
    assert [row["detail"]["k"] for row in events_page(registry, asked=asked)] == [4]
    assert events_page(registry, asked={"what": "%"}) == []


def test_sqlite_checks_the_file_itself(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r.sqlite")
    fill(registry, 1)
    with sqlite3.connect(tmp_path / "r.sqlite") as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute("DELETE FROM events")
