"""Signing in and out, second factor, own account, keys."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import segno
from fastapi import APIRouter, Form
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal, load_permissions
from qinglan.access.policy import NEVER_BY_KEY, SHORTEST, WeakPassword
from qinglan.core.errors import NotFound, QinglanError, UsageError
from qinglan.flow import accounts, views
from qinglan.web.access import needs
from qinglan.web.identify import People, give_session, take_session
from qinglan.web.site import site
from qinglan.web.text import hour_text

router = APIRouter()

Visitor = Annotated[Principal, needs("public.view")]
Self = Annotated[Principal, needs("account.self")]
Field = Annotated[str, Form()]

#: Tries to sign in from one address in a minute, for each worker; accounts themselves close by the policy.
TRIES = RateLimitItemPerMinute(20)
#: What can go wrong at the identity provider, with the status of the form that says so.
FROM_PROVIDER = {
    "oidc_away": 503, "oidc_refused": 403, "oidc_late": 400, "oidc_answer": 502, "oidc_unknown": 403,
    "oidc_locked": 403, "oidc_many": 429,
}  # fmt: skip
_LIMITER = MovingWindowRateLimiter(MemoryStorage())


def local_path(text: str) -> str:
    """Where to go after signing in: a path of this console, or its front door.

    >>> [local_path(x) for x in ("/today?a=1", "https://x.cn/", "//x.cn", "/\\\\x.cn", "today", "")]
    ['/today?a=1', '/', '/', '/', '/', '/']
    """
    split = urlsplit(text)
    fit = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if fit and not split.netloc and not split.scheme else "/"


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """A page in the frame, with the run where there is one."""
    here = site(request)
    try:
        result = views.current(here.workspace)
    except QinglanError:
        result = None
    made = here.page(request, template, result, status=status, **context)
    made.headers["Cache-Control"] = "no-store"
    return made


def people(request: Request) -> People:
    """How this console knows people; NotFound where it has no registry."""
    found: People = request.app.state.people
    if found.registry is None:
        raise NotFound("this console has no accounts.", remedy="Serve a workspace.")
    return found


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def came_from(request: Request) -> dict[str, str]:
    """The browser and the address that a session is opened for."""
    return {"agent": request.headers.get("user-agent", ""), "address": _address(request)}


def too_many(request: Request) -> bool:
    """Whether an address tries to sign in too often."""
    return not _LIMITER.hit(TRIES, "sign-in", _address(request))


def sign_in_form(
    request: Request, after: str, *, status: int = 200, why: str = "", until: str = "", user: str = "",
    subject: str = "",
) -> Response:  # fmt: skip
    """The form to sign in, with the button of the identity provider where one is set.

    why : what went wrong, a key of the words; until, subject : what these words name.
    """
    return page(
        request, "account_sign_in.html", status=status, after=after, why=why, until=until, user=user,
        subject=subject, provider=people(request).provider,
    )  # fmt: skip


def signed_in(request: Request, token: str, after: str) -> Response:
    """Hand a new session over, and on: to the second factor where it waits for one."""
    found = accounts.find_session(people(request).registry, token, now=site(request).clock())
    second = found is not None and found.stage == "second"
    answer = RedirectResponse(f"/sign-in/second?next={quote(after)}" if second else after, status_code=303)
    return give_session(request, answer, token)


def _refusal(error: accounts.Refused) -> tuple[str, str]:
    """Key of what to tell, and until when."""
    return error.why, hour_text(error.until) + error.until.strftime(":%S") if error.until else ""


def done(path: str, what: str) -> Response:
    """On to a page that shows what was done."""
    return RedirectResponse(f"{path}?done={what}", status_code=303)


# --- in and out -------------------------------------------------------------------------------------------------


@router.get("/sign-in")
def sign_in_page(
    request: Request, me: Visitor, next: str = "/", why: str = "", subject: str = ""  # noqa: A002
) -> Response:  # fmt: skip
    """The form to sign in; before the first account exists, the way to make it."""
    home = people(request)
    if home.local and not accounts.has_users(home.registry):
        return RedirectResponse("/first-run", status_code=303)
    if why not in FROM_PROVIDER:
        return sign_in_form(request, local_path(next))
    shown = subject if len(subject) <= 255 and " " not in subject and subject.isprintable() else ""
    return sign_in_form(request, local_path(next), status=FROM_PROVIDER[why], why=why, subject=shown)


@router.post("/sign-in")
def sign_in(request: Request, me: Visitor, user: Field = "", password: Field = "", next: Field = "/") -> Response:  # noqa: A002
    """Sign in by password; on to the second factor where one is set."""
    after, registry = local_path(next), people(request).registry
    if too_many(request):
        return sign_in_form(request, after, status=429, why="many", user=user)
    try:
        token = accounts.sign_in(registry, user, password, now=site(request).clock(), **came_from(request))
    except accounts.Refused as error:
        why, until = _refusal(error)
        return sign_in_form(request, after, status=401, why=why, until=until, user=user)
    return signed_in(request, token, after)


@router.get("/sign-in/second")
def second_page(request: Request, me: Visitor, next: str = "/") -> Response:  # noqa: A002
    """The form for the second factor."""
    session = getattr(request.state, "session", None)
    if session is None or session.stage != "second":
        return RedirectResponse("/sign-in", status_code=303)
    return page(request, "account_second.html", after=local_path(next), why="", until="")


@router.post("/sign-in/second")
def second(request: Request, me: Visitor, code: Field = "", next: Field = "/") -> Response:  # noqa: A002
    """Complete signing in by a code of the app or a recovery code."""
    after, token = local_path(next), getattr(request.state, "session_token", "")
    if too_many(request):
        return page(request, "account_second.html", status=429, after=after, why="many", until="")
    try:
        made = accounts.second_factor(
            people(request).registry, token, code, now=site(request).clock(), **came_from(request)
        )
    except accounts.Refused as error:
        why, until = _refusal(error)
        return page(request, "account_second.html", status=401, after=after, why=why, until=until)
    return give_session(request, RedirectResponse(after, status_code=303), made)


@router.post("/sign-out")
def sign_out(request: Request, me: Visitor) -> Response:
    """End the session."""
    session = getattr(request.state, "session", None)
    if session is not None:
        accounts.sign_out(people(request).registry, session, now=site(request).clock())
    return take_session(request, RedirectResponse("/", status_code=303))


@router.get("/first-run")
def first_run_page(request: Request, me: Visitor) -> Response:
    """Make the administrator, with the code that the server printed when it started."""
    _only_at_first(request)
    return page(
        request, "account_first_run.html", why="", given={"code": "", "user": "", "name": ""}, shortest=SHORTEST
    )


@router.post("/first-run")
def first_run(
    request: Request, me: Visitor, code: Field = "", user: Field = "", name: Field = "", password: Field = ""
) -> Response:
    """Make the administrator and sign in."""
    _only_at_first(request)
    given, registry, now = (
        {"code": code, "user": user, "name": name},
        people(request).registry,
        site(request).clock(),
    )
    told: dict[str, Any] = {"given": given, "shortest": SHORTEST}
    if too_many(request):
        return page(request, "account_first_run.html", status=429, why="many", **told)
    try:
        made = accounts.first_run(registry, code, user, name, password, now=now)
    except accounts.Refused:
        return page(request, "account_first_run.html", status=401, why="code", **told)
    except WeakPassword as error:
        return page(request, "account_first_run.html", status=422, why=error.rule, **told)
    except UsageError:
        return page(request, "account_first_run.html", status=422, why="id", **told)
    token = accounts.open_session(registry, made, stage="open", via="first", now=now, **came_from(request))
    return give_session(request, done("/account", "first"), token)


def _only_at_first(request: Request) -> None:
    home = people(request)
    if not home.local or accounts.has_users(home.registry):
        raise NotFound("the first account has been made.", remedy="Sign in.")


# --- one's own account ------------------------------------------------------------------------------------------


def _session(request: Request) -> accounts.Session:
    """The session of somebody signed in by a browser."""
    found: accounts.Session | None = getattr(request.state, "session", None)
    if found is None:
        raise NotFound("there is no session.", remedy="Sign in by a browser.")
    return found


def grantable(me: Principal) -> list[str]:
    """Permissions that a key of somebody may have."""
    known = load_permissions().permissions
    return [name for name in known if me.may(name) and not name.startswith(NEVER_BY_KEY)]


@router.get("/account")
def account(request: Request, me: Self, done: str = "") -> Response:
    """Who I am, what was granted to me, my second factor, sessions and keys."""
    registry, now = people(request).registry, site(request).clock()
    return page(
        request, "account_home.html", user=accounts.user(registry, me.id), session=_session(request),
        sessions=accounts.sessions(registry, me.id, now=now), keys=accounts.keys(registry, me.id), now=now,
        codes=accounts.codes_left(registry, me.id), done=done, table=load_permissions(), scopes=grantable(me),
    )  # fmt: skip


@router.get("/account/password")
def password_page(request: Request, me: Self) -> Response:
    """The form to change the password."""
    return page(request, "account_password.html", why="", until="", shortest=SHORTEST, session=_session(request))


@router.post("/account/password")
def password(request: Request, me: Self, old: Field = "", new: Field = "", again: Field = "") -> Response:
    """Change the password; other sessions end."""
    session, now = _session(request), site(request).clock()
    told: dict[str, Any] = {"until": "", "shortest": SHORTEST, "session": session, "why": "again"}
    if new != again:
        return page(request, "account_password.html", status=422, **told)
    try:
        accounts.change_password(people(request).registry, session, old, new, now=now)
    except accounts.Refused as error:
        why, until = _refusal(error)
        return page(request, "account_password.html", status=401, **told | {"why": why, "until": until})
    except WeakPassword as error:
        return page(request, "account_password.html", status=422, **told | {"why": error.rule})
    except UsageError:
        return page(request, "account_password.html", status=422, **told | {"why": "same"})
    return done("/account", "password")


@router.get("/account/second")
def set_second_page(request: Request, me: Self) -> Response:
    """A fresh secret to show to the app, as QR code and as text."""
    return _set_second(request, me, accounts.draw_second(me.id)[0])


def _set_second(request: Request, me: Principal, secret: str, why: str = "") -> Response:
    address = accounts.second_address(me.id, secret)
    code = segno.make(address, error="m").svg_inline(scale=5, border=4, light="white", omitsize=True)
    return page(request, "account_set_second.html", status=401 if why else 200, secret=secret, qr=code, why=why)


@router.post("/account/second")
def set_second(request: Request, me: Self, secret: Field = "", code: Field = "") -> Response:
    """Set the second factor once the app's code is right; shows the recovery codes, once."""
    try:
        codes = accounts.set_second(people(request).registry, me.id, secret, code, now=site(request).clock())
    except accounts.Refused:
        return _set_second(request, me, secret, "wrong")
    return page(request, "account_shown.html", kind="codes", shown=codes)


@router.post("/account/second/remove")
def remove_second(request: Request, me: Self, password: Field = "") -> Response:
    """Take the second factor away, on the password."""
    try:
        accounts.remove_second(people(request).registry, me.id, password, now=site(request).clock())
    except accounts.Refused:
        return done("/account", "refused")
    return done("/account", "second_removed")


@router.post("/account/sessions/{number}/end")
def end_session(request: Request, me: Self, number: int) -> Response:
    """End one of my sessions."""
    accounts.end_session(people(request).registry, me.id, number, now=site(request).clock())
    return done("/account", "session_ended")


@router.post("/account/keys")
def add_key(
    request: Request, me: Self, name: Field = "", days: Annotated[int, Form()] = 365,
    scopes: Annotated[list[str], Form()] = [],  # noqa: B006
) -> Response:  # fmt: skip
    """Make a key; shows it, once."""
    key = accounts.add_key(people(request).registry, me, name, scopes, days, now=site(request).clock())
    return page(request, "account_shown.html", kind="key", shown=[key])


@router.post("/account/keys/{number}/revoke")
def revoke_key(request: Request, me: Self, number: int) -> Response:
    """End a key of mine."""
    accounts.revoke_key(people(request).registry, me.id, number, who=me.id, now=site(request).clock())
    return done("/account", "key_revoked")
