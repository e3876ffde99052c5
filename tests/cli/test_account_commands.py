"""`qinglan user` and `qinglan audit-log`. Source: docs/how-to/accounts.md."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qinglan.flow.workspace import Settings, init


@pytest.fixture
def office(qinglan: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Commands on an empty workspace."""
    home = tmp_path / "home"
    init(home, Settings())
    return lambda *words: qinglan("--home", str(home), *words)


def test_users_come_get_roles_and_are_closed(office: Callable[..., Any]) -> None:
    added = office("user", "add", "Wang", "--name", "王", "--role", "administrator", "--json")
    assert added.code == 0
    assert added.json["user"] == "wang"
    assert len(added.json["password"]) == 17
    assert office("user", "add", "li", "--role", "prefecture").code == 2  # a place is missing
    assert office("user", "add", "li", "--role", "prefecture", "--place", "630100").code == 0
    assert office("user", "grant", "li", "operator", "--place", "999999").code != 0
    assert office("user", "grant", "li", "operator", "--place", "630200").code == 0
    granted = {u["id"]: [g["role"] for g in u["grants"]] for u in office("user", "list", "--json").json}
    assert granted == {"li": ["prefecture", "operator"], "wang": ["administrator"]}
    assert "operator(630200)" in office("user", "list").flat
    assert "enterprise" in office("user", "list", "--roles").flat
    assert office("user", "grant", "li", "operator", "--place", "630200", "--revoke").code == 0
    assert office("user", "grant", "li", "operator", "--place", "630200", "--revoke").code == 1
    assert office("user", "lock", "li").code == 0
    assert office("user", "lock", "wang").code == 2  # the last administrator
    assert office("user", "lock", "li", "--unlock", "--json").json["status"] == "active"
    assert office("user", "reset-password", "li", "--json").json["password"]
    assert office("user", "reset-password", "ghost").code == 1


def test_accounts_are_linked_to_an_identity_provider_and_unlinked(office: Callable[..., Any]) -> None:
    """Source: docs/how-to/accounts.md, OpenID Connect."""
    office("user", "add", "li")
    assert office("user", "link", "li", "8c1f").code == 2  # no provider is set
    issuer = "https://id.example.gov.cn"
    linked = office("user", "link", "li", "8c1f", "--issuer", issuer, "--only", "--json")
    assert (linked.code, linked.json["subject"]) == (0, "8c1f")
    (row,) = office("user", "list", "--json").json
    assert (row["issuer"], row["issuer_subject"], row["has_password"]) == (issuer, "8c1f", False)
    assert "8c1f" in office("user", "list").flat
    assert office("user", "add", "wang").code == 0
    assert office("user", "link", "wang", "8c1f", "--issuer", issuer).code == 2  # somebody else's
    assert office("user", "link", "ghost", "9", "--issuer", issuer).code == 1
    assert office("user", "unlink", "li").code == 0
    assert office("user", "unlink", "li").code == 1
    assert [e["what"] for e in office("audit-log", "show", "--what", "user.", "--json").json][1:3] == [
        "user.added", "user.linked"
    ]  # fmt: skip


def test_the_log_is_shown_verified_and_a_change_is_found(office: Callable[..., Any], tmp_path: Path) -> None:
    office("user", "add", "wang", "--role", "administrator", "--by", "tester")
    rows = office("audit-log", "show", "--json").json
    assert [r["what"] for r in rows] == ["grant.added", "user.added"]
    assert {r["who"] for r in rows} == {"tester"}
    assert "grant.added" in office("audit-log", "show", "--what", "grant").flat
    found = office("audit-log", "verify", "--json").json
    assert (found["holds"], found["count"]) == (True, 2)
    assert office("audit-log", "verify", "--head", found["head"]).code == 0
    assert office("audit-log", "verify", "--head", "0" * 63 + "1").code == 1
    with sqlite3.connect(tmp_path / "home" / "registry.sqlite") as db:
        db.execute("DROP TRIGGER events_no_update")
        db.execute("UPDATE events SET who = 'other' WHERE id = 1")
    broken = office("audit-log", "verify", "--json")
    assert (broken.code, broken.json["broken"], broken.json["why"]) == (1, 1, "content")
