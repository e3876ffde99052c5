"""The rules at the door. Sources: NIST SP 800-63B-4 §3.1.1 and §3.2.2, docs/design/0007-accounts.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qinglan.access import Grant
from qinglan.access.policy import WeakPassword, check_grant, check_password, key_scopes, session_alive, wait_after
from qinglan.core.errors import UnknownName, UsageError
from qinglan.web.binding import Binding, check_binding

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("password", "rule"),
    [("ninechars", "short"), ("x" * 201, "long"), ("abababababab", "plain"), ("I am WANG.Li 2026", "name"),
     ("青海青海青海青海青海", "plain"), ("王丽的长长的密码一二三", "name")],
)  # fmt: skip
def test_weak_passwords_are_refused_by_name_of_the_rule(password: str, rule: str) -> None:
    with pytest.raises(WeakPassword) as found:
        check_password(password, names=("wang.li", "王丽"))
    assert found.value.rule == rule


def test_waits_double_and_end_at_an_hour() -> None:
    waits = [wait_after(n).total_seconds() for n in range(5, 14)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert wait_after(4) == timedelta()
    assert wait_after(10**6) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("made", "seen", "stage", "alive"),
    [(0, 0, "open", True), (719, 1, "open", True), (720, 1, "open", False), (100, 60, "open", False),
     (4, 4, "second", True), (5, 0, "second", False)],
)  # fmt: skip
def test_sessions_live_within_idle_and_absolute_limits(made: int, seen: int, stage: str, alive: bool) -> None:
    back = [NOW - timedelta(minutes=m) for m in (made, seen)]
    assert session_alive(back[0], back[1], NOW, stage=stage) is alive


def test_a_grant_keeps_only_what_its_role_is_bound_to() -> None:
    full = {"place": "630100", "department": "d", "sources": ("b", "a", "a")}
    assert check_grant(Grant("prefecture", **full)) == Grant("prefecture", place="630100")
    assert check_grant(Grant("department", **full)) == Grant("department", department="d")
    assert check_grant(Grant("enterprise", **full)) == Grant("enterprise", sources=("a", "b"))
    assert check_grant(Grant("administrator", **full)) == Grant("administrator")
    for role in ("prefecture", "department", "enterprise", "public", "member", "demo"):
        with pytest.raises(UsageError):
            check_grant(Grant(role))
    with pytest.raises(UnknownName):
        check_grant(Grant("king"))


def test_keys_never_reach_accounts() -> None:
    held = frozenset({"air.view", "account.self", "admin.users", "admin.audit"})
    assert key_scopes(("admin.audit", "air.view"), held) == ("admin.audit", "air.view")
    for asked in (("account.self",), ("admin.users",), ("plan.view",), ()):
        with pytest.raises(UsageError):
            key_scopes(asked, held)


def test_this_machine_needs_nothing() -> None:
    found = check_binding("127.0.0.1", 8000)
    assert found == Binding("127.0.0.1", 8000)
    assert (found.local, found.server_options()["proxy_headers"]) == (True, False)


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    for name in ("a.pem", "a.key"):
        (tmp_path / name).write_text("x")
    return {"certfile": str(tmp_path / "a.pem"), "keyfile": str(tmp_path / "a.key")}


def test_other_machines_need_tls_or_a_proxy_and_an_administrator_and_a_name(tls: dict[str, str]) -> None:
    named = {"host_names": ("air.example.cn",), "administrator": True}
    for given, missing in (
        (named, "neither TLS nor a trusted proxy"),
        (tls | named | {"administrator": False}, "no administrator"),
        (tls | {"administrator": True}, "name by which people reach"),
        ({**named, "certfile": tls["certfile"]}, "needs its key"),
        (named | {"behind_proxy": ("0.0.0.0/0",)}, "every machine would count"),
        (named | {"behind_proxy": ("proxy",)}, "not the address of a proxy"),
    ):
        with pytest.raises(UsageError, match=missing):
            check_binding("0.0.0.0", 8000, **given)  # type: ignore[arg-type]
    found = check_binding("0.0.0.0", 8443, **tls, **named)  # type: ignore[arg-type]
    assert (found.local, found.origin) == (False, "https://0.0.0.0:8443")
    assert "air.example.cn" in found.names
    assert found.server_options()["forwarded_allow_ips"] == []


def test_behind_a_proxy_on_this_machine_nobody_is_a_demo_visitor() -> None:
    with pytest.raises(UsageError, match="no administrator"):
        check_binding("127.0.0.1", 8000, behind_proxy=("127.0.0.1",), host_names=("x.cn",))
    given = {"behind_proxy": ("127.0.0.1",), "host_names": ("x.cn",), "administrator": True}
    found = check_binding("127.0.0.1", 8000, **given)  # type: ignore[arg-type]
    assert not found.local
    assert found.server_options()["forwarded_allow_ips"] == ["127.0.0.1"]
