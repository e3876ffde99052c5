"""Forms that only our own pages can send: a token in each form, and no request from another site.

OWASP's Cross-Site Request Forgery Prevention: signed-in people get a token bound to their session (HMAC under the
session's own secret), visitors a signed double-submit cookie. `Sec-Fetch-Site` and `Origin` are looked at as well.
Keys (``Authorization: Bearer``) need none: no browser sends them by itself.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request

from qinglan.access import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD, HEADER = "csrf", "x-csrf-token"
COOKIE = "qinglan_form"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class ForeignForm(Forbidden):
    """A form that was not sent from one of our pages, or from one that is too old."""

    def __init__(self) -> None:
        super().__init__("form", signed_in=True)


class Forms:
    """The token of this request's forms. It is made when a page first writes it, so that other pages cost nothing.

    session : token of the session, or empty for a visitor. seed : the visitor's cookie, or empty.
    key : gives the key that visitors' tokens are signed with.
    """

    def __init__(self, session: str, seed: str, key: Callable[[], bytes]) -> None:
        self._session, self.seed, self._key = session, seed, key
        self.fresh = False

    def __str__(self) -> str:
        """The token, for a page."""
        if not self._session and not self.seed:
            self.seed, self.fresh = secrets.token_urlsafe(18), True
        return self._made()

    def _made(self) -> str:
        key, text = (self._session.encode(), "form") if self._session else (self._key(), self.seed)
        return hmac.new(key, text.encode(), sha256).hexdigest()

    def holds(self, given: str) -> bool:
        """Whether a token that came back is ours."""
        if not given or not (self._session or self.seed):
            return False
        return hmac.compare_digest(self._made().encode(), given.encode())


def same_site(request: Request) -> bool:
    """Whether a request comes from our own pages, as far as the browser says."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def check_form(request: Request) -> None:
    """ForeignForm for an unsafe request that our pages did not send. Keys, and applications without us, pass."""
    forms: Forms | None = getattr(request.state, "csrf", None)
    if request.method in SAFE or forms is None:
        return
    if not same_site(request):
        raise ForeignForm
    given = request.headers.get(HEADER, "")
    if not given and request.headers.get("content-type", "").startswith(_FORMS):
        sent = (await request.form()).get(FIELD, "")  # kept on the request: the route reads the same form
        given = sent if isinstance(sent, str) else ""
    if not forms.holds(given):
        raise ForeignForm
