"""One tree of errors. A message names the thing, shows the value and says what to do next."""

from __future__ import annotations

from collections.abc import Sequence


class QinglanError(Exception):
    """Root of every error that Qinglan raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, naming the thing and showing the value.
    remedy : str
        What the reader can do about it; empty when the message already says it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class UnknownName(QinglanError):
    """A name that is not in the vocabulary (quantity, place, station, option, edition ...)."""

    def __init__(self, kind: str, name: object, known: Sequence[object] = ()) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        listed = ", ".join(str(k) for k in known)
        super().__init__(f"unknown {kind} {name!r}.", remedy=f"Known: {listed}." if listed else "")


class ContentError(QinglanError):
    """A content file (standard, plan pack, places, layout) breaks its schema. Lists every fault at once."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where, self.problems = where, tuple(problems)
        lines = "\n".join(f"  - {p}" for p in problems)
        super().__init__(f"{where}: {len(problems)} problem(s)\n{lines}")


class RuleError(QinglanError):
    """A rule book has no answer for what was asked (date before its first edition, no limit of that kind)."""


class LayoutError(QinglanError):
    """A file is not of the layout it was said to be, or a mapping does not fit the file."""


class StoreError(QinglanError):
    """The lake or the registry cannot do what was asked."""


class NotFound(QinglanError):
    """Something that was asked for by name does not exist (yet)."""


class UsageError(QinglanError):
    """Arguments that do not fit together."""
