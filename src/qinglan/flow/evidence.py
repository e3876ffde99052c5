"""Evidence for the plan's tasks: files checked, kept by content and filed; who may hand in for which task."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Any

import puremagic

from qinglan.access import Forbidden, Principal, load_permissions
from qinglan.access.principal import within
from qinglan.core.errors import NotFound, UsageError
from qinglan.flow.decide import file_accepted
from qinglan.flow.workspace import Workspace
from qinglan.plan.pack import load_plan
from qinglan.plan.tasks import EvidenceRecord, accept_record
from qinglan.store import decisions
from qinglan.store.files import Files

Row = dict[str, Any]

#: What may be handed in, by the kind that the content shows (never by the name alone), with its media type.
KINDS: Mapping[str, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "png": "image/png",
    "jpg": "image/jpeg",
    "csv": "text/csv; charset=utf-8",
}
MOST_BYTES = 20 * 1024 * 1024
_MAGIC = {".pdf": "pdf", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".jfif": "jpg", ".jpe": "jpg"}
_OFFICE = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx"}
PERMISSION = "plan.evidence"


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What somebody hands in: for which item of which task, dated when, under which number, from where.

    data : bytes of the file; empty when only a number or a value is given. value, unit : for a reported value.
    cycle : of a recurring task; empty: by its date. satisfied : False when it shows that the condition is not met.
    """

    task: str
    item: int
    on: date
    reference: str
    source: str
    name: str = ""
    data: bytes = b""
    cycle: str = ""
    satisfied: bool = True
    value: float | None = None
    unit: str = ""


def kind_of(data: bytes, name: str) -> str:
    """Kind of a file by its content; UsageError when it is none of :data:`KINDS`, or its name says another.

    An Office file is opened and looked into: a ZIP that only calls itself one is refused, and so are macros.

    >>> kind_of(b"place,value\\n630100,3\\n", "values.csv")
    'csv'
    """
    said = PurePath(name).suffix.lower().lstrip(".")
    said = "jpg" if said == "jpeg" else said
    found = _office(data) if data[:2] == b"PK" else _simple(data, said)
    if found not in KINDS:
        raise UsageError(
            f"file {name!r} is not a PDF, Word, Excel, PNG, JPEG or CSV file.",
            remedy="Save it as one of these and send it again.",
        )
    if said != found:
        raise UsageError(
            f"file {name!r} is named .{said} but its content is {found}.", remedy="Name it after what it is."
        )
    return found


def _simple(data: bytes, said: str) -> str:
    try:
        found = _MAGIC.get(puremagic.from_string(data), "")
    except (puremagic.PureError, ValueError):
        found = ""
    return found or ("csv" if said == "csv" and _is_text(data) else "")


def _is_text(data: bytes) -> bool:
    if b"\0" in data or data.lstrip()[:1] == b"<":
        return False
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return True
    return False


def _office(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return ""
    if any("vbaproject" in name.lower() for name in names) or "[Content_Types].xml" not in names:
        return ""
    return next((kind for part, kind in _OFFICE.items() if part in names), "")


def may_hand_in(me: Principal, task: Mapping[str, Any]) -> bool:
    """Whether somebody may hand in evidence for a task of the verdict.

    A department for tasks that it leads or supports; an office of a place for tasks of that place and of places
    inside it, and for those that the plan leaves to local governments (`local`).
    """
    if not me.may(PERMISSION):
        return False
    roles = load_permissions().permission(PERMISSION).roles
    theirs = (*_ids(task, "lead"), *_ids(task, "supporting"))
    places: Sequence[str] = task.get("places") or ()
    for grant in me.grants:
        if grant.role not in roles:
            continue
        if grant.department:
            if grant.department in theirs:
                return True
        elif any(within(p, grant.place) or (task.get("local") and within(grant.place, p)) for p in places):
            return True
    return False


def _ids(task: Mapping[str, Any], role: str) -> Sequence[str]:
    return task.get(f"{role}_ids") or task.get(role) or ()


def hand_in(workspace: Workspace, given: HandedIn, task: Mapping[str, Any], me: Principal, *, today: date) -> str:
    """Check, keep and file a piece of evidence; the digest of its file (empty without one).

    The file is on disk before the registry names it, so a crash leaves at worst a file that nothing names.
    Raises Forbidden for another's task; UsageError names every fault, and nothing is kept.
    """
    if not may_hand_in(me, task):
        raise Forbidden(PERMISSION, signed_in=me.signed_in, place=given.task)
    plan = load_plan(workspace.settings.plan)
    if len(given.data) > MOST_BYTES:
        raise UsageError(f"file {given.name!r} has more than {MOST_BYTES} bytes.", remedy="Send a smaller file.")
    kind = kind_of(given.data, given.name) if given.data else ""
    if not given.data and not given.reference.strip():
        raise UsageError("neither a file nor a document number.", remedy="Give at least one of them.")
    record = EvidenceRecord(
        given.task, given.item, given.reference.strip() or PurePath(given.name).name, given.on, given.source,
        me.id, given.cycle, given.satisfied, given.value, given.unit,
    )  # fmt: skip
    taken = accept_record(plan, record, today)
    digest = Files(workspace.home).put(given.data) if kind else ""
    _not_twice(workspace, taken, digest)
    file_accepted(workspace, plan, taken, digest)
    return digest


def _not_twice(workspace: Workspace, record: EvidenceRecord, digest: str) -> None:
    """The same thing sent twice (a double click, a reload) is one piece of evidence."""
    mark = (record.item, record.cycle, record.ref, digest, record.on, record.value, record.source)
    for row in decisions.task_evidence(workspace.registry, task_id=record.task):
        known = ("item", "cycle", "reference", "hash", "as_of", "value", "source")
        if tuple(row[name] for name in known) == mark:
            raise UsageError(
                f"this was handed in already, on {row['at']:%Y-%m-%d} by {row['by']}.",
                remedy="Nothing more is needed.",
            )


def history(workspace: Workspace, task: str) -> list[Row]:
    """What was handed in for a task and by whom, newest first."""
    return decisions.task_evidence(workspace.registry, task_id=task)[::-1]


def file_of(workspace: Workspace, task: str, number: int) -> tuple[bytes, str, str]:
    """Bytes, media type and a file name of a piece of evidence; NotFound when it has no file."""
    for row in decisions.task_evidence(workspace.registry, task_id=task):
        if row["id"] == number and row["hash"]:
            data = Files(workspace.home).open(row["hash"])
            kind = _office(data) if data[:2] == b"PK" else _simple(data, "csv")
            return data, KINDS.get(kind, "application/octet-stream"), f"{task}-{number}.{kind or 'bin'}"
    raise NotFound(f"evidence {number} of {task} has no file.", remedy="The page of the task lists what there is.")
