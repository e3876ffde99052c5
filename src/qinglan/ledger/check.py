"""Rows of a workbook against their ledger: typed values, and everything that is wrong, cell by cell.

A row with an error is set aside whole; it is never half taken in. Warnings and findings are looked for only in
rows that are taken. What was read is always what was taken and what was set aside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import polars as pl

from qinglan.ledger.cells import formulas, read_column, trimmed
from qinglan.ledger.declare import Check, Column, Ledger
from qinglan.ledger.expressions import expression
from qinglan.ledger.faults import FAULT_SCHEMA, fault_rows
from qinglan.ledger.geometry import CHINA, good_wkt, outside
from qinglan.plan.places import Places

#: What stands between the parts of an identity, and what stands for it inside a part.
BETWEEN, _INSIDE = "|", "¦"
_FORMS = {"date": "2024-06-28", "month": "2024-06", "year": "2024"}
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Scope:
    """What somebody may write: rows of these places and all inside them, of these enterprises (None: of all)."""

    places: tuple[str, ...] | None = None
    enterprises: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that may be taken in, and what is wrong with the file.

    rows : typed by the declaration, with `_line` and `_key`; faults : :data:`qinglan.ledger.faults.FAULT_SCHEMA`
    rejected : the raw cells of the rows set aside; read = taken + aside; columns : those that the file has
    """

    rows: pl.DataFrame
    faults: pl.DataFrame
    rejected: pl.DataFrame
    read: int
    taken: int
    aside: int
    columns: tuple[str, ...]


def check_rows(
    ledger: Ledger,
    raw: pl.DataFrame,
    *,
    today: date,
    places: Places,
    key_region: Collection[str] = (),
    known: Mapping[str, Collection[str]] | None = None,
    existing: pl.DataFrame | None = None,
    scope: Scope | None = None,
    outlines: Mapping[str, Any] | None = None,
) -> Checked:
    """Hold text cells against a declaration.

    raw : text cells, `_line` and the columns of the file; a column it lacks keeps what `existing` rows say there
    key_region : places of the plan's key region; known : values by ``ledger.column`` (a reference to what is not
    in it is not judged); existing : typed rows with `_key`; scope : who writes (None: everything)
    outlines : GeoJSON geometry by place code, for points outside their place
    """
    told = [c for c in raw.columns if not c.startswith("_") and raw.schema[c] != pl.String]
    work = _Work(
        ledger, trimmed(raw.with_columns(pl.col(told).cast(pl.String)) if told else raw), places, existing
    )
    work.read()
    work.complete()
    work.add_rule_columns(today, frozenset(key_region))
    work.required()
    work.references(known or {})
    work.duplicates()
    work.moves()
    if scope is not None:
        work.within(scope)
    work.rules([check for check in ledger.checks if check.level == "error"])
    good = ~work.frame["_line"].is_in(work.lines_aside().implode())
    work.rules([check for check in ledger.checks if check.level != "error"], good)
    if outlines and ledger.place and {"lon", "lat"} <= set(ledger.geometry):
        work.outside(outlines, good)
    return work.result(good)


@dataclass
class _Work:
    """One file on its way through the checks: `raw` cells, the typed `frame`, the `faults` found so far."""

    ledger: Ledger
    raw: pl.DataFrame
    places: Places
    existing: pl.DataFrame | None
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    faults: list[pl.DataFrame] = field(default_factory=list)
    bad: dict[str, pl.Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells = [c for c in self.raw.columns if not c.startswith("_")]
        if cells and self.raw.height:
            self.raw = self.raw.filter(~pl.all_horizontal(pl.col(cells).is_null()))
        self.present = tuple(c.name for c in self.ledger.columns if c.name in self.raw.columns)
        unknown = [c for c in cells if c not in self.ledger.schema]
        missing = [c for c in self.ledger.columns if c.required is True and c.name not in self.present]
        head = pl.Series([0])
        for name in unknown:
            self.faults.append(fault_rows("unknown_column", head, name, pl.Series([name])))
        for column in missing:
            shown = pl.Series([f"{column.words['zh']} {column.words['en']}"])
            self.faults.append(fault_rows("missing_column", head, column.name, shown))

    @property
    def lines(self) -> pl.Series:
        return self.raw["_line"]

    def fault(self, code: str, column: str, mask: pl.Series, **facts: Any) -> None:
        """Note a fault of a column's cells where the mask is true; facts that are series follow the rows."""
        if not mask.any():
            return
        raw = self.raw[column] if column in self.raw.columns else self.lines.cast(pl.String).clear(len(mask))
        told: dict[str, Any] = {k: v.filter(mask) if isinstance(v, pl.Series) else v for k, v in facts.items()}
        self.faults.append(fault_rows(code, self.lines.filter(mask), column, raw.filter(mask), **told))

    def mark(self, column: str, mask: pl.Series) -> None:
        self.bad[column] = self.bad[column] | mask if column in self.bad else mask

    def read(self) -> None:
        """Every cell into its type."""
        typed: dict[str, pl.Series] = {"_line": self.lines.cast(pl.Int64)}
        formulated = formulas(self.raw, self.present)
        for column in self.ledger.columns:
            empty = column.name not in self.present
            if empty or self.raw[column.name].null_count() == self.raw.height:
                typed[column.name] = pl.Series([None] * self.raw.height, dtype=column.dtype)
                continue
            text = self.raw[column.name]
            if column.name in formulated:
                failed = formulated[column.name]
                self.fault("formula_error", column.name, failed)
                self.mark(column.name, failed)
                text = _where(~failed, text)
            typed[column.name] = self.read_column(column, text)
        self.frame = pl.DataFrame(typed)

    def read_column(self, column: Column, text: pl.Series) -> pl.Series:
        """One column, its faults noted and its bad cells empty."""
        limited = _limited(column)
        read = read_column(limited, text, self.places)
        facts = _facts(limited)
        for code, mask in read.bad.items():
            if not mask.any():
                continue
            self.mark(column.name, mask)
            if read.why:
                why = pl.DataFrame(
                    {"text": text.str.normalize("NFKC").str.to_uppercase().str.replace_all(r"\s", "")}
                )
                told = pl.DataFrame([{"text": k, **v} for k, v in read.why.items()])
                joined = why.join(told, on="text", how="left", maintain_order="left")
                self.fault(code, column.name, mask, why_zh=joined["why_zh"], why_en=joined["why_en"])
            else:
                self.fault(code, column.name, mask, **facts)
        if read.converted is not None:
            became = read.values.round_sig_figs(12).cast(pl.String).str.replace(r"\.0$", "").fill_null("")
            self.fault(
                "converted", column.name, read.converted & read.values.is_not_null(), became=became, **facts
            )
        values = read.values.cast(column.dtype)
        shaped = self.shaped(column, values)
        return values if shaped is None else _where(~shaped, values)

    def shaped(self, column: Column, values: pl.Series) -> pl.Series | None:
        """Which values do not have the form that the column asks for; noted."""
        if column.pattern:
            wrong, code = ~values.str.contains(column.pattern).fill_null(True), "bad_pattern"
        elif column.type == "wkt":
            kind = self.ledger.geometry.get("kind", "") if self.ledger.geometry.get("wkt") == column.name else ""
            texts = values.drop_nulls().unique().to_list()
            good = [t for t, ok in zip(texts, good_wkt(texts, kind), strict=True) if ok] if texts else []
            wrong, code = ~values.is_in(good).fill_null(True), "bad_geometry"
        else:
            return None
        self.fault(code, column.name, wrong, pattern=column.pattern)
        self.mark(column.name, wrong)
        return wrong

    def complete(self) -> None:
        """The key, what absent columns say in existing rows, and the first state of new ones."""
        self.frame = self.frame.with_columns(key_of(self.ledger).alias("_key"))
        if self.existing is not None and self.existing.height:
            absent = [c.name for c in self.ledger.columns if c.name not in self.present]
            absent = [name for name in absent if name in self.existing.columns]
            before = self.existing.select("_key", pl.lit(True).alias("_there"), *absent).unique("_key", keep="any")
            joined = self.frame.drop(absent).join(before, on="_key", how="left", maintain_order="left")
            self.frame = joined.select(*self.frame.columns, pl.col("_there").fill_null(False))
        else:
            self.frame = self.frame.with_columns(pl.lit(False).alias("_there"))
        state, states = self.ledger.state, self.ledger.states
        if states and self.ledger.column(state).required is not True:
            blank = self.frame[state].is_null()
            if state in self.bad:
                blank &= ~self.bad[state]
            usual = self.before(state).fill_null(states.initial)
            self.frame = self.frame.with_columns(pl.when(blank).then(usual).otherwise(pl.col(state)).alias(state))

    def before(self, column: str) -> pl.Series:
        """What a column of the rows says in the registry; null for new rows."""
        if self.existing is None or not self.existing.height or column not in self.existing.columns:
            return pl.Series([None] * self.frame.height, dtype=self.ledger.schema[column])
        told = self.existing.select("_key", pl.col(column).alias("_before")).unique("_key", keep="any")
        return self.frame.select("_key").join(told, on="_key", how="left", maintain_order="left")["_before"]

    def add_rule_columns(self, today: date, key_region: frozenset[str]) -> None:
        self.frame = with_rule_columns(self.ledger, self.frame, today, self.places, key_region)

    def required(self) -> None:
        """Cells that are empty and must not be; a cell that was bad is not told twice."""
        for column in self.ledger.columns:
            if column.required is False:
                continue
            empty = self.frame[column.name].is_null()
            if column.name in self.bad:
                empty &= ~self.bad[column.name]
            if empty.any() and column.required is not True:
                empty &= _true(self.frame, column.required)
            self.fault("missing", column.name, empty, column_zh=column.words["zh"], column_en=column.words["en"])

    def references(self, known: Mapping[str, Collection[str]]) -> None:
        """Values that must stand in another ledger, or in another row of this one."""
        for column in self.ledger.columns:
            ledger, _, target = column.refers.partition(".")
            if not column.refers or (column.refers not in known and ledger != self.ledger.id):
                continue
            values = self.frame[column.name].cast(pl.String)
            there = set(known.get(column.refers, ()))
            if ledger == self.ledger.id:
                there |= set(self.frame[target].cast(pl.String).drop_nulls().to_list())
                if self.existing is not None:
                    there |= set(self.existing[target].cast(pl.String).drop_nulls().to_list())
            absent = values.is_not_null() & ~values.is_in(list(there)).fill_null(False)
            self.fault("unknown_reference", column.name, absent, refers=column.refers)

    def duplicates(self) -> None:
        """Rows whose identity an earlier row of the file has: the first stands."""
        key = self.frame["_key"]
        again = key.is_not_null() & ~key.is_first_distinct()
        if again.any():
            first = pl.col("_line").first().over("_key").cast(pl.String)
            lines = self.frame.select(first).to_series()
            self.fault("duplicate_identity", self.ledger.identity[0], again, line=lines)

    def moves(self) -> None:
        """States that an existing row cannot go to from where it is."""
        state, states = self.ledger.state, self.ledger.states
        if not states:
            return
        both = self.frame.select(self.before(state).alias("_from"), state)
        pairs = both.drop_nulls().unique().rows()
        for start, end in pairs:
            if start == end or end in states.moves.get(start, ()):
                continue
            mask = ((both["_from"] == start) & (both[state] == end)).fill_null(False)
            allowed = [states.words[w] for w in states.moves.get(start, ())] or [{"zh": "无", "en": "nothing"}]
            facts = {f"{part}_{lang}": states.words.get(word, {}).get(lang, word)
                     for part, word in (("from", start), ("to", end)) for lang in ("zh", "en")}  # fmt: skip
            facts |= {
                f"known_{lang}": ("、" if lang == "zh" else ", ").join(w[lang] for w in allowed)
                for lang in ("zh", "en")
            }
            self.fault("illegal_move", state, mask, **facts)

    def within(self, scope: Scope) -> None:
        """Rows of other places and of other enterprises: by what they say and by what they said before."""
        for column, code, allowed in (
            (self.ledger.place, "out_of_scope", self.codes_within(scope.places)),
            (self.ledger.enterprise or self.ledger.source, "not_yours", scope.enterprises),
        ):
            if not column or allowed is None:
                continue
            now = self.frame[column]
            foreign = now.is_not_null() & ~now.is_in(list(allowed))
            earlier = self.before(column)
            foreign |= earlier.is_not_null() & ~earlier.is_in(list(allowed))
            self.fault(code, column, foreign.fill_null(False))

    def codes_within(self, outer: tuple[str, ...] | None) -> list[str] | None:
        """Codes of all places inside some."""
        if outer is None:
            return None
        return [p.place for p in self.places if any(self.places.is_within(p.place, code) for code in outer)]

    def rules(self, checks: list[Check], only: pl.Series | None = None) -> None:
        """Rows that break a rule: `where` is true and `holds` is false."""
        for check in checks:
            broken = broken_by(self.frame, check)
            if only is not None:
                broken &= only
            self.fault(
                "check_failed", check.on, broken, level=check.level, check=check.id,
                message_zh=check.message["zh"], message_en=check.message["en"],
                remedy_zh=check.remedy["zh"], remedy_en=check.remedy["en"],
            )  # fmt: skip

    def outside(self, outlines: Mapping[str, Any], good: pl.Series) -> None:
        """Points that lie outside their row's place."""
        geometry, place = self.ledger.geometry, self.ledger.place
        points = self.frame.select(
            pl.col(geometry["lon"]).alias("lon"),
            pl.col(geometry["lat"]).alias("lat"),
            pl.col(place).alias("place"),
        )
        names = {p.place: f"{p.name} {p.name_en}" for p in self.places}
        shown = pl.select(
            pl.format("{}, {}", points["lon"].cast(pl.String), points["lat"].cast(pl.String))
        ).to_series()
        out = outside(points, outlines) & good
        where = points["place"].replace_strict(names, default="", return_dtype=pl.String)
        if out.any():
            self.faults.append(
                fault_rows(
                    "outside_place",
                    self.lines.filter(out),
                    geometry["lon"],
                    shown.filter(out),
                    place=where.filter(out),
                )
            )

    def lines_aside(self) -> pl.Series:
        """Lines with an error."""
        errors = [f.filter((pl.col("level") == "error") & (pl.col("line") > 0))["line"] for f in self.faults]
        return pl.concat(errors).unique() if errors else pl.Series([], dtype=pl.Int64)

    def result(self, good: pl.Series) -> Checked:
        faults = pl.concat(self.faults) if self.faults else pl.DataFrame(schema=dict(FAULT_SCHEMA))
        order = {c.name: n for n, c in enumerate(self.ledger.columns)}
        place = pl.col("column").replace_strict(order, default=-1, return_dtype=pl.Int64)
        rows = self.frame.filter(good).select("_line", "_key", *self.ledger.schema)
        rejected = self.raw.filter(~good)
        return Checked(
            rows, faults.sort("line", place, maintain_order=True), rejected, self.raw.height, rows.height,
            rejected.height, self.present,
        )  # fmt: skip


def key_of(ledger: Ledger) -> pl.Expr:
    """What identifies a row: its identity's values as text, joined; null where one is missing."""
    parts = [
        pl.col(name).cast(pl.String).str.replace_all(BETWEEN, _INSIDE, literal=True) for name in ledger.identity
    ]
    return pl.concat_str(parts, separator=BETWEEN)


def with_rule_columns(
    ledger: Ledger, rows: pl.DataFrame, today: date | None, places: Places | None, key_region: Collection[str]
) -> pl.DataFrame:
    """Typed rows with the columns that rules may use besides (:data:`qinglan.ledger.expressions.ADDED`)."""
    inside = pl.lit(None, pl.Boolean)
    if ledger.place and places is not None and key_region:
        codes = rows[ledger.place].drop_nulls().unique().to_list()
        within = [c for c in codes if c in places and any(places.is_within(c, region) for region in key_region)]
        inside = pl.col(ledger.place).is_in(within)
    return rows.with_columns(
        pl.lit(today, pl.Date).alias("_today"),
        pl.lit(today.year if today else None, pl.Int64).alias("_year"),
        inside.alias("_key_region"),
    )


def broken_by(rows: pl.DataFrame, check: Check) -> pl.Series:
    """Which rows (with rule columns) break a check."""
    made = rows.select(
        pl.col("_today"), expression(check.where).alias("_where"), expression(check.holds).alias("_holds")
    )
    return (made["_where"].fill_null(False)) & ~made["_holds"].fill_null(True)


def _true(frame: pl.DataFrame, rule: str | bool) -> pl.Series:
    """Where a rule is true; missing is not."""
    made = frame.select(pl.col("_line"), expression(str(rule)).alias("_true"))
    return made["_true"].fill_null(False)


def _where(mask: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(mask).then(values)).to_series().alias(values.name)


def _limited(column: Column) -> Column:
    """A column with the limits of its type where it has none of its own."""
    if column.type not in CHINA or (column.min is not None and column.max is not None):
        return column
    low, high = CHINA[column.type]
    return replace(
        column, min=low if column.min is None else column.min, max=high if column.max is None else column.max
    )


def _facts(column: Column) -> dict[str, str]:
    """What the words of a column's faults need."""
    unit = "" if column.unit in ("", "1") else column.unit
    ends = ["−∞" if column.min is None else f"{column.min:g}", "∞" if column.max is None else f"{column.max:g}"]
    codes = [code.words for code in column.codes.values()]
    return {
        "unit": unit or "无量纲 dimensionless" if column.type == "number" else unit or "—",
        "range": f"{ends[0]}–{ends[1]}{' ' + unit if unit else ''}",
        "form": _FORMS.get(column.type, ""),
        "level_zh": {"county": "（县区）", "prefecture": "（市州）", "province": "（省）"}.get(column.level, ""),
        "level_en": f" of a {column.level}" if column.level else "",
        "known_zh": "、".join(w["zh"] for w in codes[:_LISTED]) + ("……" if len(codes) > _LISTED else ""),
        "known_en": ", ".join(w["en"] for w in codes[:_LISTED]) + (" ..." if len(codes) > _LISTED else ""),
    }
