"""Loading files: read through a layout, judged at the door, merged into the lake, and written down.

Files are read one after the other into a buffer; when it is full (or old) it is merged into the lake, month by
month, and only then are its files checkpointed. A process killed in between leaves a consistent lake, and
loading again finishes the work: checkpointed files are skipped, the others merge to what is already there.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.core.batch import Batch, Layout, ReadContext, Reject
from qinglan.core.contracts import judge
from qinglan.core.errors import LayoutError, QinglanError, StoreError, UsageError
from qinglan.core.provenance import fingerprint
from qinglan.core.tables import SOURCE_LINE
from qinglan.flow import locked
from qinglan.flow.sources import Source, guess_layout, layout_named, layouts, opened_sources, sha256_of
from qinglan.flow.uploads import whereabouts
from qinglan.flow.workspace import Workspace
from qinglan.store import loads
from qinglan.store.merge import OUTCOMES, SOURCE
from qinglan.store.stations import register_stations, station_faults

ALREADY = "already_loaded"
#: Stands for a layout's name where each file tells its own.
AUTO = "auto"
#: What a file may do to a reader without it being a fault of the program.
_UNREADABLE = (QinglanError, OSError, UnicodeError, EOFError, zlib.error)
_OPTION_UNITS = "accept_units"


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """force : read files again that were wholly loaded before. who : on whose behalf.
    buffer_rows, buffer_seconds : the buffer is merged when it holds so many rows or is so old."""

    force: bool = False
    who: str = "system"
    buffer_rows: int = 1_500_000
    buffer_seconds: float = 120.0


@dataclass(slots=True)
class FileReport:
    """What became of one file, in rows. read = inserted + unchanged + superseded + filled + rejected.

    cells : single values set aside in rows that were kept. by_code : rejects (marks, not rows) by code.
    """

    name: str
    path: str
    status: str = loads.DONE
    read: int = 0
    inserted: int = 0
    unchanged: int = 0
    superseded: int = 0
    filled: int = 0
    rejected: int = 0
    cells: int = 0
    by_code: dict[str, int] = field(default_factory=dict)
    message: str = ""

    @property
    def accepted(self) -> int:
        """Rows that are in the lake."""
        return self.inserted + self.unchanged + self.superseded + self.filled


@dataclass(slots=True)
class IngestReport:
    """What became of a load. `load_id` is empty when there was nothing to do."""

    layout: str
    load_id: str = ""
    status: str = loads.DONE
    files: list[FileReport] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Sum of a count over the files."""
        return sum(int(getattr(f, name)) for f in self.files)

    def by_code(self) -> dict[str, int]:
        """Rejects by code over the files."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(file.by_code)
        return dict(counts.most_common())

    def totals(self) -> dict[str, Any]:
        """All counts, and the files by status."""
        names = ("read", *OUTCOMES, "rejected", "cells")
        return {
            "files": dict(Counter(f.status for f in self.files)),
            **{name: self.total(name) for name in names},
            "by_code": self.by_code(),
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "load_id": self.load_id,
            "layout": self.layout,
            "status": self.status,
            "totals": self.totals(),
            "files": [asdict(f) for f in self.files],
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: files dealt with of all files, rows read so far, the file at hand."""

    done: int
    files: int
    rows: int
    name: str


def ingest(
    workspace: Workspace,
    layout: str | Layout,
    paths: Iterable[Path | str],
    *,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
    replace: bool = False,
    settings: IngestSettings | None = None,
) -> IngestReport:
    """Load files of one layout into a workspace.

    layout : a layout's name, or a module that is one (`core.batch.Layout`).
    paths : files, folders, patterns or zip archives.
    options : of the layout; ``accept_units=yes`` confirms a unit that the door suspects.
    replace : an empty cell of a file erases the value that was there.

    A file that was wholly loaded before by the same layout and options is skipped. Rows that would change a locked
    month are set aside (``locked_month``), the others go in; loading the file again after the month was reopened
    takes them in. A file that cannot be read
    is reported as failed, with the reason, and the others go on. Raises UsageError (unknown option), NotFound
    (no such path), StoreError (lake or registry).
    """
    reader = layout_named(layout) if isinstance(layout, str) else layout
    chosen = _checked_options(reader, options or {})
    how = settings or IngestSettings()
    named = _named_files(chosen)
    recipe = fingerprint({"layout": reader.LAYOUT.name, "options": chosen | named, "replace": replace})
    report = IngestReport(reader.LAYOUT.name)
    with opened_sources(paths, reader.LAYOUT.extensions) as sources, workspace.lake.writing():
        loads.close_dead_loads(workspace.registry, who=how.who)
        known = {} if how.force else loads.already_loaded(workspace.registry, recipe, [s.sha256 for s in sources])
        arguments = {"options": chosen, "files": named, "replace": replace, "paths": [str(p) for p in paths]}
        job = _Job(workspace, reader, _context(workspace, chosen), recipe, replace, how, report)
        job.accept_units = str(chosen.get(_OPTION_UNITS, "")).lower() in ("yes", "true", "1")
        job.run(sources, known, arguments, progress)
    return report


def close_dead(workspace: Workspace, *, who: str) -> list[str]:
    """Mark loads whose process died as interrupted; their ids. Nothing while another process is loading."""
    try:
        with workspace.lake.writing(patience=0):
            return loads.close_dead_loads(workspace.registry, who=who)
    except StoreError:
        return []


def _checked_options(reader: Layout, options: Mapping[str, Any]) -> dict[str, Any]:
    allowed = (*reader.LAYOUT.options, _OPTION_UNITS)
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise UsageError(
            f"layout {reader.LAYOUT.name} has no option {', '.join(unknown)}.",
            remedy=f"It has: {', '.join(allowed)}.",
        )
    mapping = options.get("mapping")
    if isinstance(mapping, str | Path) and not Path(mapping).is_file():
        raise UsageError(f"mapping file {str(mapping)!r} is not there.", remedy="Check the path.")
    return dict(options)


def _named_files(options: Mapping[str, Any]) -> dict[str, str]:
    """Options that name a file (a mapping), with the hash of its content: an edited mapping reads files again."""
    paths = {n: Path(v) for n, v in options.items() if isinstance(v, str | Path) and str(v)}
    return {n: f"sha256:{sha256_of(path)}" for n, path in paths.items() if path.is_file()}


def _context(workspace: Workspace, options: Mapping[str, Any]) -> ReadContext:
    passed = {k: v for k, v in options.items() if k != _OPTION_UNITS}
    return ReadContext(workspace.station_lookup(), workspace.place_of, passed)


@dataclass(slots=True)
class _Pending:
    """A file that has been read and waits for the next merge."""

    source: Source
    report: FileReport
    rejects: list[Reject] = field(default_factory=list)


@dataclass
class _Job:
    """One load at work: the buffer of rows by data set and the files in it."""

    workspace: Workspace
    reader: Layout
    context: ReadContext
    recipe: str
    replace: bool
    how: IngestSettings
    report: IngestReport
    accept_units: bool = False
    buffer: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    pending: list[_Pending] = field(default_factory=list)
    rows: int = 0
    since: float = field(default_factory=time.monotonic)

    def run(
        self,
        sources: list[Source],
        known: Mapping[str, str],
        arguments: Mapping[str, Any],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        """Read, merge and checkpoint all sources."""
        registry, who = self.workspace.registry, self.how.who
        todo = [s for s in sources if s.sha256 not in known]
        if todo:
            self.report.load_id = loads.begin_load(registry, self.report.layout, arguments, who=who)
        seen: set[str] = set()
        for number, source in enumerate(sources):
            if source.sha256 in known or source.sha256 in seen:
                said = known.get(source.sha256, self.report.load_id)
                self.report.files.append(
                    FileReport(source.name, source.origin, ALREADY, message=f"already loaded by {said}")
                )
            else:
                seen.add(source.sha256)
                self._take(source)
            if progress:
                progress(Progress(number + 1, len(sources), self.report.total("read"), source.name))
        self._merge()
        if todo:
            failed = [f for f in self.report.files if f.status == loads.FAILED]
            self.report.status = loads.FAILED if len(failed) == len(todo) else loads.DONE
            loads.finish_load(registry, self.report.load_id, self.report.status, self.report.totals(), who=who)
            if not self.how.force:  # who forces settles the rejects that he answers
                _settle_kept_out(self.workspace, self.report.load_id, [s.sha256 for s in todo], who)

    def _take(self, source: Source) -> None:
        entry = _Pending(source, FileReport(source.name, source.origin))
        self.report.files.append(entry.report)
        self.pending.append(entry)
        held: dict[str, list[pl.DataFrame]] = {}
        try:
            for batch in self.reader.read(source.path, self.context):
                entry.report.read += batch.read
                entry.rejects += batch.rejects
                if batch.dataset == "stations":
                    self._register(batch, entry)
                else:
                    held.setdefault(batch.dataset, []).append(_frame(batch))
            judged = {name: self._judge(name, frames, entry) for name, frames in held.items()}
            _insist_on_account(entry, sum(f.height for f in judged.values()))
        except _UNREADABLE as cause:
            _fail(entry, cause)
            return
        number = len(self.pending) - 1
        for name, frame in judged.items():
            if frame.height:
                self.buffer.setdefault(name, []).append(frame.with_columns(pl.lit(number, pl.Int32).alias(SOURCE)))
                self.rows += frame.height
        if self.rows >= self.how.buffer_rows or time.monotonic() - self.since >= self.how.buffer_seconds:
            self._merge()

    def _judge(self, name: str, frames: list[pl.DataFrame], entry: _Pending) -> pl.DataFrame:
        whole = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")
        good, rejects = judge(whole, name, accept_units=self.accept_units)
        entry.rejects += rejects
        return good

    def _register(self, batch: Batch, entry: _Pending) -> None:
        """Stations go to the registry; a faulty row is set aside and the others enter."""
        good = []
        for row in batch.rows.to_pylist():
            line = row.pop(SOURCE_LINE, None)
            if faults := station_faults(row):
                shown = str(row.get("station"))
                entry.rejects.append(
                    Reject("out_of_contract", "station", shown, line, str(row), "; ".join(faults))
                )
            else:
                good.append(row)
        counts = register_stations(self.workspace.registry, good, who=self.how.who, replace=self.replace)
        entry.report.inserted += counts["inserted"]
        entry.report.superseded += counts["changed"]
        entry.report.unchanged += counts["unchanged"]

    def _merge(self) -> None:
        """Merge the buffer into the lake, all its data sets at once, then checkpoint its files."""
        with self.workspace.lake.together():
            self._pour()
        for entry in self.pending:
            _settle(entry)
        if self.pending:
            records = [_file_record(e, self.recipe) for e in self.pending]
            loads.checkpoint(self.workspace.registry, self.report.load_id, records)
        self.buffer, self.pending, self.rows, self.since = {}, [], 0, time.monotonic()

    def _pour(self) -> None:
        """Merge each data set of the buffer."""
        for name, frames in self.buffer.items():
            whole = pl.concat(frames, how="diagonal_relaxed")
            table, kept_out = locked.split(self.workspace, name, whole, replace=self.replace)
            aside = locked.rejects(self.workspace, name, kept_out)
            for number, reject in zip(kept_out[SOURCE], aside, strict=True):
                self.pending[number].rejects.append(reject)
            written = self.workspace.lake.upsert(name, table.to_arrow(), self.report.load_id, replace=self.replace)
            for number, outcomes in written.by_source.items():
                file = self.pending[number].report
                for outcome, count in outcomes.items():
                    setattr(file, outcome, getattr(file, outcome) + count)


def _settle_kept_out(workspace: Workspace, load_id: str, hashes: list[str], who: str) -> None:
    """Rows that earlier loads of these files kept out of locked months: they are in now, or kept out again."""
    found = loads.kept_out(workspace.registry, hashes)
    again = {(row["sha256"], row["value"]) for row in found if row["load_id"] == load_id}
    before = [row for row in found if row["load_id"] != load_id]
    for status in (loads.REPAIRED, loads.REPEATED):
        ids = [
            row["id"] for row in before
            if ((row["sha256"], row["value"]) in again) is (status == loads.REPEATED)
        ]  # fmt: skip
        loads.settle_rejects(workspace.registry, ids, status, reason=f"loaded again by {load_id}", who=who)


def _frame(batch: Batch) -> pl.DataFrame:
    return pl.DataFrame(batch.rows)


def _fail(entry: _Pending, cause: BaseException) -> None:
    """The file as a whole is set aside: nothing of it is in the lake, and its name, hash and reason are kept."""
    report = entry.report
    report.status, report.read, report.message = loads.FAILED, 0, str(cause)
    remedy = cause.remedy if isinstance(cause, QinglanError) else ""
    detail = f"{type(cause).__name__}: {cause}" if not isinstance(cause, QinglanError) else cause.message
    entry.rejects = [Reject("unreadable", "file", report.name, detail=f"{detail} {remedy}".strip(), rows=0)]


def _file_record(entry: _Pending, recipe: str) -> loads.FileRecord:
    report, source = entry.report, entry.source
    counts = {n: getattr(report, n) for n in ("read", *OUTCOMES, "rejected", "cells", "by_code")}
    return loads.FileRecord(
        source.origin, source.name, source.sha256, source.size, recipe, report.status, counts,
        report.message, entry.rejects,
    )  # fmt: skip


def _insist_on_account(entry: _Pending, good: int) -> None:
    """Every row that was read goes in or is set aside; a reader that loses one is not believed at all."""
    aside = sum(r.rows for r in entry.rejects)
    if entry.report.read != entry.report.accepted + good + aside:
        raise LayoutError(
            f"{entry.report.read} rows read, but {entry.report.accepted + good} good and {aside} set aside.",
            remedy="This is a fault of the layout's reader: report it; nothing of the file was loaded.",
        )


def _settle(entry: _Pending) -> None:
    """Count what was set aside."""
    report = entry.report
    report.rejected = sum(r.rows for r in entry.rejects)
    report.cells = sum(1 for r in entry.rejects if r.rows == 0 and r.code != "unreadable")
    report.by_code = dict(Counter(r.code for r in entry.rejects))


def ingest_auto(
    workspace: Workspace,
    paths: Iterable[Path | str],
    *,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
    replace: bool = False,
    settings: IngestSettings | None = None,
) -> list[IngestReport]:
    """Load files of which each tells its own layout: one report for each layout, station registers first.

    options : each goes to the layouts that know it; UsageError for one that none of them knows.

    A file that no layout or more than one recognises is reported as failed and kept among the rejects.
    """
    chosen = dict(options or {})
    groups: dict[str, list[str]] = {}
    odd: list[_Pending] = []
    extensions = sorted({e for layout in layouts().values() for e in layout.LAYOUT.extensions})
    with opened_sources(paths, extensions) as sources:
        for source in sources:
            try:
                groups.setdefault(guess_layout(source.path), []).append(source.origin)
            except LayoutError as cause:
                odd.append(_Pending(source, FileReport(source.name, source.origin)))
                _fail(odd[-1], cause)
                _settle(odd[-1])
    known = {name: (*layout_named(name).LAYOUT.options, _OPTION_UNITS) for name in groups}
    if lost := [n for n in chosen if groups and not any(n in options for options in known.values())]:
        raise UsageError(
            f"none of the layouts {', '.join(groups)} has an option {', '.join(lost)}.",
            remedy="Name the layout: qinglan ingest LAYOUT PATH.",
        )
    reports = []
    for name in sorted(groups, key=lambda n: (n != "station_register", n)):
        own = {n: v for n, v in chosen.items() if n in known[name]}
        reports.append(
            ingest(
                workspace, name, groups[name], options=own, progress=progress, replace=replace, settings=settings
            )
        )
    if odd:
        reports.append(_keep_unrecognised(workspace, odd, settings or IngestSettings()))
    return reports


def _keep_unrecognised(workspace: Workspace, entries: list[_Pending], how: IngestSettings) -> IngestReport:
    """Write down files that nobody could read, as a load of their own."""
    report = IngestReport(AUTO, status=loads.FAILED, files=[e.report for e in entries])
    arguments = {"options": {}, "replace": False, "paths": [e.source.origin for e in entries]}
    with workspace.lake.writing():
        report.load_id = loads.begin_load(workspace.registry, AUTO, arguments, who=how.who)
        records = [_file_record(e, recipe=AUTO) for e in entries]
        loads.checkpoint(workspace.registry, report.load_id, records)
        loads.finish_load(workspace.registry, report.load_id, loads.FAILED, report.totals(), who=how.who)
    return report


@dataclass(frozen=True, slots=True)
class RetryReport:
    """repaired : rejects that are gone. still_open : rejects that came again. lost : files that are no longer
    there or have changed. report : of the load that tried."""

    repaired: int
    still_open: int
    lost: tuple[str, ...]
    reports: tuple[IngestReport, ...]


def retry_rejects(
    workspace: Workspace,
    load_id: str,
    *,
    layout: Layout | None = None,
    options: Mapping[str, Any] | None = None,
    who: str = "system",
) -> RetryReport:
    """Read the files of a load that have open rejects once more, after the register or a mapping was corrected.

    options : replace those of the load (a corrected mapping, ``accept_units=yes``).
    layout : the module, when it is not one of :mod:`qinglan.connect`.

    Rejects that do not come again are marked repaired. One that does is kept open, once: the older entry gives
    way to the one of the new load.
    """
    old = loads.load(workspace.registry, load_id)
    open_rejects = loads.rejects(workspace.registry, load_id=load_id)
    wanted = {r["file_id"] for r in open_rejects}
    lost, paths, hashes = [], [], {}
    for file in (f for f in old["files"] if f["id"] in wanted):
        plain, mark, member = str(file["path"]).partition("!")
        now_at = whereabouts(workspace, plain)
        if not now_at.is_file():
            lost.append(file["path"])
            continue
        paths.append(f"{now_at}{mark}{member}")
        hashes[file["path"]] = file["id"]
    if not paths:
        return RetryReport(0, len(open_rejects), tuple(lost), ())
    how = IngestSettings(force=True, who=who)
    chosen = old["arguments"]["options"] if options is None else options
    if layout is None and old["layout"] == AUTO:
        reports = ingest_auto(workspace, paths, options=chosen, settings=how)
    else:
        kept = old["arguments"]["replace"]
        reports = [ingest(workspace, layout or old["layout"], paths, options=chosen, replace=kept, settings=how)]
    made = [r.load_id for r in reports]
    again = {_mark(r) for load in made for r in loads.rejects(workspace.registry, load_id=load)}
    tried = [r for r in open_rejects if r["file_id"] in hashes.values()]
    gone = [r["id"] for r in tried if _mark(r) not in again]
    returned = [r["id"] for r in tried if _mark(r) in again]
    why = f"retried by load {', '.join(made)}"
    repaired = loads.settle_rejects(workspace.registry, gone, loads.REPAIRED, reason=why, who=who)
    loads.settle_rejects(workspace.registry, returned, loads.REPEATED, reason=why, who=who)
    still = len(open_rejects) - len(tried) + len(again)
    return RetryReport(repaired, still, tuple(lost), tuple(reports))


def open_rejects(workspace: Workspace) -> list[dict[str, Any]]:
    """Rejects that nobody has settled yet, oldest first."""
    return loads.rejects(workspace.registry)


def _mark(reject: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(reject[name] for name in ("source", "line", "code", "field", "value"))
