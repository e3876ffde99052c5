"""Signing in at an identity provider: OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636).

What is ours: where the settings and the secret come from, one attempt bound to one browser, and which answers are
not to be trusted (RFC 9700). The exchange and the checks of the ID token are Authlib's and joserfc's.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from authlib.oauth2 import OAuth2Client, OAuth2Error
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from qinglan.core.errors import QinglanError, UsageError
from qinglan.flow.workspace import Settings

#: Where the client's secret comes from: the variable itself, or a file that it names. Neither: a public client.
SECRET, SECRET_FILE = "QINGLAN_OIDC_SECRET", "QINGLAN_OIDC_SECRET_FILE"
SCOPE = "openid profile email"
#: Claims by which an account may be linked at the first sign-in.
LINK_BY = ("preferred_username", "email")
#: Signatures that only the provider can make; none that our own secret, or nobody, could have made.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
#: How long an attempt to sign in lasts, and the provider's own description of itself is believed.
ATTEMPT, BELIEVED = timedelta(minutes=10), timedelta(hours=1)
#: Clocks may differ by so much [s]; the provider gets so long to answer [s].
LEEWAY, PATIENCE = 60, 8.0

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ProviderFault(QinglanError):
    """Signing in at the provider failed. `why` is away, refused, late (begin again) or answer (not trusted)."""

    def __init__(self, why: str, message: str) -> None:
        self.why = why
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in, as the browser keeps it: what must be secret is derived from it under our key."""

    cookie: str
    key: bytes

    @classmethod
    def begin(cls, after: str, key: bytes, *, now: datetime) -> Attempt:
        """A fresh attempt that leads on to the page `after`."""
        where = base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")
        return cls(f"{secrets.token_urlsafe(24)}.{int(now.timestamp())}.{where}", key)

    def _drawn(self, purpose: str) -> str:
        made = hmac.new(self.key, f"oidc|{purpose}|{self.cookie}".encode(), sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    @property
    def state(self) -> str:
        """Comes back with the answer, and binds it to this browser."""
        return self._drawn("state")

    @property
    def nonce(self) -> str:
        """Must stand in the ID token, which is therefore of this attempt."""
        return self._drawn("nonce")

    @property
    def verifier(self) -> str:
        """Proves to the provider that who redeems the code is who asked for it (43 characters)."""
        return self._drawn("verifier")

    def after(self, state: str, *, now: datetime) -> str:
        """Where the attempt leads on to; ProviderFault when the state is another's or the time is over."""
        if not self.cookie or not hmac.compare_digest(self.state.encode(), state.encode()):
            raise ProviderFault("late", "the answer belongs to no attempt of this browser.")
        _, at, where = self.cookie.split(".")
        if now - datetime.fromtimestamp(int(at), UTC) > ATTEMPT:
            raise ProviderFault("late", "the attempt to sign in took too long.")
        return base64.urlsafe_b64decode(where + "=" * (-len(where) % 4)).decode()


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for. `second`: it says that more than one factor was asked (RFC 8176, ``mfa``)."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    second: bool


def provider_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> Provider | None:
    """The provider that a workspace's settings name; None when they name none.

    Raises UsageError for settings that do not fit together, and for a secret's file that cannot be read.
    """
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise UsageError(
            "oidc_issuer is set and oidc_client_id is not.", remedy="Write the client's id into qinglan.toml."
        )
    if settings.oidc_link_by and settings.oidc_link_by not in LINK_BY:
        raise UsageError(
            f"oidc_link_by is {settings.oidc_link_by!r}.",
            remedy=f"Leave it empty, or choose {' or '.join(LINK_BY)}.",
        )
    if not _safe(settings.oidc_issuer, settings.oidc_issuer):
        raise UsageError(
            f"oidc_issuer is {settings.oidc_issuer!r}.",
            remedy="Give its https address (http only on this machine).",
        )
    return Provider(settings, _secret(environ))


def _secret(environ: Mapping[str, str]) -> str:
    file = environ.get(SECRET_FILE, "")
    if not file:
        return environ.get(SECRET, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        remedy = "Let the server read it."
        raise UsageError(f"{SECRET_FILE}: {file} cannot be read ({cause}).", remedy=remedy) from None


def _safe(address: object, issuer: str) -> bool:
    """Whether an address is by https, or on this machine like its issuer."""
    split = urlsplit(str(address or ""))
    if split.scheme == "https":
        return bool(split.hostname)
    return split.scheme == "http" and split.hostname in _LOOPBACK and urlsplit(issuer).hostname in _LOOPBACK


class Provider:
    """One identity provider, as one process knows it: its description and its keys are asked for once an hour."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self.issuer, self.client_id = settings.oidc_issuer, settings.oidc_client_id
        self.label, self.link_by = settings.oidc_label, settings.oidc_link_by
        self.trust_second = settings.oidc_trust_second
        self._secret, self._lock = secret, threading.Lock()
        self._described: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._asked = datetime.min.replace(tzinfo=UTC)

    @cached_property
    def _web(self) -> httpx.Client:
        return httpx.Client(timeout=PATIENCE, follow_redirects=False)

    def _get(self, address: str) -> dict[str, Any]:
        try:
            answer = self._web.get(address, headers={"Accept": "application/json"})
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError, UnicodeDecodeError) as fault:
            raise ProviderFault("away", f"{address} does not answer as it should: {fault}") from fault
        if not isinstance(found, dict):
            raise ProviderFault("answer", f"{address} answered no object.")
        return found

    def _description(self, now: datetime) -> dict[str, Any]:
        """The provider's metadata (OpenID Connect Discovery 1.0, sections 3 and 4.3)."""
        with self._lock:
            if self._described and timedelta() <= now - self._asked < BELIEVED:
                return self._described
            found = self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise ProviderFault(
                    "answer", f"the provider calls itself {found.get('issuer')!r}, oidc_issuer is {self.issuer!r}."
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not _safe(found.get(name), self.issuer):
                    raise ProviderFault("answer", f"the provider's {name} is {found.get(name)!r}.")
            self._described, self._keys, self._asked = found, None, now
            return found

    def _key_set(self, now: datetime, *, fresh: bool = False) -> KeySet:
        address = self._description(now)["jwks_uri"]
        with self._lock:
            if self._keys is None or fresh:
                try:
                    self._keys = KeySet.import_key_set(self._get(address))  # type: ignore[arg-type]
                except (JoseError, ValueError, KeyError, TypeError) as fault:
                    raise ProviderFault("answer", f"{address} holds no keys: {fault}") from fault
            return self._keys

    def _client(self, back: str, methods: object) -> OAuth2Client:
        known = methods if isinstance(methods, list) else []
        posted = "client_secret_post" in known and "client_secret_basic" not in known
        return OAuth2Client(
            _Posting(self._web), client_id=self.client_id, client_secret=self._secret or None, redirect_uri=back,
            scope=SCOPE, code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post" if posted and self._secret else None,
        )  # fmt: skip

    def address(self, attempt: Attempt, back: str, *, now: datetime) -> str:
        """Where the browser is sent to sign in; `back` is our address for the answer. ProviderFault."""
        found = self._description(now)
        url, _ = self._client(back, None).create_authorization_url(
            found["authorization_endpoint"],
            state=attempt.state,
            nonce=attempt.nonce,
            code_verifier=attempt.verifier,
        )
        return str(url)

    def identity(self, attempt: Attempt, back: str, query: str, *, now: datetime) -> Identity:
        """Whom the answer (its query string, whose state was checked) vouches for. ProviderFault."""
        given = {name: values[0] for name, values in parse_qs(query).items()}
        if given.get("iss", self.issuer) != self.issuer:  # RFC 9207
            raise ProviderFault("answer", f"the answer is of {given['iss']!r}.")
        if "error" in given or "code" not in given:
            raise ProviderFault("refused", f"the provider refused: {given.get('error', 'no code')[:80]!r}.")
        found = self._description(now)
        client = self._client(back, found.get("token_endpoint_auth_methods_supported"))
        try:
            token = client.fetch_token(
                found["token_endpoint"], grant_type="authorization_code", code=given["code"],
                redirect_uri=back, code_verifier=attempt.verifier,
            )  # fmt: skip
        except OAuth2Error as fault:
            raise ProviderFault("refused", f"the provider refused the code: {str(fault)[:200]}") from fault
        except (httpx.HTTPError, ValueError) as fault:
            where = found["token_endpoint"]
            raise ProviderFault("away", f"{where} does not answer as it should: {fault}") from fault
        claims = self._checked(token, attempt.nonce, now)
        methods = claims.get("amr") or []
        return Identity(self.issuer, str(claims["sub"]), claims, "mfa" in methods)

    def _checked(self, token: Mapping[str, Any], nonce: str, now: datetime) -> Mapping[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7). ProviderFault."""
        written = token.get("id_token")
        if not isinstance(written, str):
            raise ProviderFault("answer", "the provider sent no ID token.")
        wanted = {"iss": self.issuer, "aud": self.client_id}
        options = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        asked = {"nonce": nonce, "client_id": self.client_id, "access_token": token.get("access_token")}
        try:
            read = self._verified(written, now)
            claims = CodeIDToken(read.claims, read.header, options, asked)
            claims.validate(int(now.timestamp()), LEEWAY)
        except (JoseError, ValueError, TypeError) as fault:
            kind = type(fault).__name__
            raise ProviderFault("answer", f"the ID token does not hold: {kind}: {fault}") from fault
        if not claims["sub"]:
            raise ProviderFault("answer", "the ID token names nobody.")
        return dict(claims)

    def _verified(self, written: str, now: datetime) -> jwt.Token:
        """The token once its signature holds; keys that were changed since are asked for once."""
        try:
            return jwt.decode(written, self._key_set(now), algorithms=ALGORITHMS)
        except (InvalidKeyIdError, BadSignatureError):
            return jwt.decode(written, self._key_set(now, fresh=True), algorithms=ALGORITHMS)


class _Posting:
    """httpx as Authlib's client wants it: a session whose `post` signs a request before it is sent."""

    def __init__(self, web: httpx.Client) -> None:
        self._web = web

    def post(self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> httpx.Response:
        prepare: Callable[..., tuple[str, dict[str, str], str]] = auth.prepare
        url, signed, body = prepare("POST", url, dict(headers), urlencode(data))
        return self._web.post(url, content=body, headers=signed)
