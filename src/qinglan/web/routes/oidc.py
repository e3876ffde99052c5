"""Signing in at an identity provider: off to it, and back with its answer."""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.errors import NotFound
from qinglan.flow import linking, oidc
from qinglan.web.access import needs
from qinglan.web.identify import People, secure
from qinglan.web.routes.account import came_from, done, local_path, people, signed_in, too_many
from qinglan.web.site import site

log = logging.getLogger(__name__)

router = APIRouter()

Visitor = Annotated[Principal, needs("public.view")]
Users = Annotated[Principal, needs("admin.users")]

#: Keeps the attempt in the browser; sent to these two addresses and no others.
COOKIE, PATH = "qinglan_oidc", "/sign-in/oidc"


def _asked(request: Request) -> tuple[People, oidc.Provider]:
    home = people(request)
    if home.provider is None:
        raise NotFound("no identity provider is set.", remedy="Sign in by password.")
    return home, home.provider


def _back(request: Request) -> str:
    """Our address for the provider's answer; the host was checked at the door."""
    return f"{request.url.scheme}://{request.headers['host']}{PATH}/callback"


def _failed(request: Request, why: str, after: str = "/", subject: str = "") -> Response:
    """On to the form, which says what went wrong: the attempt is over, and its code stays in no address."""
    told = {"next": after, "why": f"oidc_{why}"} | ({"subject": subject} if subject else {})
    answer = RedirectResponse(f"/sign-in?{urlencode(told)}", status_code=303)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax", secure=secure(request))
    return answer


@router.get(PATH)
def begin(request: Request, me: Visitor, next: str = "/") -> Response:  # noqa: A002
    """Off to the identity provider."""
    home, provider = _asked(request)
    now, after = site(request).clock(), local_path(next)
    if too_many(request):
        return _failed(request, "many", after)
    attempt = oidc.Attempt.begin(after, home.form_key, now=now)
    try:
        where = provider.address(attempt, _back(request), now=now)
    except oidc.ProviderFault as fault:
        log.warning("identity provider %s: %s", provider.issuer, fault)
        return _failed(request, fault.why, after)
    answer = RedirectResponse(where, status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        COOKIE, attempt.cookie, max_age=int(oidc.ATTEMPT.total_seconds()), path=PATH, httponly=True,
        samesite="lax", secure=secure(request),
    )  # fmt: skip
    return answer


@router.get(f"{PATH}/callback")
def callback(request: Request, me: Visitor, state: str = "") -> Response:
    """Back with the provider's answer: a new session for whom it vouches, where an account is linked."""
    home, provider = _asked(request)
    if too_many(request):
        return _failed(request, "many")
    now, after = site(request).clock(), "/"
    attempt = oidc.Attempt(request.cookies.get(COOKIE, ""), home.form_key)
    try:
        after = local_path(attempt.after(state, now=now))
        found = provider.identity(attempt, _back(request), request.url.query, now=now)
        token = linking.sign_in(home.registry, provider, found, now=now, **came_from(request))
    except oidc.ProviderFault as fault:
        log.warning("identity provider %s: %s", provider.issuer, fault)
        return _failed(request, fault.why, after)
    except linking.NotLetIn as refused:
        return _failed(request, refused.why, after, refused.subject)
    answer = signed_in(request, token, after)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax", secure=secure(request))
    return answer


@router.post("/admin/users/{user_id}/link")
def link(
    request: Request, me: Users, user_id: str, subject: Annotated[str, Form()] = "",
    only: Annotated[bool, Form()] = False,
) -> Response:  # fmt: skip
    """Link somebody to a subject of the provider; `only` takes the password away."""
    home, provider = _asked(request)
    now = site(request).clock()
    linking.link(home.registry, user_id, provider.issuer, subject, who=me.id, now=now, only=only)
    return done(f"/admin/users/{user_id}", "linked")


@router.post("/admin/users/{user_id}/unlink")
def unlink(request: Request, me: Users, user_id: str) -> Response:
    """End somebody's link to the provider; his sessions end."""
    linking.unlink(people(request).registry, user_id, who=me.id, now=site(request).clock())
    return done(f"/admin/users/{user_id}", "unlinked")
