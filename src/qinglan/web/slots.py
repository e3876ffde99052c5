"""Places in a page that differ from reader to reader, filled when the page is sent: so one page serves many.

A template writes a slot where it would write the token of a form or the reader's name. The mark is drawn anew in
each process, so that nobody can write one into a page.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from qinglan.access import Principal

_NONCE = secrets.token_hex(16)
TOKEN, NAME = "token", "name"
_MARK = re.compile(f"slot-({TOKEN}|{NAME})-{_NONCE}".encode())


def slot(name: str) -> str:
    """The mark of a slot: plain letters, which a template leaves as they are."""
    return f"slot-{name}-{_NONCE}"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A body cut at its slots: `fixed` has one part more than there are `slots`."""

    fixed: tuple[bytes, ...]
    slots: tuple[str, ...]

    @classmethod
    def of(cls, body: bytes) -> Pieces:
        """Cut a body."""
        cut = _MARK.split(body)
        return cls(tuple(cut[::2]), tuple(name.decode() for name in cut[1::2]))

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """The body with its slots filled."""
        found = [self.fixed[0]]
        for name, after in zip(self.slots, self.fixed[1:], strict=True):
            found += (values[name], after)
        return b"".join(found)


class Fillings:
    """What stands in the slots for one request; made only when a page asks for it.

    token : gives the token of the request's forms (for a visitor that starts a cookie).
    """

    def __init__(self, name: str, token: Callable[[], str]) -> None:
        self._name, self._token = name, token

    def of(self, slots: tuple[str, ...]) -> dict[str, bytes]:
        """The values that a page's slots need."""
        known = {NAME: lambda: self._name, TOKEN: self._token}
        return {name: str(escape(known[name]())).encode() for name in dict.fromkeys(slots)}


class Faceless:
    """A principal whose rights can be asked freely, but who is noticed when a page asks who it is.

    What a page writes without asking holds for everybody with the same rights.
    """

    def __init__(self, who: Principal) -> None:
        self._who = who
        #: Whether the page asked.
        self.asked = False

    def __getattr__(self, name: str) -> Any:
        if name in ("id", "name"):
            self.asked = True
        return getattr(self._who, name)

    def __eq__(self, other: object) -> bool:
        self.asked = True
        return self._who == other

    def __hash__(self) -> int:
        self.asked = True
        return hash(self._who)


def rights(who: Principal) -> str:
    """All that a page may depend on without asking who somebody is."""
    grants = ";".join(f"{g.role}:{g.place}:{g.department}:{','.join(g.sources)}" for g in who.grants)
    scopes = "-" if who.scopes is None else ",".join(sorted(who.scopes))
    return f"{who.via}|{who.signed_in}|{grants}|{scopes}"
