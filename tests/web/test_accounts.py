"""Accounts through the door: cookies, forms, keys, second factor, lock-out. Source: docs/design/0007-accounts.md,
NIST SP 800-63B-4 (throttling, replay of one-time codes), OWASP's cheat sheets on sessions and CSRF."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from qinglan.access import Grant
from qinglan.flow import accounts, operations
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.store.registry import append_event, events, verify_events
from qinglan.web import create_app
from qinglan.web.routes import account as account_routes

PASSWORD = "correct horse battery"


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def on(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords at the least cost that argon2 knows, and no tries left over from the test before."""
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    account_routes._LIMITER.storage.reset()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return init(tmp_path / "home", Settings())


@pytest.fixture
def app(space: Workspace, clock: Clock) -> Any:
    return create_app(space, clock=clock)


@pytest.fixture
def browser(app: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def token(answer: Any) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', answer.text)
    assert found, answer.text[:400]
    return found[1]


def sign_in(browser: TestClient, user: str, password: str = PASSWORD, **extra: str) -> Any:
    csrf = token(browser.get("/sign-in"))
    return browser.post("/sign-in", data={"user": user, "password": password, "csrf": csrf, **extra})


@pytest.fixture
def people(space: Workspace, clock: Clock) -> dict[str, str]:
    def add(user: str, *grants: Grant) -> str:
        accounts.add_user(space.registry, user, user.title(), grants, who="test", now=clock(), password=PASSWORD)
        return user

    return {
        "admin": add("root", Grant("administrator")),
        "office": add("office", Grant("province", place="630000")),
        "xining": add("xining", Grant("prefecture", place="630100")),
        "nobody": add("noone"),
    }


def test_the_first_run_makes_the_administrator_once(browser: TestClient, space: Workspace, clock: Clock) -> None:
    code = accounts.setup_code(space.registry, now=clock())
    assert code
    assert browser.get("/sign-in").headers["location"] == "/first-run"
    csrf = token(browser.get("/first-run"))
    given = {"csrf": csrf, "code": "0000-0000-0000-0000", "user": "Root", "name": "管理员", "password": PASSWORD}
    assert browser.post("/first-run", data=given).status_code == 401
    given["code"] = code
    for weak in ("short", "aaaaaaaaaaaa", "my root password"):
        assert browser.post("/first-run", data=given | {"password": weak}).status_code == 422
    assert browser.post("/first-run", data=given).status_code == 303
    assert browser.get("/account").status_code == 200
    assert browser.get("/admin/users").status_code == 200
    assert browser.get("/first-run").status_code == 404
    assert accounts.setup_code(space.registry, now=clock()) is None
    secrets = str(events(space.registry)) + str(accounts.users(space.registry))
    assert PASSWORD not in secrets
    assert "argon2" not in secrets


def test_a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(browser: TestClient, people: Any) -> None:
    before = browser.cookies.get("qinglan_session")
    answer = sign_in(browser, "office", next="/admin/audit?who=x")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/admin/audit?who=x"
    cookie = next(v for k, v in answer.headers.multi_items() if k == "set-cookie" and "qinglan_session" in v)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert browser.cookies["qinglan_session"] != before
    assert browser.get("/admin/audit").status_code == 200
    assert browser.get("/admin/users").status_code == 403
    page = browser.get("/account")
    assert page.headers["cache-control"] == "no-store"
    assert browser.post("/sign-out", data={"csrf": token(page)}).status_code == 303
    assert browser.get("/account").status_code == 401


def test_over_https_cookies_are_secure_and_the_host_is_pinned(app: Any, people: Any) -> None:
    browser = TestClient(app, base_url="https://127.0.0.1", follow_redirects=False)
    answer = sign_in(browser, "office")
    cookies = [v for k, v in answer.headers.multi_items() if k == "set-cookie"]
    assert cookies
    assert all("Secure" in v for v in cookies)
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


def test_sessions_end_by_idleness_and_by_age(browser: TestClient, people: Any, clock: Clock) -> None:
    sign_in(browser, "office")
    for _ in range(14):
        clock.on(minutes=50)
        assert browser.get("/account").status_code == 200
    clock.on(minutes=50)  # 12 h 30 min after signing in
    assert browser.get("/account").status_code == 401
    sign_in(browser, "office")
    clock.on(minutes=61)
    assert browser.get("/account").status_code == 401


def test_the_nightly_job_ends_what_is_over_and_drops_what_ended_long_ago(
    browser: TestClient, people: Any, space: Workspace, clock: Clock
) -> None:
    """Source: docs/design/0007-accounts.md (a session's row is kept half a year after its end)."""

    def tidy() -> dict[str, Any]:
        row = operations.run_job(space, "tidy-sessions", who="test", clock=clock)
        assert row["outcome"] == "done", row
        return dict(row["result"])

    sign_in(browser, "office")
    assert tidy() == {"ended": 0, "removed": 0}
    assert browser.get("/account").status_code == 200
    clock.on(minutes=61)
    sign_in(browser, "xining")
    assert tidy() == {"ended": 1, "removed": 0}
    assert browser.get("/account").status_code == 200
    clock.on(days=182)
    assert tidy() == {"ended": 1, "removed": 0}
    clock.on(days=2)
    assert tidy() == {"ended": 0, "removed": 1}
    clock.on(days=183)
    assert tidy() == {"ended": 0, "removed": 1}
    assert len(events(space.registry, what="sessions.tidied")) == 4
    assert verify_events(space.registry).holds


def test_full_width_digits_are_a_wrong_code_and_no_fault(browser: TestClient, people: Any, clock: Clock) -> None:
    """Chinese input methods type them."""
    sign_in(browser, "office")
    page = browser.get("/account/second")
    secret = re.search(r'name="secret" value="([A-Z2-7]{32})"', page.text)
    assert secret
    data = {"csrf": token(page), "secret": secret[1], "code": "１２３４５６"}
    assert browser.post("/account/second", data=data).status_code == 401


@pytest.mark.parametrize("where", ["https://evil.cn/", "//evil.cn", "/\\evil.cn", "javascript:x", "x"])
def test_signing_in_never_leads_to_another_site(browser: TestClient, people: Any, where: str) -> None:
    assert sign_in(browser, "office", next=where).headers["location"] == "/"


def test_a_page_for_others_leads_to_signing_in_and_back(browser: TestClient, people: Any) -> None:
    answer = browser.get("/admin/audit?who=a")
    assert answer.status_code == 401
    assert 'href="/sign-in?next=%2Fadmin%2Faudit%3Fwho%3Da"' in answer.text


def test_forms_of_others_are_refused(browser: TestClient, people: Any, space: Workspace) -> None:
    sign_in(browser, "root")
    csrf = token(browser.get("/account"))
    data = {"user": "spy", "name": "Spy", "role": "administrator"}
    assert browser.post("/admin/users", data=data).status_code == 403
    assert browser.post("/admin/users", data=data | {"csrf": "0" * 64}).status_code == 403
    for headers in (
        {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):  # fmt: skip
        answer = browser.post("/admin/users", data=data | {"csrf": csrf}, headers=headers)
        assert answer.status_code == 403, headers
    json = browser.post("/admin/users", json=data)
    assert json.status_code == 403
    assert [u["id"] for u in accounts.users(space.registry)] == ["noone", "office", "root", "xining"]
    good = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin", "x-csrf-token": csrf}
    assert browser.post("/admin/users", data=data, headers=good).status_code == 200


def test_a_visitors_form_needs_the_cookie_it_was_made_for(app: Any, people: Any) -> None:
    def visitor() -> TestClient:
        return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)

    one, other = visitor(), visitor()
    csrf = token(one.get("/sign-in"))
    data = {"user": "office", "password": PASSWORD, "csrf": csrf}
    assert other.post("/sign-in", data=data).status_code == 403
    other.get("/sign-in")
    assert other.post("/sign-in", data=data).status_code == 403
    assert one.post("/sign-in", data=data).status_code == 303


def test_pages_without_forms_set_no_cookie(browser: TestClient, people: Any) -> None:
    assert "set-cookie" not in browser.get("/admin/audit").headers


def test_wrong_passwords_close_the_account_for_longer_and_longer(
    browser: TestClient, people: Any, clock: Clock, space: Workspace
) -> None:
    for _ in range(5):
        assert sign_in(browser, "office", "wrong password").status_code == 401
    assert sign_in(browser, "office").status_code == 401  # right, but too early
    clock.on(seconds=31)
    assert sign_in(browser, "office", "wrong again").status_code == 401  # the sixth: 60 s
    clock.on(seconds=31)
    assert sign_in(browser, "office").status_code == 401
    clock.on(seconds=30)
    assert sign_in(browser, "office").status_code == 303
    assert accounts.user(space.registry, "office")["failures"] == 0
    assert len(events(space.registry, what="user.sign_in_failed")) == 6


def test_an_address_that_tries_too_often_is_told_to_wait(browser: TestClient, people: Any) -> None:
    answers = [sign_in(browser, f"guess{n}", "x").status_code for n in range(21)]
    assert answers == [401] * 20 + [429]


def test_unknown_users_and_wrong_passwords_look_alike(browser: TestClient, people: Any) -> None:
    def shown(user: str) -> str:
        return re.sub(r'value="[^"]*"', "", sign_in(browser, user, "wrong password").text)

    assert shown("office") == shown("ghost")


def test_the_second_factor_counts_each_code_once(browser: TestClient, people: Any, clock: Clock) -> None:
    sign_in(browser, "office")
    page = browser.get("/account/second")
    assert "<svg" in page.text
    assert "style=" not in page.text
    secret = re.search(r'name="secret" value="([A-Z2-7]{32})"', page.text)
    assert secret
    app = pyotp.TOTP(secret[1])
    data = {"csrf": token(page), "secret": secret[1]}
    assert browser.post("/account/second", data=data | {"code": "000000"}).status_code == 401
    first = app.at(clock())
    shown = browser.post("/account/second", data=data | {"code": first})
    codes = re.findall(r"<code>([0-9a-f]{4}-[0-9a-f]{6})</code>", shown.text)
    assert len(codes) == 10
    browser.cookies.delete("qinglan_session")

    def begin() -> str:
        answer = sign_in(browser, "office", next="/account")
        assert answer.headers["location"] == "/sign-in/second?next=/account"
        assert browser.get("/account").status_code == 401  # the password alone opens nothing
        return token(browser.get("/sign-in/second"))

    def finish(csrf: str, code: str) -> int:
        return browser.post("/sign-in/second", data={"csrf": csrf, "code": code}).status_code

    csrf = begin()
    assert finish(csrf, first) == 401  # used when it was set
    clock.on(seconds=30)
    assert finish(csrf, app.at(clock())) == 303
    assert browser.get("/account").status_code == 200
    csrf = begin()
    assert finish(csrf, app.at(clock())) == 401
    assert finish(csrf, codes[0].upper()) == 303
    csrf = begin()
    assert finish(csrf, codes[0]) == 401
    clock.on(minutes=6)
    assert finish(csrf, codes[1]) in (401, 403)  # the wait for the second factor is over


def test_a_drawn_password_must_be_changed_first(browser: TestClient, space: Workspace, clock: Clock) -> None:
    grant = Grant("province", place="630000")
    drawn = accounts.add_user(space.registry, "new", "新人", [grant], who="test", now=clock())
    assert sign_in(browser, "new", drawn).status_code == 303
    answer = browser.get("/admin/audit")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/password")
    csrf = token(browser.get("/account/password"))
    data = {"csrf": csrf, "old": drawn, "new": PASSWORD, "again": PASSWORD}
    assert browser.post("/account/password", data=data | {"again": "other"}).status_code == 422
    assert browser.post("/account/password", data=data | {"old": "wrong"}).status_code == 401
    assert browser.post("/account/password", data=data).status_code == 303
    assert browser.get("/admin/audit").status_code == 200


def test_changing_the_password_ends_the_other_sessions(app: Any, people: Any) -> None:
    here, there = (TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) for _ in range(2))
    sign_in(here, "office")
    sign_in(there, "office")
    csrf = token(here.get("/account/password"))
    new = "a quite different one"
    here.post("/account/password", data={"csrf": csrf, "old": PASSWORD, "new": new, "again": new})
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 401


def test_closing_an_account_takes_effect_at_once(app: Any, people: Any, space: Workspace, clock: Clock) -> None:
    root, office = (TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) for _ in range(2))
    sign_in(root, "root")
    sign_in(office, "office")
    me = accounts.find_session(space.registry, office.cookies["qinglan_session"], now=clock())
    assert me is not None
    key = accounts.add_key(space.registry, me.principal, "screen", ["air.view"], 30, now=clock())
    assert accounts.find_key(space.registry, key, now=clock()) is not None
    csrf = token(root.get("/admin/users/office"))
    assert root.post("/admin/users/office/lock", data={"csrf": csrf, "locked": "true"}).status_code == 303
    assert office.get("/account").status_code == 401
    assert accounts.find_key(space.registry, key, now=clock()) is None
    assert sign_in(office, "office").status_code == 401
    assert "is closed" in sign_in(office, "office").text or "已停用" in sign_in(office, "office").text


def test_grants_come_and_go_at_once_and_the_last_administrator_stays(
    app: Any, people: Any, space: Workspace
) -> None:
    root, other = (TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) for _ in range(2))
    sign_in(root, "root")
    sign_in(other, "noone")
    assert other.get("/admin/audit").status_code == 403
    csrf = token(root.get("/admin/users/noone"))
    assert root.post("/admin/users/noone/grants", data={"csrf": csrf, "role": "province"}).status_code == 422
    given = {"csrf": csrf, "role": "province", "place": "630000"}
    assert root.post("/admin/users/noone/grants", data=given).status_code == 303
    assert other.get("/admin/audit").status_code == 200
    (held,) = accounts.user(space.registry, "noone")["grants"]
    root.post(f"/admin/users/noone/grants/{held['id']}/revoke", data={"csrf": csrf})
    assert other.get("/admin/audit").status_code == 403
    (mine,) = accounts.user(space.registry, "root")["grants"]
    assert root.post(f"/admin/users/root/grants/{mine['id']}/revoke", data={"csrf": csrf}).status_code == 422
    assert root.post("/admin/users/root/lock", data={"csrf": csrf, "locked": "true"}).status_code == 422
    assert root.get("/admin/users").status_code == 200


def test_a_key_does_what_it_was_made_for_and_no_more(browser: TestClient, people: Any, clock: Clock) -> None:
    sign_in(browser, "office")
    csrf = token(browser.get("/account"))
    made = browser.post("/account/keys", data={"csrf": csrf, "name": "屏", "days": "10", "scopes": "admin.audit"})
    key = re.search(r"<code>(qlk_[\w-]+)</code>", made.text)
    assert key
    assert key[1] not in browser.get("/account").text
    asked = {"csrf": csrf, "name": "x", "scopes": ["admin.users"]}
    assert browser.post("/account/keys", data=asked).status_code == 422
    program = TestClient(browser.app, base_url="http://127.0.0.1", follow_redirects=False)
    bearer = {"authorization": f"Bearer {key[1]}"}
    assert program.get("/admin/audit", headers=bearer).status_code == 200
    assert program.get("/account", headers=bearer).status_code == 403
    assert program.get("/admin/users", headers=bearer).status_code == 403
    wrong = program.get("/public", headers={"authorization": "Bearer qlk_wrong"})
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    clock.on(days=11)
    assert program.get("/admin/audit", headers=bearer).status_code == 401


def test_visitors_of_invented_data_may_look_only_on_this_machine(tmp_path: Path, clock: Clock) -> None:
    space = init(tmp_path / "demo", Settings(simulated=True))
    answers = {}
    for local in (True, False):
        visitor = TestClient(create_app(space, clock=clock, local=local), base_url="http://127.0.0.1")
        answers[local] = (visitor.get("/data").status_code, visitor.get("/admin/users").status_code)
    assert answers[True][0] != 401
    assert answers[True][1] == 401
    assert answers[False] == (401, 401)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_of_accounts_answers(browser: TestClient, people: Any, language: str) -> None:
    sign_in(browser, "root")
    for path in (
        "/account", "/account/password", "/account/second", "/admin/users", "/admin/users/office", "/admin/roles",
        "/admin/audit", "/admin/audit?verify=true", "/admin/settings",
    ):  # fmt: skip
        joint = "&" if "?" in path else "?"
        answer = browser.get(f"{path}{joint}lang={language}")
        assert answer.status_code == 200, path
        assert answer.text.count("<h1") == 1, path


def test_the_audit_page_pages_filters_and_verifies(browser: TestClient, people: Any, space: Workspace) -> None:
    sign_in(browser, "root")
    at = datetime(2026, 4, 1, tzinfo=UTC)
    for k in range(60):
        with space.registry.begin() as con:
            append_event(con, "test.done", f"thing-{k}", {"k": k}, who="office", at=at)
    page = browser.get("/admin/audit?what=test").text
    assert "thing-59" in page
    assert "thing-5<" not in page
    further = re.search(r'rel="next" href="([^"]+)"', page)
    assert further
    assert "thing-0<" in browser.get(further[1].replace("&amp;", "&")).text
    assert "thing-1" not in browser.get("/admin/audit?last=2026-03-31").text
    assert browser.get("/admin/audit?first=yesterday").status_code == 422
    head = verify_events(space.registry).head
    assert head in browser.get("/admin/audit?verify=true").text
