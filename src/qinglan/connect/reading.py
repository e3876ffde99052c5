"""From a file's bytes to a frame of text cells, with the way back from any row to its line and raw text.

Encodings met in the field are UTF-8 with and without mark, GBK / GB 18030 and UTF-16 (Excel "Unicode text").
A file that is none of these is read as UTF-8 and the lines with broken bytes are set aside. Plain files are split
by Polars; quoted or ragged ones are walked once by the standard library so that each record knows its lines.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from qinglan.core.batch import Reject
from qinglan.core.errors import LayoutError

#: Column that carries a record's number (0 is the first record after the header) through every step.
RECORD = "_record"

#: What sources write for "no value". A layout may add its own; nothing numeric is ever assumed to be missing.
MISSING_TOKENS = ("", "NaN", "nan", "NA", "N/A", "n/a", "NULL", "null", "None", "-", "--", "—", "－", "_", "/")

_SEPARATORS = (",", ";", "\t", "|")
_BROKEN = "\ufffd"
_PREVIEW_BYTES = 65_536


@dataclass(frozen=True)
class Text:
    """A decoded file: `body` has no byte-order mark and only ``\\n`` as line end."""

    path: Path
    body: str
    encoding: str

    @property
    def damaged(self) -> bool:
        """Whether some bytes could not be decoded (they stand as U+FFFD)."""
        return self.encoding == "damaged"


@dataclass
class Records:
    """A file as text cells.

    frame : columns of strings as the header names them (null: nothing or a sign of missing), and `RECORD`
    rejects : records that could not become rows (wrong number of cells, broken bytes)
    first_line : line of the first record; spans : lines of each record when they are not one each
    """

    path: Path
    frame: pl.DataFrame
    header: tuple[str, ...]
    separator: str
    encoding: str
    body: str
    first_line: int = 2
    spans: Sequence[tuple[int, int]] | None = None
    rejects: list[Reject] = field(default_factory=list)

    @cached_property
    def _lines(self) -> list[str]:
        return self.body.split("\n")

    def line(self, record: int) -> int:
        """1-based line on which a record starts."""
        return self.spans[record][0] if self.spans else record + self.first_line

    def raw(self, record: int) -> str:
        """Text of a record as the file has it."""
        first, last = self.spans[record] if self.spans else (self.line(record),) * 2
        return "\n".join(self._lines[first - 1 : last])


def read_bytes(path: Path) -> bytes:
    """Content of a file, unpacked when it is gzip; LayoutError when it is absent, empty or a broken archive."""
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise LayoutError(f"{path} cannot be opened: {cause.strerror}.", remedy="Check the path.") from cause
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as cause:
            raise LayoutError(f"{path.name} is a broken gzip file: {cause}.", remedy="Fetch it again.") from cause
    if not content.strip():
        raise LayoutError(f"{path.name} is empty.", remedy="Fetch it again, or leave it out.")
    return content


def decode(content: bytes) -> tuple[str, str]:
    """Text and the encoding it was found to be in; ``damaged`` when no encoding fits all of it.

    >>> decode("西宁".encode("gb18030"))
    ('西宁', 'gb18030')
    >>> decode(b"\\xef\\xbb\\xbfdate")
    ('date', 'utf-8-sig')
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        attempts = ["utf-16"]
    elif content[:3] == b"\xef\xbb\xbf":
        attempts = ["utf-8-sig"]
    else:
        attempts = ["utf-8", "gb18030"]
    for encoding in attempts:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return content.decode(attempts[0], errors="replace"), "damaged"


def read_text(path: Path) -> Text:
    """Decoded text of a file with its line ends made one; LayoutError when it is binary."""
    content = read_bytes(path)
    body, encoding = decode(content)
    if "\x00" in body:
        raise LayoutError(f"{path.name} is not a text file (it holds NUL bytes).", remedy="Export it as CSV.")
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    return Text(path, body, encoding)


def head(path: Path, lines: int = 5) -> list[str]:
    """First lines of a file for sniffing; an empty list when it cannot be read. Never raises."""
    try:
        with path.open("rb") as handle:
            content = handle.read(_PREVIEW_BYTES)
        if content[:2] == b"\x1f\x8b":
            content = zlib.decompressobj(31).decompress(content, _PREVIEW_BYTES)
    except (OSError, zlib.error):
        return []
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        body = content.decode("utf-16", errors="ignore")
    else:
        body, _ = decode(content[: content.rfind(b"\n") + 1] or content)
    return body.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:lines]


def columns_of(path: Path) -> tuple[str, ...]:
    """Header cells of a delimited file, for sniffing."""
    first = next((line for line in head(path, 3) if line.strip()), "")
    return split_header(first)[0]


def split_header(line: str, wanted: Iterable[str] = ()) -> tuple[tuple[str, ...], str]:
    """Header cells and the separator that yields most of the wanted columns (then most columns).

    >>> split_header("date;hour;type", ["date"])
    (('date', 'hour', 'type'), ';')
    """
    names = set(wanted)

    def cells(separator: str) -> tuple[str, ...]:
        row = next(csv.reader([line], delimiter=separator), [])
        return tuple(c.strip().lstrip("\ufeff").strip() for c in row)

    best = max(_SEPARATORS, key=lambda s: (len(names & set(cells(s))), len(cells(s)), s == ","))
    return cells(best), best


@dataclass(frozen=True, slots=True)
class Form:
    """How a delimited file is laid out when it is not plain: all of it may be left to recognition.

    skip : lines above the header; header_lines : lines that make up the header (merged cells above sub-titles)
    names : column names of a file whose first line may already be data
    """

    skip: int = 0
    header_lines: int = 1
    separator: str = ""
    missing: Sequence[str] = MISSING_TOKENS
    names: Sequence[str] | None = None


def read_records(path: Path, required: Sequence[str], *, layout: str, form: Form | None = None) -> Records:
    """A delimited file as text cells.

    required : columns the layout cannot do without; LayoutError names those that lack

    Wrong separators are recognised by the header; broken lines are set aside, never fatal.
    """
    form = form or Form()
    text = read_text(path)
    body = text.body
    lines = body.split("\n", form.skip + form.header_lines)
    top = lines[form.skip : form.skip + form.header_lines]
    header, separator = merged_header(top, required, form.separator)
    above = form.skip + len(top)
    headless = form.names is not None and len(header) == len(form.names) and not set(required) & set(header)
    if headless and form.names:
        header, above = tuple(form.names), 0
    insist(path, required, header, layout)
    unique = mark_repeats(header)
    records = Records(path, pl.DataFrame(), unique, separator, text.encoding, body, above + 1)
    data = (lines[-1] if len(lines) > above > 0 else "" if above else body).rstrip("\n")
    height = data.count("\n") + 1 if data else 0
    plain = '"' not in data and "\n\n" not in data and not text.damaged
    if plain and data.count(separator) == (len(unique) - 1) * height:
        try:
            records.frame = _by_polars(data, unique, separator, form.missing)
            return records
        except pl.exceptions.PolarsError:  # as many cells as expected in all, but not in each line
            pass
    _by_record(records, data, above, form.missing)
    return records


def insist(path: Path, required: Sequence[str], header: Sequence[str], layout: str) -> None:
    """LayoutError that names the required columns a header lacks."""
    lacking = [c for c in required if c not in header]
    if lacking:
        found = ", ".join(header[:12]) + (" ..." if len(header) > 12 else "")
        raise LayoutError(
            f"{path.name} is not of layout {layout}: it lacks the column(s) {', '.join(lacking)}.",
            remedy=f"Its header has: {found}. Choose another layout, or map the columns with layout table.",
        )


def merged_header(
    lines: Sequence[str], wanted: Iterable[str] = (), separator: str = ""
) -> tuple[tuple[str, ...], str]:
    """Header names out of one or more lines; a title above several columns stands for each of them.

    >>> merged_header(["time,PM10,,O3", ",1h,24h,1h"])
    (('time', 'PM10 1h', 'PM10 24h', 'O3 1h'), ',')
    """
    if len(lines) == 1 and not separator:
        return split_header(lines[0], wanted)
    separator = separator or split_header(lines[-1], wanted)[1]
    return join_titles([next(csv.reader([line], delimiter=separator), []) for line in lines]), separator


def join_titles(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Names of columns whose titles stand in several rows, the upper ones merged over several columns."""
    width = max((len(row) for row in rows), default=0)
    spread = []
    for n, row in enumerate(rows):
        cells = [c.strip().lstrip("\ufeff").strip() for c in row] + [""] * (width - len(row))
        if n < len(rows) - 1:
            for i in range(1, width):
                cells[i] = cells[i] or cells[i - 1]
        spread.append(cells)
    return tuple(" ".join(dict.fromkeys(c for c in column if c)) for column in zip(*spread, strict=True))


def mark_repeats(header: Sequence[str]) -> tuple[str, ...]:
    """Header without repeats: the second `x` becomes `x\\x1f2`, which no file can hold."""
    seen: Counter[str] = Counter()
    result = []
    for name in header:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name}\x1f{seen[name]}")
    return tuple(result)


def original(column: str) -> str:
    """A column's name as the header wrote it (undoes the marking of repeats)."""
    return column.split("\x1f", 1)[0]


def _by_polars(data: str, names: Sequence[str], separator: str, missing: Sequence[str]) -> pl.DataFrame:
    if not data:
        return pl.DataFrame({**{n: [] for n in names}, RECORD: []}, schema=_schema(names))
    frame = pl.read_csv(
        io.BytesIO(data.encode()),
        separator=separator,
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        null_values=list(missing),
        quote_char=None,
    )
    return frame.with_row_index(RECORD).select(*names, RECORD)


def _schema(names: Sequence[str]) -> dict[str, pl.DataType | type[pl.DataType]]:
    return {**dict.fromkeys(names, pl.String), RECORD: pl.UInt32}


def _by_record(records: Records, data: str, above: int, missing: Sequence[str]) -> None:
    """Walk a quoted or ragged file record by record, noting lines; odd records become rejects."""
    reader = csv.reader(io.StringIO(data), delimiter=records.separator)
    width, tokens = len(records.header), set(missing)
    spans: list[tuple[int, int]] = []
    good: list[list[str | None]] = []
    kept: list[int] = []
    before = above
    for row in _safe(reader):
        first, last = before + 1, above + reader.line_num
        before = last
        if not any(cell.strip() for cell in row):
            continue
        number = len(spans)
        spans.append((first, last))
        if len(row) != width:
            detail = f"{len(row)} cells, {width} expected"
            records.rejects.append(_whole(records, first, last, "bad_row_width", detail))
        elif any(_BROKEN in cell for cell in row):
            records.rejects.append(_whole(records, first, last, "encoding", ""))
        else:
            good.append([None if cell in tokens else cell for cell in row])
            kept.append(number)
    records.spans = spans
    frame = pl.DataFrame(good, schema=dict.fromkeys(records.header, pl.String), orient="row")
    records.frame = frame.with_columns(pl.Series(RECORD, kept, dtype=pl.UInt32))


def _safe(reader: Iterable[list[str]]) -> Iterable[list[str]]:
    """Rows of a csv reader; a field beyond the reader's limit ends the walk as one odd row."""
    try:
        yield from reader
    except csv.Error:
        yield ["unreadable"]


def _whole(records: Records, first: int, last: int, code: str, detail: str) -> Reject:
    raw = "\n".join(records._lines[first - 1 : last])
    return Reject(code, line=first, raw=raw, detail=detail)
