"""The rules at the door: passwords, growing delays, sessions and keys, what a grant is bound to. Pure.

Sources: NIST SP 800-63B-4 §3.1.1 (length before composition, no change forced by the calendar) and §3.2.2
(throttling); GB/T 22239-2019 8.1.4.1 (login failures are handled, idle sessions end).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from qinglan.access.principal import Grant
from qinglan.access.table import load_permissions
from qinglan.core.errors import UsageError

#: Characters of a password; different ones that it must have.
SHORTEST, LONGEST, DIFFERENT = 10, 200, 5
#: Wrong tries that are free, the first wait after them, and the longest.
FREE_TRIES, FIRST_WAIT, LONGEST_WAIT = 5, timedelta(seconds=30), timedelta(hours=1)
#: A session ends after so long without a request, and in any case after so long.
IDLE, ABSOLUTE = timedelta(hours=1), timedelta(hours=12)
#: Between the password and the second factor.
SECOND_WAIT = timedelta(minutes=5)
#: What no key may do, whatever its owner may: keys are for data, people are for accounts.
NEVER_BY_KEY = ("account.", "admin.users", "admin.settings")


class WeakPassword(UsageError):
    """A password that breaks a rule; `rule` is short, long, name or plain."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        super().__init__(message, remedy=f"Choose at least {SHORTEST} characters, such as four words.")


def check_password(password: str, *, names: tuple[str, ...]) -> None:
    """WeakPassword when it is short, over-long, nearly one character, or holds the user's name.

    >>> check_password("correct horse battery", names=("wang",))
    """
    if len(password) < SHORTEST:
        raise WeakPassword("short", f"the password has {len(password)} characters.")
    if len(password) > LONGEST:
        raise WeakPassword("long", f"the password has more than {LONGEST} characters.")
    if len(set(password)) < DIFFERENT:
        raise WeakPassword("plain", f"the password has fewer than {DIFFERENT} different characters.")
    held = password.casefold()
    if any(len(name) > 1 and name.casefold() in held for name in names):
        raise WeakPassword("name", "the password holds the user's name.")


def wait_after(failures: int) -> timedelta:
    """How long nobody may try after so many wrong passwords in a row.

    >>> [int(wait_after(n).total_seconds()) for n in (0, 4, 5, 6, 8, 50)]
    [0, 0, 30, 60, 240, 3600]
    """
    over = failures - FREE_TRIES
    return timedelta() if over < 0 else min(FIRST_WAIT * 2 ** min(over, 20), LONGEST_WAIT)


def session_alive(made_at: datetime, seen_at: datetime, now: datetime, *, stage: str) -> bool:
    """Whether a session still counts: `stage` is ``open`` or, before the second factor, ``second``."""
    if stage == "second":
        return now - made_at < SECOND_WAIT
    return now - made_at < ABSOLUTE and now - seen_at < IDLE


def key_scopes(asked: tuple[str, ...], held: frozenset[str]) -> tuple[str, ...]:
    """The permissions of a new key, sorted; UsageError for none, unknown ones, or what its owner may not do."""
    table = load_permissions()
    for name in asked:
        table.permission(name)
        if name.startswith(NEVER_BY_KEY) or name not in held:
            raise UsageError(f"a key of this owner cannot have {name!r}.", remedy="Choose what the owner may do.")
    if not asked:
        raise UsageError("the key has no permission.", remedy="Choose at least one.")
    return tuple(sorted(set(asked)))


def check_grant(grant: Grant) -> Grant:
    """The grant, with nothing beside what its role is bound to; UsageError when that is missing."""
    scope = load_permissions().role(grant.role).scope
    if grant.role in ("public", "demo", "member"):
        raise UsageError(f"the role {grant.role!r} is nobody's to grant.", remedy="Choose a role of an office.")
    if scope == "none":
        return Grant(grant.role)
    if scope == "place" and grant.place:
        return Grant(grant.role, place=grant.place)
    if scope == "department" and grant.department:
        return Grant(grant.role, department=grant.department)
    if scope == "sources" and grant.sources:
        return Grant(grant.role, sources=tuple(sorted(set(grant.sources))))
    raise UsageError(
        f"the role {grant.role!r} is granted for a {scope}, and none is given.", remedy=f"Name a {scope}."
    )
