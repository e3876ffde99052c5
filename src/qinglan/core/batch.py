"""What a connector hands over, and the closed vocabulary of what can be wrong with a row.

A layout is a module of :mod:`qinglan.connect` that offers::

    LAYOUT: LayoutInfo
    def sniff(path: Path) -> bool                                   # cheap: looks at a name and a few lines
    def read(path: Path, context: ReadContext) -> Iterator[Batch]   # never raises for a bad row

`read` hands over key and value columns only (`Dataset.handed`): `day`, `hour` and `load_id` are written at
the door. `time` is already the UTC end of the hour (`core.clock`). An item that the source lacks may be
left out; an optional column `source_line` tells the line a row came from. A file that cannot be read at all
raises `LayoutError`; anything less becomes a `Reject`.

Accounting: `Batch.read` rows were met; each is in `rows` or counted by one reject's `rows`. A reject of a
single cell (the row survives with that cell empty) has ``rows=0``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from qinglan.core.clock import OFFICIAL, TimeConvention
from qinglan.core.errors import UnknownName


@dataclass(frozen=True, slots=True)
class RejectCode:
    """One thing that can be wrong: what it means and what to do, in both languages."""

    code: str
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


_CODES = (
    RejectCode(
        "bad_number",
        "不是数字",
        "is not a number",
        "更正源文件中的该值，或在映射文件中声明它表示缺测。",
        "Correct the value in the source, or declare it a sign of missing in the mapping.",
    ),
    RejectCode(
        "bad_time",
        "无法识别的日期或时刻",
        "is not a date or hour that can be read",
        "更正该日期时间，或在布局选项中声明其格式和时区。",
        "Correct it, or declare its format and zone in the layout's options.",
    ),
    RejectCode(
        "unknown_station",
        "站点未登记",
        "is not a registered station",
        "登记该站点或为其添加别名，然后重试这些行。",
        "Register the station (or give it this alias), then retry the rejected rows.",
    ),
    RejectCode(
        "ambiguous_station",
        "有多个站点使用该名称",
        "names more than one registered station",
        "在源文件中改用站点编码，或给出所属城市。",
        "Use the station code in the source, or give the city.",
    ),
    RejectCode(
        "unknown_place",
        "地区未登记",
        "is not a known place",
        "添加该地区或其别名，然后重试这些行。",
        "Add the place (or this alias), then retry the rejected rows.",
    ),
    RejectCode(
        "unknown_item",
        "未知项目",
        "is not a known item",
        "在映射文件中说明该列是什么，或忽略它。",
        "Say in the mapping what the column is, or leave it.",
    ),
    RejectCode(
        "duplicate_identical",
        "与同一文件中先前的行完全相同",
        "repeats an earlier row of the file exactly",
        "无需处理：已保留一份。",
        "Nothing to do: one copy was kept.",
    ),
    RejectCode(
        "duplicate_conflict",
        "与同一文件中先前的行键相同而值不同",
        "has the key of an earlier row of the file but other values",
        "确认哪一行正确并更正源文件；暂时保留先出现的一行。",
        "Find out which is right and correct the source; the first one was kept for now.",
    ),
    RejectCode(
        "out_of_contract",
        "超出数据契约允许的范围",
        "lies outside the data contract",
        "核对数值和单位；更正后重新导入。",
        "Check the value and its unit; load again when corrected.",
    ),
    RejectCode(
        "zero_for_missing",
        "以 0 表示缺测（布局声明），按缺测处理",
        "is a zero that this layout writes for missing; taken as missing",
        "无需处理；若确为实测值，请由审核人另行录入。",
        "Nothing to do; a true zero has to be entered by a reviewer.",
    ),
    RejectCode(
        "stale_row",
        "日期远离本文件其余各行，疑为失效站点的旧数据",
        "is dated far from the rest of its file, as a dead station's row",
        "核对日期；确属本期数据的，更正后重新导入。",
        "Check the date; correct it and load again if the row belongs here.",
    ),
    RejectCode(
        "frozen_double",
        "与同一地点另一名称的序列重复且数值停滞",
        "repeats another name of the same site with values that stand still",
        "核对该名称是否已停用；仍有效的，登记为单独站点。",
        "Check whether the name is out of use; register it on its own if not.",
    ),
    RejectCode(
        "provider_flag",
        "数据提供方已标记或数据完整率不足",
        "was flagged by its provider or is too incomplete",
        "在布局选项中声明仍要采用，或保持搁置。",
        "Declare in the layout's options that it shall be taken, or leave it aside.",
    ),
    RejectCode(
        "wrong_unit_suspected",
        "整批数值的量级与声明的单位不符",
        "is of the wrong size for the declared unit",
        "核对单位：在选项中声明真实单位，或以 accept_units=yes 确认无误。",
        "Check the unit: declare the true one in the options, or confirm with accept_units=yes.",
    ),
    RejectCode(
        "bad_row_width",
        "列数与表头不符",
        "has not as many cells as the header",
        "更正该行的分隔符或引号。",
        "Mend the separators or quotes of that line.",
    ),
    RejectCode(
        "encoding",
        "含有无法解码的字节",
        "holds bytes that cannot be decoded",
        "以 UTF-8 或 GB 18030 另存。",
        "Save the file again as UTF-8 or GB 18030.",
    ),
    RejectCode(
        "missing_column",
        "缺少必需的列",
        "lacks a column it must have",
        "核对布局是否选对，或在映射文件中指定该列。",
        "Check that this is the right layout, or name the column in the mapping.",
    ),
    RejectCode(
        "locked_month",
        "属于已锁定月份且与现有数据不同，未入库",
        "would change a month that is locked",
        "由有权者说明理由重开该月，再重新读取这些行或重新装入该文件。",
        "Have the month reopened with a reason, then read these rows again or load the file again.",
    ),
    RejectCode(
        "unreadable",
        "文件无法读取",
        "cannot be read",
        "核对文件是否完整、布局是否选对。",
        "Check that the file is whole and that this is its layout.",
    ),
)

#: The closed vocabulary of rejects, by code.
REJECT_CODES: Mapping[str, RejectCode] = {c.code: c for c in _CODES}


@dataclass(frozen=True, slots=True)
class Reject:
    """Something set aside, with the text it had.

    rows : int
        Rows of the data set that it keeps out: 0 for a single cell, more when one mark (a whole unknown
        station column) stands for many.
    detail : str
        What the vocabulary cannot know (the limit that was broken, the names that were near).
    """

    code: str
    field: str = ""
    value: str = ""
    line: int | None = None
    raw: str = ""
    detail: str = ""
    rows: int = 1

    def __post_init__(self) -> None:
        if self.code not in REJECT_CODES:
            raise UnknownName("reject code", self.code, tuple(REJECT_CODES))

    def _sentence(self, text: str) -> str:
        shown = f"{self.field} {self.value!r}".strip() if self.value else self.field
        return f"{shown} {text}{f' ({self.detail})' if self.detail else ''}".strip()

    @property
    def reason(self) -> str:
        """In English.

        >>> Reject("bad_number", "pm10", "1O2", line=7).reason
        "pm10 '1O2' is not a number"
        """
        return self._sentence(REJECT_CODES[self.code].en)

    @property
    def reason_zh(self) -> str:
        """In Chinese."""
        return self._sentence(REJECT_CODES[self.code].zh)

    @property
    def remedy(self) -> str:
        """What to do, in English."""
        return REJECT_CODES[self.code].remedy_en

    @property
    def remedy_zh(self) -> str:
        """What to do, in Chinese."""
        return REJECT_CODES[self.code].remedy_zh


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows for one data set out of one file, with what was set aside on the way.

    rows : pyarrow.Table
        Columns of `Dataset.handed` (values may be left out), optionally `source_line`.
    units : mapping of column to unit
        Units as the source declared them, when they were converted; shown in the load's report.
    """

    dataset: str
    rows: pa.Table
    source: str
    rejects: Sequence[Reject] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Rows met: those handed over and those set aside."""
        return int(self.rows.num_rows) + sum(r.rows for r in self.rejects)


@dataclass(frozen=True, slots=True)
class LayoutInfo:
    """What a layout is and how it writes time and units.

    options : mapping of option name to its meaning (``"zh / en"``); an option that is not listed is refused.
    """

    name: str
    title_zh: str
    title_en: str
    datasets: tuple[str, ...]
    extensions: tuple[str, ...]
    description_zh: str = ""
    description_en: str = ""
    convention: TimeConvention = OFFICIAL
    units: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


class StationLookup(Protocol):
    """Code of the station that a code, name or alias means; None when none does or more than one does.

    `place` (code or name of the city) decides between stations of the same name.
    """

    def __call__(self, name: str, place: str | None = None) -> str | None: ...


class PlaceLookup(Protocol):
    """Division code of the place that a code, name or alias means; None when none does."""

    def __call__(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a connector may know of the world while it reads."""

    station: StationLookup
    place: PlaceLookup
    options: Mapping[str, Any] = field(default_factory=dict)


class Layout(Protocol):
    """A layout module of :mod:`qinglan.connect`."""

    LAYOUT: LayoutInfo

    def sniff(self, path: Path) -> bool:
        """Whether the file looks like this layout; reads at most a few lines and never raises."""

    def read(self, path: Path, context: ReadContext) -> Iterator[Batch]:
        """The file's batches; LayoutError when it is not of this layout at all."""
