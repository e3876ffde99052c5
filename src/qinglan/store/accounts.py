"""People, their grants, sessions and keys, as rows. What counts as valid is decided by those who call.

Every change of what somebody may do appends an event in its own transaction, and so does signing in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, update

from qinglan.core.errors import NotFound, UsageError
from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event

_T = schema.accounts
_EMPTY: Row = {
    "password_hash": "", "must_change": False, "failures": 0, "blocked_until": None, "totp_secret": "",
    "totp_step": 0, "issuer": "", "issuer_subject": "", "seen_at": None, "status": "active",
}  # fmt: skip


def _all(con: Connection, query: Any) -> list[Row]:
    return [dict(row) for row in con.execute(query).mappings()]


def users(registry: Registry) -> list[Row]:
    """All users by id, each with its `grants` in force."""
    with registry.read() as con:
        found = _all(con, select(_T.users).order_by(_T.users.c.id))
        held = _all(con, select(_T.grants).where(_T.grants.c.revoked_at.is_(None)).order_by(_T.grants.c.id))
    for row in found:
        row["grants"] = [g for g in held if g["user_id"] == row["id"]]
    return found


def user(registry: Registry, user_id: str) -> Row:
    """One user with its grants in force; NotFound."""
    with registry.read() as con:
        return _user(con, user_id)


def _user(con: Connection, user_id: str) -> Row:
    found = _all(con, select(_T.users).where(_T.users.c.id == user_id))
    if not found:
        raise NotFound(f"no user {user_id!r}.", remedy="`qinglan user list` shows all.")
    query = select(_T.grants).where(_T.grants.c.user_id == user_id, _T.grants.c.revoked_at.is_(None))
    return found[0] | {"grants": _all(con, query.order_by(_T.grants.c.id))}


def user_of_issuer(registry: Registry, issuer: str, subject: str) -> str | None:
    """Id of the user whom an identity provider knows by a subject."""
    query = select(_T.users.c.id).where(_T.users.c.issuer == issuer, _T.users.c.issuer_subject == subject)
    with registry.read() as con:
        return con.execute(query).scalar()


def link_user(
    registry: Registry, user_id: str, values: Mapping[str, Any], *, how: str, who: str, at: datetime
) -> None:
    """Write down that an identity provider knows a user by a subject. UsageError when it is another user's.

    values : `issuer`, `issuer_subject`, and columns that change with them. how : ``hand``, or the claim by which
    the account was found; then a link that is there already is not replaced.
    """
    issuer, subject = values["issuer"], values["issuer_subject"]
    with registry.begin() as con:
        held = _user(con, user_id)
        query = select(_T.users.c.id).where(_T.users.c.issuer == issuer, _T.users.c.issuer_subject == subject)
        taken = con.execute(query.where(_T.users.c.id != user_id)).scalar()
        if taken is not None:
            raise UsageError(f"{subject!r} is linked to {taken!r} already.", remedy="Unlink it there first.")
        if held["issuer"] and how != "hand":
            raise UsageError(f"{user_id!r} is linked already.", remedy="Unlink it first.")
        con.execute(update(_T.users).where(_T.users.c.id == user_id).values(**values))
        detail = {"issuer": issuer, "subject": subject, "how": how, "password_removed": "password_hash" in values}
        append_event(con, "user.linked", user_id, detail, who=who, at=at)


def note_refusal(registry: Registry, subject: str, detail: Mapping[str, Any], *, who: str, at: datetime) -> None:
    """Somebody whom an identity provider vouches for was not let in."""
    with registry.begin() as con:
        append_event(con, "user.sign_in_refused", subject, detail, who=who, at=at)


def count_users(registry: Registry) -> int:
    """How many there are."""
    with registry.read() as con:
        return con.execute(select(func.count()).select_from(_T.users)).scalar_one()


def administrators(con: Connection) -> list[str]:
    """Ids of the active users who hold the role in force."""
    query = select(_T.users.c.id).join(_T.grants, _T.grants.c.user_id == _T.users.c.id)
    query = query.where(_T.users.c.status == "active", _T.grants.c.role == "administrator")
    return list(con.execute(query.where(_T.grants.c.revoked_at.is_(None)).distinct()).scalars())


def has_administrator(registry: Registry) -> bool:
    """Whether anybody may manage accounts."""
    with registry.read() as con:
        return bool(administrators(con))


def add_user(
    registry: Registry,
    row: Mapping[str, Any],
    grants: Sequence[Mapping[str, Any]],
    *,
    who: str,
    at: datetime,
    spend: str = "",
) -> None:
    """Enter a user with first grants. UsageError when the id is taken.

    spend : name of a secret that allows this once: it is taken away in the same transaction, and there must be no
        user yet (the first administrator).
    """
    with registry.begin() as con:
        if spend:
            someone = con.execute(select(func.count()).select_from(_T.users)).scalar_one()
            if someone or not con.execute(_T.secrets.delete().where(_T.secrets.c.name == spend)).rowcount:
                raise UsageError("the first administrator has already been made.", remedy="Sign in.")
        if con.execute(select(_T.users.c.id).where(_T.users.c.id == row["id"])).scalar() is not None:
            raise UsageError(
                f"there is already a user {row['id']!r}.", remedy="Choose another name to sign in by."
            )
        con.execute(insert(_T.users).values(**_EMPTY | dict(row), by=who, at=at))
        append_event(con, "user.added", row["id"], {"name": row["name"]}, who=who, at=at)
        for one in grants:
            _grant(con, row["id"], one, who, at)


def change_user(
    registry: Registry,
    user_id: str,
    values: Mapping[str, Any],
    *,
    what: str,
    who: str,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
    end_sessions: bool = False,
) -> None:
    """Change columns of a user and append an event (secrets never enter it); optionally end all his sessions.

    Raises UsageError when nobody would be left who may manage accounts.
    """
    with registry.begin() as con:
        _user(con, user_id)
        before = administrators(con)
        con.execute(update(_T.users).where(_T.users.c.id == user_id).values(**values))
        _somebody_left(con, before)
        if end_sessions:
            _end(con, _T.sessions.c.user_id == user_id, at)
        append_event(con, what, user_id, detail or {}, who=who, at=at)


def _somebody_left(con: Connection, before: Sequence[str]) -> None:
    if before and not administrators(con):
        raise UsageError(
            "nobody would be left to manage accounts.", remedy="First make somebody else administrator."
        )


def count_failure(registry: Registry, user_id: str, wait: Callable[[int], timedelta], *, at: datetime) -> None:
    """A wrong password or code: count it, and close the account for as long as `wait` says of that many."""
    with registry.begin() as con:
        failures = _user(con, user_id)["failures"] + 1
        values = {"failures": failures, "blocked_until": at + wait(failures) if wait(failures) else None}
        con.execute(update(_T.users).where(_T.users.c.id == user_id).values(**values))
        append_event(con, "user.sign_in_failed", user_id, {"failures": failures}, who=user_id, at=at)


def take_step(registry: Registry, user_id: str, step: int) -> bool:
    """Use up a time step of the second factor; False when it or a later one was used already."""
    query = update(_T.users).where(_T.users.c.id == user_id, _T.users.c.totp_step < step).values(totp_step=step)
    with registry.begin() as con:
        return con.execute(query).rowcount == 1


def _grant(con: Connection, user_id: str, grant: Mapping[str, Any], who: str, at: datetime) -> None:
    row = {name: grant[name] for name in ("role", "place", "department", "sources")}
    con.execute(insert(_T.grants).values(user_id=user_id, **row, by=who, at=at))
    append_event(con, "grant.added", user_id, row, who=who, at=at)


def add_grant(registry: Registry, user_id: str, grant: Mapping[str, Any], *, who: str, at: datetime) -> None:
    """Grant a role; a grant that is in force already changes nothing."""
    with registry.begin() as con:
        held = _user(con, user_id)["grants"]
        if not any(all(g[name] == grant[name] for name in grant) for g in held):
            _grant(con, user_id, grant, who, at)


def revoke_grant(registry: Registry, user_id: str, grant_id: int, *, who: str, at: datetime) -> None:
    """End a grant. NotFound when it is not in force; UsageError for the last administrator's."""
    with registry.begin() as con:
        held = [g for g in _user(con, user_id)["grants"] if g["id"] == grant_id]
        if not held:
            raise NotFound(f"{user_id} has no grant {grant_id}.", remedy="`qinglan user list` shows the grants.")
        before = administrators(con)
        con.execute(update(_T.grants).where(_T.grants.c.id == grant_id).values(revoked_at=at))
        _somebody_left(con, before)
        row = {name: held[0][name] for name in ("role", "place", "department", "sources")}
        append_event(con, "grant.revoked", user_id, row, who=who, at=at)


def add_session(registry: Registry, row: Mapping[str, Any], *, at: datetime) -> None:
    """Open a session (`token_hash`, `user_id`, `stage`, `via`, `agent`, `address`); the user was seen."""
    with registry.begin() as con:
        con.execute(insert(_T.sessions).values(**row, made_at=at, seen_at=at))
        if row["stage"] == "open":
            fresh = {"failures": 0, "blocked_until": None, "seen_at": at}
            con.execute(update(_T.users).where(_T.users.c.id == row["user_id"]).values(**fresh))
            detail = {"via": row["via"], "address": row["address"]}
            append_event(con, "user.signed_in", row["user_id"], detail, who=row["user_id"], at=at)


def session(registry: Registry, token_hash: str) -> Row | None:
    """A session that was not ended, with its `user` (and grants)."""
    query = select(_T.sessions).where(_T.sessions.c.token_hash == token_hash, _T.sessions.c.ended_at.is_(None))
    return _with_user(registry, query)


def key(registry: Registry, key_hash: str) -> Row | None:
    """A key that was not revoked, with its `user` (and grants)."""
    return _with_user(
        registry, select(_T.keys).where(_T.keys.c.key_hash == key_hash, _T.keys.c.revoked_at.is_(None))
    )


def _with_user(registry: Registry, query: Any) -> Row | None:
    with registry.read() as con:
        found = _all(con, query)
        return found[0] | {"user": _user(con, found[0]["user_id"])} if found else None


def seen(registry: Registry, kind: str, row_id: int, at: datetime) -> None:
    """Note that a session or a key was used. `kind`: sessions or keys."""
    table: Table = {"sessions": _T.sessions, "keys": _T.keys}[kind]
    with registry.begin() as con:
        con.execute(update(table).where(table.c.id == row_id).values(seen_at=at))


def sessions(registry: Registry, user_id: str) -> list[Row]:
    """Sessions of a user that were not ended, newest first."""
    table = _T.sessions
    query = select(table).where(table.c.user_id == user_id, table.c.ended_at.is_(None)).order_by(table.c.id.desc())
    with registry.read() as con:
        return _all(con, query)


def _end(con: Connection, which: Any, at: datetime) -> None:
    con.execute(update(_T.sessions).where(which, _T.sessions.c.ended_at.is_(None)).values(ended_at=at))


def end_session(registry: Registry, user_id: str, session_id: int, *, who: str, at: datetime) -> None:
    """End one session of a user."""
    with registry.begin() as con:
        _end(con, (_T.sessions.c.id == session_id) & (_T.sessions.c.user_id == user_id), at)
        append_event(con, "user.signed_out", user_id, {"session": session_id}, who=who, at=at)


def end_other_sessions(registry: Registry, user_id: str, kept: int, *, who: str, at: datetime) -> None:
    """End every session of a user but one."""
    with registry.begin() as con:
        _end(con, (_T.sessions.c.id != kept) & (_T.sessions.c.user_id == user_id), at)
        append_event(con, "user.signed_out_elsewhere", user_id, {"kept": kept}, who=who, at=at)


def tidy_sessions(
    registry: Registry,
    *,
    made: datetime,
    seen: datetime,
    waiting: datetime,
    gone: datetime,
    who: str,
    at: datetime,
) -> Row:
    """End sessions that are over and drop those that ended long ago; how many, `ended` and `removed`.

    made, seen : one made or last seen at or before these is over; waiting : one that waits for its second factor.
    gone : rows that ended at or before this are dropped; what they did stands in the log.
    """
    table = _T.sessions
    over = (table.c.made_at <= made) | (table.c.seen_at <= seen)
    over |= (table.c.stage == "second") & (table.c.made_at <= waiting)
    with registry.begin() as con:
        ended = con.execute(update(table).where(table.c.ended_at.is_(None), over).values(ended_at=at)).rowcount
        removed = con.execute(table.delete().where(table.c.ended_at <= gone)).rowcount
        found: Row = {"ended": ended, "removed": removed}
        if ended or removed:
            append_event(con, "sessions.tidied", "", found, who=who, at=at)
    return found


def add_key(registry: Registry, row: Mapping[str, Any], *, who: str, at: datetime) -> None:
    """Enter an API key (`key_hash`, `start`, `user_id`, `name`, `scopes`, `expires_at`)."""
    with registry.begin() as con:
        con.execute(insert(_T.keys).values(**row, at=at))
        detail = {name: row[name] for name in ("start", "name", "scopes", "expires_at")}
        append_event(con, "key.added", row["user_id"], detail, who=who, at=at)


def keys(registry: Registry, user_id: str) -> list[Row]:
    """Keys of a user that were not revoked, newest first."""
    table = _T.keys
    query = (
        select(table).where(table.c.user_id == user_id, table.c.revoked_at.is_(None)).order_by(table.c.id.desc())
    )
    with registry.read() as con:
        return _all(con, query)


def revoke_key(registry: Registry, user_id: str, key_id: int, *, who: str, at: datetime) -> None:
    """End a key. NotFound when the user has none of that id."""
    table = _T.keys
    with registry.begin() as con:
        which = (table.c.id == key_id) & (table.c.user_id == user_id) & table.c.revoked_at.is_(None)
        if not con.execute(update(table).where(which).values(revoked_at=at)).rowcount:
            raise NotFound(f"{user_id} has no key {key_id}.")
        append_event(con, "key.revoked", user_id, {"key": key_id}, who=who, at=at)


def set_second(
    registry: Registry, user_id: str, secret: str, codes: Sequence[str], *, step: int, who: str, at: datetime
) -> None:
    """Set (or, with an empty secret, take away) the second factor, and its recovery codes (hashes)."""
    table = _T.recovery_codes
    with registry.begin() as con:
        con.execute(table.delete().where(table.c.user_id == user_id))
        values = {"totp_secret": secret, "totp_step": step}
        con.execute(update(_T.users).where(_T.users.c.id == user_id).values(**values))
        if codes:
            con.execute(insert(table), [{"user_id": user_id, "code_hash": code, "at": at} for code in codes])
        append_event(con, "second.set" if secret else "second.removed", user_id, {}, who=who, at=at)


def use_code(registry: Registry, user_id: str, code_hash: str, *, at: datetime) -> bool:
    """Use up a recovery code; False when there is none such."""
    table = _T.recovery_codes
    which = (table.c.user_id == user_id) & (table.c.code_hash == code_hash) & table.c.used_at.is_(None)
    with registry.begin() as con:
        if con.execute(update(table).where(which).values(used_at=at)).rowcount != 1:
            return False
        append_event(con, "second.recovered", user_id, {}, who=user_id, at=at)
        return True


def codes_left(registry: Registry, user_id: str) -> int:
    """Recovery codes not used yet."""
    table = _T.recovery_codes
    query = select(func.count()).select_from(table).where(table.c.user_id == user_id, table.c.used_at.is_(None))
    with registry.read() as con:
        return con.execute(query).scalar_one()


def secret(registry: Registry, name: str) -> str | None:
    """A secret of the installation."""
    with registry.read() as con:
        return con.execute(select(_T.secrets.c.value).where(_T.secrets.c.name == name)).scalar()


def keep_secret(registry: Registry, name: str, value: str, *, at: datetime, replace: bool = False) -> str:
    """Keep a secret; without `replace` the one that is there already wins. Returns the one that counts."""
    table = _T.secrets
    with registry.begin() as con:
        found = con.execute(select(table.c.value).where(table.c.name == name)).scalar()
        if found is not None and not replace:
            return str(found)
        con.execute(table.delete().where(table.c.name == name))
        con.execute(insert(table).values(name=name, value=value, at=at))
        return value
