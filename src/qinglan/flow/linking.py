"""Accounts and the identity provider's people: who is linked to whom, and signing in by it.

Nobody gets an account by signing in. An administrator links an account to a subject; where a setting allows it, an
account without powers over others is linked at the first sign-in by its name.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

from qinglan.core.errors import NotFound, QinglanError, UsageError
from qinglan.flow import accounts
from qinglan.flow.oidc import Identity, Provider
from qinglan.store import accounts as book
from qinglan.store.registry import Registry

#: Who holds one of these is linked by hand only: who gives names at the provider must not become administrator.
BY_HAND_ONLY = ("admin.users", "admin.settings")


class NotLetIn(QinglanError):
    """The provider vouches for somebody who may not come in. `why` is unknown or locked; `subject` is who."""

    def __init__(self, why: str, subject: str) -> None:
        self.why, self.subject = why, subject
        super().__init__(f"signing in was refused ({why}).")


def link(
    registry: Registry, user_id: str, issuer: str, subject: str, *, who: str, now: datetime, only: bool = False
) -> None:
    """Link an account to a subject of a provider, in place of an earlier link.

    only : the account loses its password, so that it opens at the provider alone. Raises NotFound (user) and
    UsageError (no issuer, no such subject, or one that another account is linked to).
    """
    named = subject.strip()
    if not issuer:
        raise UsageError("no identity provider is set.", remedy="Set oidc_issuer, or name one.")
    if not named or len(named) > 255 or any(unicodedata.category(c).startswith("C") for c in named):
        raise UsageError(f"{subject!r} cannot be a subject.", remedy="Copy it from the provider or the audit log.")
    values = {"issuer": issuer, "issuer_subject": named}
    gone = {"password_hash": "", "must_change": False} if only else {}
    book.link_user(registry, user_id, values | gone, how="hand", who=who, at=now)


def unlink(registry: Registry, user_id: str, *, who: str, now: datetime) -> None:
    """End the link of an account; its sessions end. NotFound when it has none."""
    row = book.user(registry, user_id)
    if not row["issuer"]:
        raise NotFound(f"{user_id} is not linked.", remedy="`qinglan user list` shows who is.")
    detail = {"issuer": row["issuer"], "subject": row["issuer_subject"]}
    book.change_user(
        registry, user_id, {"issuer": "", "issuer_subject": ""}, what="user.unlinked", who=who, at=now,
        detail=detail, end_sessions=True,
    )  # fmt: skip


def sign_in(
    registry: Registry, provider: Provider, found: Identity, *, now: datetime, agent: str, address: str
) -> str:
    """Open a session for whom the provider vouches; returns its token. NotLetIn, with an event in the log.

    Its stage is ``second`` when a second factor is set here, unless the setting believes the provider's.
    """
    user_id = book.user_of_issuer(registry, found.issuer, found.subject)
    if user_id is None:
        user_id = _linked_by_claim(registry, provider, found, now)
    row = None if user_id is None else book.user(registry, user_id)
    if row is None or row["status"] != "active":
        why = "unknown" if row is None else "locked"
        detail = {"issuer": found.issuer, "subject": found.subject, "why": why} | _named(found)
        book.note_refusal(registry, user_id or found.subject, detail, who=user_id or "visitor", at=now)
        raise NotLetIn(why, found.subject)
    asked = bool(row["totp_secret"]) and not (provider.trust_second and found.second)
    stage = "second" if asked else "open"
    return accounts.open_session(
        registry, row["id"], stage=stage, via=accounts.BY_PROVIDER, now=now, agent=agent, address=address
    )


def _named(found: Identity) -> dict[str, Any]:
    """What the provider calls somebody, for the administrator who reads the log."""
    known = {name: found.claims.get(name) for name in ("preferred_username", "name", "email")}
    return {name: value[:120] for name, value in known.items() if isinstance(value, str)}


def _linked_by_claim(registry: Registry, provider: Provider, found: Identity, now: datetime) -> str | None:
    """Link the account that the setting's claim names, and return it; None when there is none that may be."""
    named = found.claims.get(provider.link_by) if provider.link_by else None
    if provider.link_by == "email" and found.claims.get("email_verified") is not True:
        return None
    if not isinstance(named, str):
        return None
    try:
        row = book.user(registry, accounts.clean_id(named))
        held = accounts.granted(row)
        if row["issuer"] or row["totp_secret"] or row["status"] != "active" or any(map(held.may, BY_HAND_ONLY)):
            return None
        values = {"issuer": found.issuer, "issuer_subject": found.subject}
        book.link_user(registry, row["id"], values, how=provider.link_by, who=row["id"], at=now)
    except (NotFound, UsageError):
        return None
    return str(row["id"])
