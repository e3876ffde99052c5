"""People and how they are known: first run, passwords, second factor, sessions, keys. Load, ask the policy, save.

Tokens, keys and codes are random and only their hashes are kept; passwords are argon2id (RFC 9106). `now` is an
argument everywhere, so that tests can let time pass.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from qinglan.access import Grant, Principal, load_permissions
from qinglan.access.policy import (
    ABSOLUTE,
    IDLE,
    SECOND_WAIT,
    check_grant,
    check_password,
    key_scopes,
    session_alive,
    wait_after,
)
from qinglan.core.errors import NotFound, QinglanError, UsageError
from qinglan.plan.places import load_places
from qinglan.store import accounts as book
from qinglan.store.registry import Registry

Row = dict[str, Any]

_HASHER = PasswordHasher()
_MEMBER = Grant("member")
_SETUP, _SIGNING = "setup", "signing"
_SEEN_EVERY = timedelta(seconds=60)
RECOVERY_CODES = 10
#: How long the row of a session that ended is kept.
SESSIONS_KEPT = timedelta(days=183)
KEY_MARK = "qlk_"
#: How sessions are marked that an identity provider opened.
BY_PROVIDER = "oidc"


class Refused(QinglanError):
    """Signing in failed. `why` is wrong, wait or locked; `until` when to try again, for ``wait``."""

    def __init__(self, why: str, until: datetime | None = None) -> None:
        self.why, self.until = why, until
        super().__init__(f"signing in was refused ({why}).")


@dataclass(frozen=True, slots=True)
class Session:
    """An open session: who, and what is still to be done (`stage` open or second; `must_change` the password).

    `via` is how it was opened: password, oidc or first, with ``+second`` once the second factor was asked.
    """

    id: int
    user_id: str
    stage: str
    must_change: bool
    principal: Principal
    via: str


@cache
def _nobody() -> str:
    """Verified in place of a user who is not there, so that an answer takes as long either way."""
    return _HASHER.hash(secrets.token_urlsafe(16))


def registry_of(workspace: Any) -> Registry | None:
    """The registry of a workspace; None for one that has none (a result folder to look at)."""
    return getattr(workspace, "registry", None)


def digest(token: str) -> str:
    """What is kept of a token: SHA-256 (the token is random and long, so it needs no slow hash)."""
    return hashlib.sha256(token.encode()).hexdigest()


# --- the installation -------------------------------------------------------------------------------------------


def setup_code(registry: Registry, *, now: datetime) -> str | None:
    """A fresh one-time code for the first administrator; None when there is a user. Earlier codes end."""
    if book.count_users(registry):
        return None
    code = "-".join(secrets.token_hex(2) for _ in range(4))
    book.keep_secret(registry, _SETUP, digest(code), at=now, replace=True)
    return code


def has_users(registry: Registry) -> bool:
    """Whether anybody has an account."""
    return book.count_users(registry) > 0


def has_administrator(registry: Registry) -> bool:
    """Whether somebody may manage accounts."""
    return book.has_administrator(registry)


def signing_key(registry: Registry, *, now: datetime) -> bytes:
    """The key under which visitors' forms are signed; made on first use, shared by all workers."""
    found = book.secret(registry, _SIGNING)
    return bytes.fromhex(found or book.keep_secret(registry, _SIGNING, secrets.token_hex(32), at=now))


def first_run(registry: Registry, code: str, user_id: str, name: str, password: str, *, now: datetime) -> str:
    """Make the administrator with the code that the server printed; returns the id. Refused for a wrong code."""
    kept = book.secret(registry, _SETUP)
    if kept is None or not secrets.compare_digest(kept, digest(code.strip().lower())):
        raise Refused("wrong")
    row = _new_user(user_id, name, password)
    grants = [_grant_row(Grant("administrator"))]
    book.add_user(registry, row, grants, who=row["id"], at=now, spend=_SETUP)
    return str(row["id"])


# --- users and grants -------------------------------------------------------------------------------------------


def clean_id(text: str) -> str:
    """The name to sign in by: lower case, 2 to 60 letters, digits or ``. _ - @``; UsageError.

    >>> clean_id(" Wang.Li ")
    'wang.li'
    """
    made = text.strip().casefold()
    if not 2 <= len(made) <= 60 or not all(c.isalnum() or c in "._-@" for c in made):
        raise UsageError(
            f"{text!r} cannot be a name to sign in by.", remedy="Use 2 to 60 letters, digits, dots, hyphens or @."
        )
    return made


def _new_user(user_id: str, name: str, password: str, *, must_change: bool = False) -> Row:
    made = clean_id(user_id)
    check_password(password, names=(made, name.strip()))
    hashed = _HASHER.hash(password)
    return {"id": made, "name": name.strip() or made, "password_hash": hashed, "must_change": must_change}


def _grant_row(grant: Grant) -> Row:
    held = check_grant(grant)
    if held.place:
        held = Grant(held.role, place=load_places()[held.place].place)
    return {"role": held.role, "place": held.place, "department": held.department, "sources": list(held.sources)}


def add_user(
    registry: Registry,
    user_id: str,
    name: str,
    grants: Sequence[Grant] = (),
    *,
    who: str,
    now: datetime,
    password: str | None = None,
) -> str:
    """Enter a user. Without a password one is drawn, returned, and must be changed at the first sign-in."""
    drawn = password is None
    given = draw_password() if password is None else password
    row = _new_user(user_id, name, given, must_change=drawn)
    book.add_user(registry, row, [_grant_row(g) for g in grants], who=who, at=now)
    return given if drawn else ""


def draw_password() -> str:
    """A random password that can be read aloud: no letter looks like a digit."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(3))


def users(registry: Registry) -> list[Row]:
    """All users with their grants, without secrets."""
    return [_shown(row) for row in book.users(registry)]


def user(registry: Registry, user_id: str) -> Row:
    """One user with grants, without secrets; NotFound."""
    return _shown(book.user(registry, user_id))


def _shown(row: Row) -> Row:
    shown = {
        name: value for name, value in row.items() if name not in ("password_hash", "totp_secret", "totp_step")
    }
    return shown | {"second": bool(row["totp_secret"]), "has_password": bool(row["password_hash"])}


def grant_role(registry: Registry, user_id: str, grant: Grant, *, who: str, now: datetime) -> None:
    """Grant a role; UsageError or UnknownName when it is not bound to what it must be."""
    book.add_grant(registry, user_id, _grant_row(grant), who=who, at=now)


def revoke_grant(registry: Registry, user_id: str, grant_id: int, *, who: str, now: datetime) -> None:
    """End a grant."""
    book.revoke_grant(registry, user_id, grant_id, who=who, at=now)


def revoke_role(registry: Registry, user_id: str, grant: Grant, *, who: str, now: datetime) -> None:
    """End the grant that says this; NotFound when it is not in force."""
    wanted = _grant_row(grant)
    for held in book.user(registry, user_id)["grants"]:
        if all(held[name] == wanted[name] for name in wanted):
            book.revoke_grant(registry, user_id, held["id"], who=who, at=now)
            return
    raise NotFound(f"{user_id} does not hold {grant.role!r}.", remedy="`qinglan user list` shows the grants.")


def set_locked(registry: Registry, user_id: str, locked: bool, *, who: str, now: datetime) -> None:
    """Close an account (its sessions end and its keys stop), or open it again with no failures counted."""
    values: Row = {"status": "locked"} if locked else {"status": "active", "failures": 0, "blocked_until": None}
    what = "user.locked" if locked else "user.unlocked"
    book.change_user(registry, user_id, values, what=what, who=who, at=now, end_sessions=locked)


def reset_password(registry: Registry, user_id: str, *, who: str, now: datetime, second_too: bool = False) -> str:
    """A drawn password, to be changed at the next sign-in; all sessions end. Returns it: it is shown once."""
    drawn = draw_password()
    values = {"password_hash": _HASHER.hash(drawn), "must_change": True, "failures": 0, "blocked_until": None}
    book.change_user(
        registry, user_id, values, what="user.password_reset", who=who, at=now, end_sessions=True,
        detail={"second_removed": second_too},
    )  # fmt: skip
    if second_too:
        book.set_second(registry, user_id, "", (), step=0, who=who, at=now)
    return drawn


def change_password(registry: Registry, session: Session, old: str, new: str, *, now: datetime) -> None:
    """Change one's own password; Refused when the old one is wrong. All other sessions end."""
    row = book.user(registry, session.user_id)
    _check_password(registry, row, old, now)
    check_password(new, names=(row["id"], row["name"]))
    if new == old:
        raise UsageError("the new password is the old one.", remedy="Choose another.")
    values = {"password_hash": _HASHER.hash(new), "must_change": False}
    book.change_user(registry, row["id"], values, what="user.password_changed", who=row["id"], at=now)
    book.end_other_sessions(registry, row["id"], session.id, who=row["id"], at=now)


# --- signing in -------------------------------------------------------------------------------------------------


def _check_password(registry: Registry, row: Row, password: str, now: datetime) -> None:
    if row["blocked_until"] is not None and now < row["blocked_until"]:
        raise Refused("wait", row["blocked_until"])
    try:
        _HASHER.verify(row["password_hash"] or _nobody(), password)
    except (VerificationError, InvalidHashError):
        book.count_failure(registry, row["id"], wait_after, at=now)
        raise Refused("wrong") from None


def sign_in(registry: Registry, user_id: str, password: str, *, now: datetime, agent: str, address: str) -> str:
    """Open a session by password; returns its token. Its stage is ``second`` when a second factor is set.

    Raises Refused: an unknown user and a wrong password look alike and take as long; a locked account is told only
    to somebody who knows its password.
    """
    try:
        row = book.user(registry, clean_id(user_id))
    except QinglanError:
        with suppress(VerificationError):
            _HASHER.verify(_nobody(), password)
        raise Refused("wrong") from None
    _check_password(registry, row, password, now)
    if row["status"] != "active":
        raise Refused("locked")
    if _HASHER.check_needs_rehash(row["password_hash"]):
        fresh = {"password_hash": _HASHER.hash(password)}
        book.change_user(registry, row["id"], fresh, what="user.rehashed", who=row["id"], at=now)
    stage = "second" if row["totp_secret"] else "open"
    return open_session(registry, row["id"], stage=stage, via="password", now=now, agent=agent, address=address)


def open_session(
    registry: Registry, user_id: str, *, stage: str, via: str, now: datetime, agent: str, address: str
) -> str:
    """A new session; returns its token, of which only the hash is kept."""
    token = secrets.token_urlsafe(32)
    row = {"token_hash": digest(token), "user_id": user_id, "stage": stage, "via": via}
    book.add_session(registry, {**row, "agent": agent[:200], "address": address[:64]}, at=now)
    return token


def second_factor(registry: Registry, token: str, code: str, *, now: datetime, agent: str, address: str) -> str:
    """Complete a session that waits for its second factor; returns the token of a new one (the old one ends).

    `code` is of the app (a step counts once, one step of drift either way) or a recovery code (each counts once).
    """
    found = find_session(registry, token, now=now)
    if found is None or found.stage != "second":
        raise Refused("wrong")
    row = book.user(registry, found.user_id)
    if row["blocked_until"] is not None and now < row["blocked_until"]:
        raise Refused("wait", row["blocked_until"])
    typed = code.replace(" ", "").replace("-", "").lower()
    step = totp_step(row["totp_secret"], typed, now)
    passed = book.take_step(registry, row["id"], step) if step else False
    if not passed and not book.use_code(registry, row["id"], digest(typed), at=now):
        book.count_failure(registry, row["id"], wait_after, at=now)
        raise Refused("wrong")
    book.end_session(registry, row["id"], found.id, who=row["id"], at=now)
    via = f"{found.via}+second"
    return open_session(registry, row["id"], stage="open", via=via, now=now, agent=agent, address=address)


def totp_step(secret: str, code: str, now: datetime) -> int:
    """The time step (RFC 6238, 30 s) whose code this is, at most one away from now; 0 when none is."""
    totp = pyotp.TOTP(secret)
    step = int(now.timestamp()) // totp.interval
    typed = code.encode()  # full-width digits are typed too: wrong, not a fault
    near = (step, step - 1, step + 1)
    return next((n for n in near if secrets.compare_digest(totp.generate_otp(n).encode(), typed)), 0)


def _principal(row: Mapping[str, Any], *, via: str, scopes: frozenset[str] | None = None) -> Principal:
    grants = tuple(
        Grant(g["role"], g["place"], g["department"], tuple(g["sources"]))
        for g in row["grants"]
        if g["role"] in load_permissions().roles
    )
    held = (_MEMBER,) if row["must_change"] else (_MEMBER, *grants)
    return Principal(row["id"], row["name"], held, via, scopes)


def granted(row: Mapping[str, Any]) -> Principal:
    """A user with all that was granted, whatever he still has to do before he may use it."""
    return _principal(dict(row) | {"must_change": False}, via="session")


def find_session(registry: Registry, token: str, *, now: datetime) -> Session | None:
    """The session of a token; None when there is none, it has ended by itself, or the account is locked."""
    row = book.session(registry, digest(token))
    if row is None or row["user"]["status"] != "active":
        return None
    if not session_alive(row["made_at"], row["seen_at"], now, stage=row["stage"]):
        return None
    if now - row["seen_at"] > _SEEN_EVERY:
        book.seen(registry, "sessions", row["id"], now)
    # A drawn password that waits to be changed is not what somebody came in by at an identity provider.
    must_change = row["user"]["must_change"] and not row["via"].startswith(BY_PROVIDER)
    who = granted(row["user"]) if not must_change else _principal(row["user"], via="session")
    return Session(row["id"], row["user_id"], row["stage"], must_change, who, row["via"])


def sign_out(registry: Registry, session: Session, *, now: datetime) -> None:
    """End a session."""
    book.end_session(registry, session.user_id, session.id, who=session.user_id, at=now)


def sessions(registry: Registry, user_id: str, *, now: datetime) -> list[Row]:
    """Open sessions of a user that still count, newest first."""
    found = book.sessions(registry, user_id)
    return [s for s in found if session_alive(s["made_at"], s["seen_at"], now, stage=s["stage"])]


def end_session(registry: Registry, user_id: str, session_id: int, *, now: datetime) -> None:
    """End one of one's own sessions."""
    book.end_session(registry, user_id, session_id, who=user_id, at=now)


def tidy_sessions(registry: Registry, *, who: str, now: datetime) -> Row:
    """End the sessions that are over by the policy and drop the rows of those that ended half a year ago."""
    over = {"made": now - ABSOLUTE, "seen": now - IDLE, "waiting": now - SECOND_WAIT, "gone": now - SESSIONS_KEPT}
    return book.tidy_sessions(registry, **over, who=who, at=now)


# --- second factor ----------------------------------------------------------------------------------------------


def draw_second(user_id: str, issuer: str = "Qinglan") -> tuple[str, str]:
    """A fresh secret for an authenticator app, and the address that its QR code holds."""
    secret = pyotp.random_base32()
    return secret, second_address(user_id, secret, issuer)


def second_address(user_id: str, secret: str, issuer: str = "Qinglan") -> str:
    """The ``otpauth:`` address of a secret."""
    return pyotp.TOTP(secret).provisioning_uri(name=user_id, issuer_name=issuer)


def set_second(registry: Registry, user_id: str, secret: str, code: str, *, now: datetime) -> list[str]:
    """Set the second factor once the app shows its code; returns recovery codes, shown once. Refused."""
    if len(secret) != 32 or not set(secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        raise UsageError("this is no secret that was drawn here.", remedy="Begin again.")
    step = totp_step(secret, code.replace(" ", ""), now)
    if not step:
        raise Refused("wrong")
    codes = [f"{secrets.token_hex(2)}-{secrets.token_hex(3)}" for _ in range(RECOVERY_CODES)]
    kept = [digest(c.replace("-", "")) for c in codes]
    book.set_second(registry, user_id, secret, kept, step=step, who=user_id, at=now)
    return codes


def remove_second(registry: Registry, user_id: str, password: str, *, now: datetime) -> None:
    """Take the second factor away, on the password; Refused."""
    _check_password(registry, book.user(registry, user_id), password, now)
    book.set_second(registry, user_id, "", (), step=0, who=user_id, at=now)


def codes_left(registry: Registry, user_id: str) -> int:
    """Recovery codes that were not used."""
    return book.codes_left(registry, user_id)


# --- keys -------------------------------------------------------------------------------------------------------


def add_key(
    registry: Registry, me: Principal, name: str, scopes: Sequence[str], days: int | None, *, now: datetime
) -> str:
    """A new key of one's own; returns it: it is shown once. `days` until it ends, 1 to 730, or None for never."""
    if days is not None and not 1 <= days <= 730:
        raise UsageError(f"a key cannot last {days} days.", remedy="Choose 1 to 730, or leave it out.")
    if not name.strip():
        raise UsageError("the key has no name.", remedy="Say what will use it.")
    held = frozenset(p for p in load_permissions().permissions if me.may(p))
    chosen = key_scopes(tuple(scopes), held)
    key = KEY_MARK + secrets.token_urlsafe(32)
    row = {"key_hash": digest(key), "start": key[:10], "user_id": me.id, "name": name.strip()[:80]}
    expires = None if days is None else now + timedelta(days=days)
    book.add_key(registry, {**row, "scopes": list(chosen), "expires_at": expires}, who=me.id, at=now)
    return key


def find_key(registry: Registry, key: str, *, now: datetime) -> Principal | None:
    """Who asks with a key; None when it is unknown, revoked, over, or its owner may not act."""
    row = book.key(registry, digest(key))
    if row is None or row["user"]["status"] != "active" or row["user"]["must_change"]:
        return None
    if row["expires_at"] is not None and now >= row["expires_at"]:
        return None
    if row["seen_at"] is None or now - row["seen_at"] > _SEEN_EVERY:
        book.seen(registry, "keys", row["id"], now)
    return _principal(row["user"], via="key", scopes=frozenset(row["scopes"]))


def keys(registry: Registry, user_id: str) -> list[Row]:
    """Keys of a user in force, newest first, without their hashes."""
    return [{n: v for n, v in row.items() if n != "key_hash"} for row in book.keys(registry, user_id)]


def revoke_key(registry: Registry, user_id: str, key_id: int, *, who: str, now: datetime) -> None:
    """End a key."""
    book.revoke_key(registry, user_id, key_id, who=who, at=now)
