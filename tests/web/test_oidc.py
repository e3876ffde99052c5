"""Signing in at a real identity provider on this machine (oidc-provider-mock over HTTP).

Sources: OpenID Connect Core 1.0 section 3.1 (what a client checks), RFC 7636 (PKCE), RFC 9207 (issuer of the
answer), RFC 9700 (state bound to the browser, no open redirect), docs/design/0007-accounts.md (who may come in).
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from qinglan.access import Grant
from qinglan.core.errors import UsageError
from qinglan.flow import accounts, linking, oidc
from qinglan.flow.workspace import SETTINGS_FILE, Settings, Workspace, init, open_workspace, write_settings
from qinglan.store.registry import events, verify_events
from qinglan.web import create_app
from qinglan.web.routes import account as account_routes

mock = pytest.importorskip("oidc_provider_mock", reason="oidc-provider-mock is not installed")
PASSWORD = "correct horse battery"
SUBJECT = "8c1f-王"


class Provider:
    """The provider, what it was asked for at its token door, and a way to spoil what it answers there."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.spoil: Callable[[dict[str, Any], dict[str, Any]], Any] | None = None
        self.described: dict[str, Any] = {}
        self.issuer = ""

    def watch(self, app: Any) -> None:
        import flask
        from joserfc import jwt
        from joserfc.jwk import RSAKey

        other = RSAKey.generate_key(2048, auto_kid=True)

        @app.after_request
        def watched(response: Any) -> Any:
            if flask.request.path == "/.well-known/openid-configuration" and self.described:
                response.set_data(flask.json.dumps(response.get_json() | self.described))
            if flask.request.path != "/oauth2/token":
                return response
            self.asked.append(dict(flask.request.form))
            if self.spoil is None or response.status_code != 200:
                return response
            key = RSAKey.import_key(flask.g.oidc_provider_mock_storage.jwk.as_dict(is_private=True))
            found = response.get_json()
            read = jwt.decode(found["id_token"], key)
            header = dict(read.header)
            instead = self.spoil(read.claims, header)
            if instead == "other key":
                found["id_token"] = jwt.encode(header, read.claims, other)
            elif instead == "no signature":
                head, body, _ = jwt.encode({"alg": "RS256"}, read.claims, key).split(".")
                head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
                found["id_token"] = f"{head}.{body}."
            else:
                found["id_token"] = jwt.encode(header, read.claims, key)
            response.set_data(flask.json.dumps(found))
            return response


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    import werkzeug.serving

    made = Provider()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        patch.setenv(oidc.SECRET, "s3cret-of-the-client")
        claims = {"preferred_username": "li", "email": "zhao@office.cn", "email_verified": True, "name": "李"}
        app = mock.app(user_claims=[mock.User(sub=SUBJECT, claims=claims)])
        made.watch(app)
        server = werkzeug.serving.make_server("localhost", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        made.issuer = f"http://localhost:{server.server_port}"
        yield made
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def provider(running: Provider) -> Iterator[Provider]:
    running.asked, running.spoil, running.described = [], None, {}
    yield running
    running.spoil, running.described = None, {}


class Clock:
    """The provider has the real time; so have we, until a test turns it."""

    def __init__(self) -> None:
        self.off = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    account_routes._LIMITER.storage.reset()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Office:
    """A console that is bound to the provider, and a browser before it."""

    def __init__(self, space: Workspace, clock: Clock, issuer: str) -> None:
        self.space, self.clock, self.issuer, self.registry = space, clock, issuer, space.registry
        self.app = create_app(space, clock=clock)
        self.browser = self.visitor()

    def visitor(self) -> TestClient:
        return TestClient(self.app, base_url="http://127.0.0.1", follow_redirects=False)

    def add(self, user: str, *grants: Grant) -> None:
        accounts.add_user(
            self.registry, user, user.title(), grants, who="test", now=self.clock(), password=PASSWORD
        )

    def link(self, user: str, subject: str = SUBJECT, **extra: Any) -> None:
        linking.link(self.registry, user, self.issuer, subject, who="root", now=self.clock(), **extra)

    def begin(self, after: str = "/account", **extra: Any) -> str:
        answer = self.browser.get("/sign-in/oidc", params={"next": after, **extra})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def agree(self, address: str, subject: str = SUBJECT, action: str = "") -> str:
        """The person at the provider; the address that the provider sends the browser back to."""
        answer = httpx.post(address, data={"sub": subject, "action": action}, timeout=10)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        assert back.path == "/sign-in/oidc/callback"
        state = parse_qs(urlsplit(address).query)["state"][0]
        # RFC 6749, 4.1.2.1: a refusal carries the state too; this provider leaves it out
        return f"{back.path}?{back.query}" + ("" if "state=" in back.query else f"&state={state}")

    def told(self, answer: Any) -> Any:
        """The form that a failed attempt leads to."""
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?")
        assert "code=" not in answer.headers["location"]
        return self.browser.get(answer.headers["location"])

    def sign_in(self, subject: str = SUBJECT, after: str = "/account") -> Any:
        return self.browser.get(self.agree(self.begin(after), subject))

    def whats(self) -> list[str]:
        return [e["what"] for e in sorted(events(self.registry), key=lambda e: e["id"])]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without anybody, to be copied."""
    home = tmp_path_factory.mktemp("bare") / "home"
    space = init(home, Settings())
    space.registry.close()
    return home


@pytest.fixture
def office_of(tmp_path: Path, clock: Clock, provider: Provider, bare: Path) -> Callable[..., Office]:
    def made(**settings: Any) -> Office:
        given = {"oidc_issuer": provider.issuer, "oidc_client_id": "qinglan", **settings}
        shutil.copytree(bare, tmp_path / "home")
        write_settings(tmp_path / "home" / SETTINGS_FILE, Settings(**given))
        office = Office(open_workspace(tmp_path / "home"), clock, given["oidc_issuer"])
        office.add("root", Grant("administrator"))
        office.add("li", Grant("prefecture", place="630100"))
        return office

    return made


@pytest.fixture
def office(office_of: Callable[..., Office]) -> Office:
    return office_of()


# --- in ---------------------------------------------------------------------------------------------------------


def test_a_linked_person_comes_in_and_on_to_the_page_asked_for(office: Office, provider: Provider) -> None:
    office.link("li")
    office.browser.cookies.set("qinglan_session", "planted")
    address = office.begin("/data?page=2")
    asked = parse_qs(urlsplit(address).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://127.0.0.1/sign-in/oidc/callback"]
    answer = office.browser.get(office.agree(address))
    assert (answer.status_code, answer.headers["location"]) == (303, "/data?page=2")
    made = [v for k, v in answer.headers.multi_items() if k == "set-cookie" and v.startswith("qinglan_session=")]
    assert len(made) == 1
    assert "HttpOnly" in made[0]
    assert "planted" not in made[0]
    assert "qinglan_oidc" not in office.browser.cookies  # the attempt is over
    assert office.browser.get("/account").status_code == 200
    (event,) = events(office.registry, what="user.signed_in")
    assert (event["subject"], event["detail"]["via"]) == ("li", "oidc")
    # RFC 7636, 4.6: the challenge was the hash of what was shown when the code was redeemed
    (redeemed,) = provider.asked
    shown = hashlib.sha256(redeemed["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == [base64.urlsafe_b64encode(shown).decode().rstrip("=")]
    assert verify_events(office.registry).holds


def test_the_attempt_is_kept_from_scripts_and_holds_no_secret(office: Office, provider: Provider) -> None:
    answer = office.browser.get("/sign-in/oidc")
    cookie = next(v for k, v in answer.headers.multi_items() if k == "set-cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/sign-in/oidc" in cookie
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    office.browser.get(office.agree(answer.headers["location"]))
    for secret in (query["state"][0], query["nonce"][0], provider.asked[0]["code_verifier"]):
        assert secret not in cookie


def test_the_button_is_there_only_where_a_provider_is_set(
    office_of: Callable[..., Office], tmp_path: Path, clock: Clock
) -> None:
    bare = init(tmp_path / "bare", Settings())
    accounts.add_user(
        bare.registry, "root", "Root", [Grant("administrator")], who="t", now=clock(), password=PASSWORD
    )
    visitor = TestClient(create_app(bare, clock=clock), base_url="http://127.0.0.1", follow_redirects=False)
    assert "/sign-in/oidc" not in visitor.get("/sign-in").text
    assert visitor.get("/sign-in/oidc").status_code == 404
    assert visitor.get("/sign-in/oidc/callback?state=x&code=y").status_code == 404
    page = office_of(oidc_label="省统一身份认证").browser.get("/sign-in?next=/data").text
    assert 'href="/sign-in/oidc?next=%2Fdata"' in page
    assert "用省统一身份认证登录" in page


@pytest.mark.parametrize("where", ["https://evil.cn/", "//evil.cn", "/\\evil.cn", "javascript:x"])
def test_it_never_leads_to_another_site(office: Office, where: str) -> None:
    office.link("li")
    assert office.sign_in(after=where).headers["location"] == "/"


def test_a_second_factor_of_ours_is_asked_unless_the_setting_believes_the_providers(
    office_of: Callable[..., Office], provider: Provider
) -> None:
    def mfa(claims: dict[str, Any], header: dict[str, Any]) -> None:
        claims["amr"] = ["pwd", "mfa"]

    office = office_of(oidc_trust_second=True)
    office.link("li")
    secret, _ = accounts.draw_second("li")
    accounts.set_second(office.registry, "li", secret, pyotp.TOTP(secret).at(office.clock()), now=office.clock())
    answer = office.sign_in()
    assert answer.headers["location"] == "/sign-in/second?next=/account"
    assert office.browser.get("/account").status_code == 401
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', office.browser.get("/sign-in/second").text)
    assert csrf
    office.clock.off = timedelta(seconds=30)
    code = pyotp.TOTP(secret).at(office.clock())
    done = office.browser.post("/sign-in/second", data={"csrf": csrf[1], "code": code, "next": "/account"})
    assert done.status_code == 303
    assert events(office.registry, what="user.signed_in")[0]["detail"]["via"] == "oidc+second"
    provider.spoil = mfa
    assert office.sign_in().headers["location"] == "/account"
    office.app.state.people.provider.trust_second = False
    assert office.sign_in().headers["location"] == "/sign-in/second?next=/account"


# --- not in -----------------------------------------------------------------------------------------------------


def refused(office: Office, answer: Any, status: int, zh: str) -> Any:
    page = office.told(answer)
    assert page.status_code == status, page.text
    assert zh in page.text
    assert not office.browser.cookies.get("qinglan_session")
    assert office.browser.get("/account").status_code == 401
    assert events(office.registry, what="user.signed_in") == []
    assert verify_events(office.registry).holds
    return page


def test_nobody_gets_an_account_by_signing_in(office: Office) -> None:
    answer = office.sign_in("stranger")
    assert "stranger" in refused(office, answer, 403, "还没有与之关联的账号").text
    english = office.browser.get(f"{answer.headers['location']}&lang=en").text
    assert "Give this identifier to the administrator: stranger" in english
    (event,) = events(office.registry, what="user.sign_in_refused")
    assert event["detail"]["subject"] == "stranger"
    assert [u["id"] for u in accounts.users(office.registry)] == ["li", "root"]


def test_a_closed_account_stays_closed(office: Office) -> None:
    office.link("li")
    accounts.set_locked(office.registry, "li", True, who="root", now=office.clock())
    refused(office, office.sign_in(), 403, "已停用")


def test_the_answer_must_be_of_this_browser_and_of_now(office: Office) -> None:
    office.link("li")
    back = office.agree(office.begin())
    other = office.visitor()
    answer = other.get(back)  # login CSRF: another browser is led to the answer
    assert answer.headers["location"] == "/sign-in?next=%2F&why=oidc_late"
    assert not other.cookies.get("qinglan_session")
    refused(office, office.browser.get(re.sub("state=[^&]+", "state=wrong", back)), 400, "已经过期")
    back = office.agree(office.begin())
    kept = office.browser.cookies["qinglan_oidc"]
    office.browser.cookies.set("qinglan_oidc", kept[:-1] + ("A" if kept[-1] != "A" else "B"), path="/sign-in/oidc")
    office.browser.cookies.delete("qinglan_oidc", domain="127.0.0.1")
    refused(office, office.browser.get(back), 400, "已经过期")
    office.browser = office.visitor()
    back = office.agree(office.begin())
    office.clock.off = timedelta(minutes=11)
    refused(office, office.browser.get(back), 400, "已经过期")


def test_a_code_counts_once(office: Office) -> None:
    office.link("li")
    back = office.agree(office.begin())
    kept = office.browser.cookies["qinglan_oidc"]
    assert office.browser.get(back).status_code == 303
    again = office.visitor()
    assert "oidc_late" in again.get(back).headers["location"]  # the attempt is gone from the browser
    again.cookies.set("qinglan_oidc", kept)
    assert "oidc_refused" in again.get(back).headers["location"]  # and the provider knows the code no more
    assert not again.cookies.get("qinglan_session")


def _set(name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    def spoil(claims: dict[str, Any], header: dict[str, Any]) -> Any:
        claims[name] = value(claims) if callable(value) else value

    return spoil


SPOILT = {
    "nonce of another attempt": _set("nonce", "replayed"),
    "no nonce": lambda claims, header: claims.pop("nonce") and None,
    "another audience": _set("aud", ["somebody-else"]),
    "no audience": lambda claims, header: claims.pop("aud") and None,
    "several audiences without azp": _set("aud", ["qinglan", "somebody-else"]),
    "another issuer": _set("iss", "http://localhost:1"),
    "expired": _set("exp", lambda claims: int(datetime.now(UTC).timestamp()) - 120),
    "no expiry": lambda claims, header: claims.pop("exp") and None,
    "of tomorrow": _set("iat", lambda claims: int(datetime.now(UTC).timestamp()) + 86400),
    "nobody": _set("sub", ""),
    "another token": _set("at_hash", "AAAA"),
    "signed by another key": lambda claims, header: "other key",
    "not signed": lambda claims, header: "no signature",
}


def test_an_id_token_that_does_not_hold_is_refused(office: Office, provider: Provider) -> None:
    office.link("li")
    let_in = []
    for fault, provider.spoil in SPOILT.items():
        account_routes._LIMITER.storage.reset()
        answer = office.sign_in()
        if answer.headers["location"] != "/sign-in?next=%2Faccount&why=oidc_answer":
            let_in.append((fault, answer.headers["location"]))
    assert let_in == []
    refused(office, answer, 502, "未通过核验")
    provider.spoil = None
    assert office.sign_in().headers["location"] == "/account"


def test_somebody_who_cancels_is_told_so(office: Office) -> None:
    office.link("li")
    refused(office, office.browser.get(office.agree(office.begin(), action="deny")), 403, "没有同意这次登录")


def test_an_answer_of_another_provider_is_refused(office: Office) -> None:
    office.link("li")
    back = office.agree(office.begin())
    refused(office, office.browser.get(f"{back}&iss=https://other.example"), 502, "未通过核验")


def test_a_provider_that_is_away_leaves_the_password(office_of: Callable[..., Office]) -> None:
    office = office_of(oidc_issuer="http://localhost:1")
    answer = office.browser.get("/sign-in/oidc?next=/account")
    page = refused(office, answer, 503, "没有应答").text
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert csrf
    assert 'name="next" value="/account"' in page
    data = {"csrf": csrf[1], "user": "li", "password": PASSWORD, "next": "/account"}
    assert office.browser.post("/sign-in", data=data).headers["location"] == "/account"


def test_a_provider_that_goes_away_half_way(office: Office, provider: Provider) -> None:
    office.link("li")
    provider.described = {"token_endpoint": "http://localhost:1/token"}
    refused(office, office.browser.get(office.agree(office.begin())), 503, "没有应答")


def test_a_provider_that_describes_another_is_not_followed(office: Office, provider: Provider) -> None:
    for provider.described in (
        {"issuer": "http://localhost:1"}, {"authorization_endpoint": "http://evil.example/authorize"},
        {"token_endpoint": ""}, {"jwks_uri": "file:///etc/passwd"},
    ):  # fmt: skip
        refused(office, office.browser.get("/sign-in/oidc"), 502, "未通过核验")


def test_an_address_that_begins_too_often_waits(office: Office) -> None:
    went = [office.browser.get("/sign-in/oidc").headers["location"] for _ in range(21)]
    assert [where.startswith("/sign-in?") for where in went] == [False] * 20 + [True]
    assert office.browser.get(went[-1]).status_code == 429


# --- links ------------------------------------------------------------------------------------------------------


def test_a_name_links_an_ordinary_account_where_the_setting_says_so(office_of: Callable[..., Office]) -> None:
    office = office_of(oidc_link_by="preferred_username")
    assert office.sign_in().headers["location"] == "/account"
    row = accounts.user(office.registry, "li")
    assert (row["issuer"], row["issuer_subject"]) == (office.issuer, SUBJECT)
    assert office.whats()[-2:] == ["user.linked", "user.signed_in"]
    assert [g["role"] for g in row["grants"]] == ["prefecture"]


def test_without_the_setting_a_name_links_nobody(office: Office) -> None:
    refused(office, office.sign_in(), 403, "还没有与之关联的账号")


@pytest.mark.parametrize("guard", ["administrator", "waiting administrator", "second factor", "locked", "linked"])
def test_a_name_never_takes_over_a_guarded_account(office_of: Callable[..., Office], guard: str) -> None:
    office = office_of(oidc_link_by="preferred_username")
    now = office.clock()
    if guard.endswith("administrator"):
        accounts.grant_role(office.registry, "li", Grant("administrator"), who="root", now=now)
        if guard.startswith("waiting"):  # a drawn password hides the roles until it is changed
            accounts.reset_password(office.registry, "li", who="root", now=now)
    elif guard == "second factor":
        secret, _ = accounts.draw_second("li")
        accounts.set_second(office.registry, "li", secret, pyotp.TOTP(secret).at(now), now=now)
    elif guard == "locked":
        accounts.set_locked(office.registry, "li", True, who="root", now=now)
    else:
        office.link("li", "another")
    before = accounts.user(office.registry, "li")["issuer_subject"]
    refused(office, office.sign_in(), 403, "还没有与之关联的账号")
    assert accounts.user(office.registry, "li")["issuer_subject"] == before


@pytest.mark.parametrize(("verified", "linked"), [(True, True), (False, False), ("true", False), (None, False)])
def test_an_address_links_only_when_the_provider_verified_it(
    office_of: Callable[..., Office], provider: Provider, verified: Any, linked: bool
) -> None:
    office = office_of(oidc_link_by="email")
    office.add("zhao@office.cn")
    provider.spoil = _set("email_verified", verified)
    assert office.sign_in().headers["location"].startswith("/sign-in?") is not linked


def test_a_subject_is_one_accounts_and_unlinking_ends_its_sessions(office: Office) -> None:
    office.link("li")
    with pytest.raises(UsageError, match="linked to 'li' already"):
        office.link("root")
    office.sign_in()
    assert office.browser.get("/account").status_code == 200
    linking.unlink(office.registry, "li", who="root", now=office.clock())
    assert office.browser.get("/account").status_code == 401
    office.link("root")
    assert accounts.user(office.registry, "root")["issuer_subject"] == SUBJECT


def test_an_account_for_the_provider_only_has_no_password(office: Office) -> None:
    office.link("li", only=True)
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', office.browser.get("/sign-in").text)
    assert csrf
    for password in (PASSWORD, ""):
        data = {"csrf": csrf[1], "user": "li", "password": password}
        assert office.browser.post("/sign-in", data=data).status_code == 401
    assert office.sign_in().headers["location"] == "/account"
    assert "/account/password" not in office.browser.get("/account").text


def test_a_drawn_password_does_not_stand_before_the_provider(office: Office) -> None:
    accounts.reset_password(office.registry, "li", who="root", now=office.clock())
    office.link("li")
    office.sign_in()
    assert office.browser.get("/today").status_code != 303


def test_an_administrator_links_and_unlinks_on_the_page(office: Office) -> None:
    root = office.visitor()

    def csrf(page: Any) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
        assert found
        return found[1]

    data = {"csrf": csrf(root.get("/sign-in")), "user": "root", "password": PASSWORD}
    assert root.post("/sign-in", data=data).status_code == 303
    page = root.get("/admin/users/li")
    given = {"csrf": csrf(page), "subject": SUBJECT}
    assert 'action="/admin/users/li/link"' in page.text
    assert root.post("/admin/users/li/link", data=given | {"subject": " "}).status_code == 422
    assert root.post("/admin/users/li/link", data=given).headers["location"] == "/admin/users/li?done=linked"
    assert SUBJECT in root.get("/admin/users/li").text
    assert office.sign_in().headers["location"] == "/account"
    assert root.post("/admin/users/li/unlink", data=given).headers["location"] == "/admin/users/li?done=unlinked"
    assert [e["who"] for e in events(office.registry, what="user.unlinked")] == ["root"]


# --- settings ---------------------------------------------------------------------------------------------------


def test_settings_that_do_not_fit_stop_the_server(tmp_path: Path) -> None:
    good = {"oidc_issuer": "https://id.example.gov.cn", "oidc_client_id": "qinglan"}
    assert oidc.provider_of(Settings(), {}) is None
    assert oidc.provider_of(Settings(**good), {}) is not None
    for bad in (
        {"oidc_client_id": ""}, {"oidc_issuer": "http://id.example.gov.cn"}, {"oidc_link_by": "name"},
        {"oidc_issuer": "id.example.gov.cn"},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            oidc.provider_of(Settings(**good | bad), {})  # type: ignore[arg-type]
    space = init(tmp_path / "home", Settings(**good | {"oidc_client_id": ""}))
    with pytest.raises(UsageError, match="oidc_client_id"):
        create_app(space)


def test_the_secret_is_shown_at_the_token_door_and_nowhere_else(
    office: Office, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    made = oidc.provider_of(office.space.settings, {oidc.SECRET_FILE: str(tmp_path / "secret")})
    assert made is not None
    sent: list[str] = []
    monkeypatch.setattr(
        made._web, "post", lambda url, **k: sent.append(k["headers"].get("Authorization")) or httpx.post(url, **k)
    )
    office.app.state.people.provider = made
    office.link("li")
    assert "s3cret" not in office.begin()
    assert office.sign_in().headers["location"] == "/account"
    assert sent == ["Basic " + base64.b64encode(b"qinglan:s3cret").decode()]
    with pytest.raises(UsageError, match="cannot be read"):
        oidc.provider_of(office.space.settings, {oidc.SECRET_FILE: str(tmp_path / "lost")})
