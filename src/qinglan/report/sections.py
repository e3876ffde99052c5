"""The sections of a bulletin: sentences and tables. Each takes the writer and returns blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from qinglan.core.clock import Period
from qinglan.core.names import QUANTITIES
from qinglan.report.bulletin import PlaceLine, share
from qinglan.report.document import Block, Cell, Note, Table, Text
from qinglan.report.kinds import period_words

if TYPE_CHECKING:
    from qinglan.report.compose import Writer

NOTHING = "—"
_UNITS_OF_PRINT = ("pm2_5", "pm10", "so2", "no2", "co", "mda8")


def symbol(items: str) -> str:
    """Symbols of items joined by commas.

    >>> symbol("pm10,mda8"), symbol("")
    ('PM₁₀、O₃-8h', '—')
    """
    return "、".join(QUANTITIES[i].symbol for i in items.split(",")) if items else NOTHING


def _table(
    name: str, caption: str, heads: Sequence[str], cells: Sequence[Sequence[tuple[str, Cell]]],
    left: tuple[int, ...], widths: Sequence[float],
) -> Table:  # fmt: skip
    rows = tuple(tuple(text for text, _ in line) for line in cells)
    values = tuple(tuple(value for _, value in line) for line in cells)
    return Table(name, caption, tuple(heads), rows, values, left, tuple(widths))


def _word(text: str) -> tuple[str, Cell]:
    return text, text


def _count(number: int | None) -> tuple[str, Cell]:
    return (NOTHING, None) if number is None else (str(number), number)


def _fixed(w: Writer, value: float | None, decimals: int, mark: str = "") -> tuple[str, Cell]:
    return (NOTHING, None) if value is None else (w.fixed(value, decimals) + mark, value)


def _item(w: Writer, value: float | None, item: str, mark: str = "") -> tuple[str, Cell]:
    return (NOTHING, None) if value is None else (w.item(value, item) + mark, value)


def _signed(w: Writer, value: float | None, decimals: int) -> tuple[str, Cell]:
    text = w.fixed(value, decimals)
    return ("+" + text if value and value > 0 else text), value


# ---- overall ------------------------------------------------------------------------------------------------


def overall(w: Writer) -> list[Block]:
    """What happened, in sentences."""
    if w.bulletin.kind == "daily":
        return [Text(" ".join(_day_sentences(w)) if w.language == "en" else "".join(_day_sentences(w)))]
    if not w.bulletin.total("valid_days"):
        return [Text(w.say("overall.nothing", period=w.period))]
    glue = " " if w.language == "en" else ""
    parts = [_days_said(w)]
    if w.bulletin.kind != "weekly":  # a week is counted, not averaged
        parts += [_values_said(w), _change_said(w)]
    return [Text(glue.join(part)) for part in parts if part]


def _days_said(w: Writer) -> list[str]:
    b = w.bulletin
    said = [
        w.say(
            "overall.days", period=w.period, place=b.place_name[w.language], n=len(b.places),
            valid=b.total("valid_days"), good=b.total("good_days"), rate=b.pooled_rate(),
        )
    ]  # fmt: skip
    days = zip(b.levels, b.level_days(), strict=True)
    named = [w.say("overall.level", name=x[w.language], days=n) for x, n in days if n]
    said.append(w.say("overall.levels", levels=w.join(named)))
    heavy = [p for p in b.places if p.heavy_days]
    total = b.total("heavy_days")
    said.append(w.say("overall.heavy", days=total, places=w.names(heavy)) if heavy else w.say("overall.no_heavy"))
    rated = [(p.rate, p) for p in b.places if p.rate is not None]
    high, low = max(r for r, _ in rated), min(r for r, _ in rated)
    decimals = b.decimals["rate"]
    if high == low:
        said.append(w.say("overall.all_equal", rate=w.fixed(high, decimals)))
    else:
        best, worst = ([p for r, p in rated if r == end] for end in (high, low))
        said.append(
            w.say(
                "overall.best", best=w.names(best), worst=w.names(worst), best_rate=w.fixed(high, decimals),
                worst_rate=w.fixed(low, decimals),
            )
        )  # fmt: skip
    return said


def _values_said(w: Writer) -> list[str]:
    b, said = w.bulletin, []
    fine = [(p.items["pm2_5"].value, p) for p in b.places if p.items["pm2_5"].value is not None]
    if fine:
        low, high = min(v for v, _ in fine if v is not None), max(v for v, _ in fine if v is not None)
        if low == high:
            said.append(w.say("overall.fine_equal", low=w.item(low, "pm2_5")))
        else:
            lows, highs = ([p for v, p in fine if v == end] for end in (low, high))
            said.append(
                w.say(
                    "overall.fine", low=w.item(low, "pm2_5"), high=w.item(high, "pm2_5"), low_place=w.names(lows),
                    high_place=w.names(highs),
                )
            )  # fmt: skip
    return said + _index_said(w)


def _index_said(w: Writer) -> list[str]:
    said = []
    indexed = [p for p in w.bulletin.places if p.index is not None]
    if indexed:
        low, high = (f(p.index for p in indexed if p.index is not None) for f in (min, max))
        order = [w.say("rank.one", place=w.name(p), index=w.fixed(p.index, 2)) for p in indexed]
        said.append(
            w.say("overall.index", low=w.fixed(low, 2), high=w.fixed(high, 2), places=w.join(order))
        )  # fmt: skip
        short = [p for p in indexed if not p.data_valid]
        if short:
            said.append(w.say("overall.invalid", places=w.names(short)))
    return said


def _change_said(w: Writer) -> list[str]:
    changed = [p for p in w.bulletin.places if p.change_percent is not None]
    if not changed:
        return [w.say("overall.no_change")] if w.bulletin.total("valid_days") else []
    sides: dict[str, list[PlaceLine]] = {"down": [], "up": [], "same": []}
    for p in changed:
        change = p.change_percent or 0.0
        sides["down" if change < 0 else "up" if change > 0 else "same"].append(p)
    parts = []
    for side, places in sides.items():
        said = [w.say("change.one", place=w.name(p), percent=_signed(w, p.change_percent, 1)[0]) for p in places]
        if places:
            parts.append(w.say(f"change.{side}", n=len(places), places=w.join(said)))
    return [w.say("overall.change", sides=_semicolons(w, parts))]


def _day_sentences(w: Writer) -> list[str]:
    b = w.bulletin
    by_place = {d.place: d for d in b.days}
    judged = [(p, by_place[p.place]) for p in b.places if p.place in by_place and by_place[p.place].aqi]
    missing = [p for p in b.places if p not in [q for q, _ in judged]]
    if not judged:
        return [w.say("overall.nothing", period=w.period)]
    parts = []
    for level in b.levels:
        there = [p for p, d in judged if d.level == level["level"]]
        if there:
            parts.append(w.say("overall.day_level", n=len(there), name=level[w.language], places=w.names(there)))
    said = [
        w.say(
            "overall.day", period=w.period, place=b.place_name[w.language], n=len(b.places), levels=w.join(parts)
        )
    ]
    if missing:
        said.append(w.say("overall.day_missing", places=w.names(missing)))
    top = max(d.aqi or 0 for _, d in judged)
    at = [(p, d) for p, d in judged if d.aqi == top]
    where = w.names([p for p, _ in at])
    primary = w.join(dict.fromkeys(symbol(d.primary) for _, d in at if d.primary))
    if primary:
        said.append(w.say("overall.day_top", place=where, aqi=top, primary=primary))
    else:
        said.append(w.say("overall.day_top_clean", place=where, aqi=top))
    return said


# ---- places -------------------------------------------------------------------------------------------------


def _units(w: Writer) -> Note:
    taken = w.bulletin.statistics
    return Note(w.say("units", ozone=taken["mda8"].lstrip("p"), co=taken["co"].lstrip("p")))


def _mark(valid: bool) -> str:
    return "" if valid else "*"


def place_table(w: Writer) -> list[Block]:
    """Six concentrations, index, days, rate, rank and change of each place."""
    heads = [w.say("column.place"), *(QUANTITIES[i].symbol for i in _UNITS_OF_PRINT)]
    heads += [w.say(f"column.{c}") for c in ("index", "valid", "good", "rate", "rank", "change")]
    cells = []
    for p in w.bulletin.places:
        line = [_word(w.name(p))]
        for i in _UNITS_OF_PRINT:
            value = p.items[i]
            line.append(_item(w, value.value, i, _mark(value.data_valid)))
        line += [
            _fixed(w, p.index, 2, _mark(p.data_valid)), _count(p.valid_days), _count(p.good_days),
            _fixed(w, p.rate, w.bulletin.decimals["rate"]), _count(p.rank), _signed(w, p.change_percent, 1),
        ]  # fmt: skip
        cells.append(line)
    caption = w.numbered("table", "places", period=w.period)
    widths = [1.9, *[1.05] * 6, 1.4, 1.15, 1.15, 1.25, 0.9, 1.4]
    return [_table("places", caption, heads, cells, (0,), widths), _units(w)]


def compare_table(w: Writer) -> list[Block]:
    """This period beside the same period of last year."""
    b = w.bulletin
    if not any(p.previous_rate is not None or p.previous_index is not None for p in b.places):
        return []
    names = ("place", "index", "previous_index", "change", "rank_change", "rate", "rate_previous", "fine_now",
             "fine_previous", "coarse_now", "coarse_previous", "ozone_now", "ozone_previous")  # fmt: skip
    rate = b.decimals["rate"]
    cells = []
    for p in b.places:
        line = [_word(w.name(p)), _fixed(w, p.index, 2), _fixed(w, p.previous_index, 2)]
        line += [_signed(w, p.change_percent, 1), _signed(w, p.change_rank, 0), _fixed(w, p.rate, rate),
                 _fixed(w, p.previous_rate, rate)]  # fmt: skip
        for i in ("pm2_5", "pm10", "mda8"):
            line += [_item(w, p.items[i].value, i), _item(w, p.items[i].previous, i)]
        cells.append(line)
    caption = w.numbered("table", "compare", previous=period_words(Period.parse(b.previous), w.language))
    widths = [1.9, 1.4, *[1.2] * 5, *[1.05] * 6]
    return [_table("compare", caption, [w.say(f"column.{n}") for n in names], cells, (0,), widths)]


def day_table(w: Writer) -> list[Block]:
    """The places of one day."""
    heads = [w.say("column.place"), w.say("column.aqi"), w.say("column.level"), w.say("column.primary")]
    heads += [QUANTITIES[i].symbol for i in _UNITS_OF_PRINT]
    by_place = {d.place: d for d in w.bulletin.days}
    cells = []
    for p in w.bulletin.places:
        day = by_place.get(p.place)
        line = [_word(w.name(p)), _count(day.aqi if day else None), _word(w.level(day.level if day else None)),
                _word(symbol(day.primary) if day else NOTHING)]  # fmt: skip
        cells.append([*line, *(_item(w, day.values[i] if day else None, i) for i in _UNITS_OF_PRINT)])
    widths = [1.9, 1, 1.5, 1.7, *[1.1] * 6]
    caption = w.numbered("table", "day")
    return [_table("day", caption, heads, cells, (0, 2, 3), widths), Note(w.say("units.day"))]


def days_table(w: Writer) -> list[Block]:
    """AQI of each place on each day of a short period, with its days."""
    b = w.bulletin
    days = sorted({d.day for d in b.days})
    found = {(d.place, d.day): d for d in b.days}
    heads = [w.say("column.place"), *(f"{int(d[5:7])}/{int(d[8:])}" for d in days)]
    heads += [w.say("column.valid"), w.say("column.good")]
    cells = []
    for p in b.places:
        line = [_word(w.name(p))]
        for day in days:
            one = found.get((p.place, day))
            line.append(_count(one.aqi if one else None))
        cells.append([*line, _count(p.valid_days), _count(p.good_days)])
    caption = w.numbered("table", "days")
    return [_table("days", caption, heads, cells, (0,), [1.9, *[1.0] * len(days), 1.2, 1.2])]


def ranking_text(w: Writer) -> list[Block]:
    """The order in words."""
    if not any(p.index is not None for p in w.bulletin.places):
        return [Text(w.say("overall.nothing", period=w.period))]
    glue = " " if w.language == "en" else ""
    return [Text(glue.join((*_index_said(w), *_change_said(w))))]


def ranking_table(w: Writer) -> list[Block]:
    """Places by rank."""
    names = ("rank", "place", "index", "max_index", "main", "previous_index", "change", "rank_change")
    cells = [
        [_count(p.rank), _word(w.name(p)), _fixed(w, p.index, 2, _mark(p.data_valid)), _fixed(w, p.max_index, 2),
         _word(symbol(p.main)), _fixed(w, p.previous_index, 2), _signed(w, p.change_percent, 1),
         _signed(w, p.change_rank, 0)]
        for p in w.bulletin.places
    ]  # fmt: skip
    caption = w.numbered("table", "ranking", period=w.period)
    heads = [w.say(f"column.{n}") for n in names]
    return [_table("ranking", caption, heads, cells, (1, 4), [0.8, 1.9, 1.2, 1.3, 1.3, 1.2, 1.5, 1.2])]


# ---- pollutants, dust, targets, method ------------------------------------------------------------------------


def primary(w: Writer) -> list[Block]:
    """Which pollutant weighs most, and the days by level."""
    b, said = w.bulletin, []
    main: dict[str, list[PlaceLine]] = {}
    for p in b.places:
        for item in p.main.split(",") if p.main else ():
            main.setdefault(item, []).append(p)
    if main:
        order = sorted(main.items(), key=lambda kv: -len(kv[1]))
        parts = [w.say("primary.main_one", item=symbol(i), n=len(ps), places=w.names(ps)) for i, ps in order]
        said.append(w.say("primary.main", period=w.period, items=_semicolons(w, parts)))
    over = [d for d in b.days if d.level is not None and d.level > 2]
    if over:
        counted = Counter(i for d in over for i in d.primary.split(",") if i)
        parts = [w.say("primary.exceeding_one", item=symbol(i), days=n) for i, n in counted.most_common()]
        said.append(w.say("primary.exceeding", n=len(over), items=w.join(parts)))
    elif b.total("valid_days"):
        said.append(w.say("primary.none", period=w.period))
    heads = [w.say("column.place"), *(x[w.language] for x in b.levels), w.say("column.valid")]
    cells = [[_word(w.name(p)), *(_count(n) for n in p.levels), _count(p.valid_days)] for p in b.places]
    table = _table("levels", w.numbered("table", "primary"), heads, cells, (0,), [1.9, *[1.2] * 6, 1.2])
    return [Text((" " if w.language == "en" else "").join(said)), table] if said else [table]


def _semicolons(w: Writer, parts: Sequence[str]) -> str:
    return ("；" if w.language == "zh" else "; ").join(parts)


def dust(w: Writer) -> list[Block]:
    """What dust did: the same figures with and without it."""
    b = w.bulletin
    dusty = [p for p in b.places if p.dust_days]
    said = [w.say("dust.rule")]
    if dusty:
        parts = [w.say("dust.place", place=w.name(p), days=p.dust_days) for p in dusty]
        said.insert(0, w.say("dust.days", days=b.total("dust_days"), places=w.join(parts)))
    else:
        said.insert(0, w.say("dust.none"))
    if b.proposed_dust:
        said.append(w.say("dust.proposed", n=b.proposed_dust))
    names = ("place", "dust_days", "pm10_in", "pm10_out", "pm25_in", "pm25_out", "index_in", "index_out", "rate",
             "adjusted")  # fmt: skip
    rate = b.decimals["rate"]
    cells = [
        [_word(w.name(p)), _count(p.dust_days), _item(w, p.items["pm10"].value_in, "pm10"),
         _item(w, p.items["pm10"].value, "pm10"), _item(w, p.items["pm2_5"].value_in, "pm2_5"),
         _item(w, p.items["pm2_5"].value, "pm2_5"), _fixed(w, p.index_in, 2), _fixed(w, p.index, 2),
         _fixed(w, p.rate, rate), _fixed(w, p.adjusted_rate, rate)]
        for p in b.places
    ]  # fmt: skip
    heads = [w.say(f"column.{n}") for n in names]
    table = _table("dust", w.numbered("table", "dust"), heads, cells, (0,), [1.9, 1.1, *[1.3] * 8])
    return [Text((" " if w.language == "en" else "").join(said)), table]


def targets(w: Writer) -> list[Block]:
    """Where the plan's targets stand."""
    b = w.bulletin
    if not b.targets:
        return [Text(w.say("targets.none"))]
    cells = []
    for t in b.targets:
        unit = w.unit(t.unit)
        sign = {">=": "≥", "<=": "≤", "=": "="}.get(t.comparison, t.comparison + " ")
        goal = NOTHING if t.limit is None else f"{sign}{t.limit:g}{unit}"
        value = NOTHING if t.shown is None else f"{t.shown}{unit}"
        cells.append([_word(t.title[w.language]), _word(goal), _word(value), _word(t.due),
                      _word(w.say(f"status.{t.status}"))])  # fmt: skip
    heads = [w.say(f"column.{n}") for n in ("target", "goal", "value", "due", "status")]
    table = _table(
        "targets", w.numbered("table", "targets"), heads, cells, (0, 1, 2, 3, 4), [4, 1.6, 1.6, 1.4, 1.4]
    )
    return [Text(w.say("targets.as_of", day=b.as_of)), table]


def method(w: Writer) -> list[Block]:
    """How the numbers were made."""
    b = w.bulletin
    heads = [w.say(f"column.{n}") for n in ("book", "edition", "options")]
    cells = [
        [_word(str(k["book"])), _word(str(k["edition"])),
         _word("; ".join(f"{n}={v}" for n, v in sorted(k["options"].items())) or NOTHING)]
        for k in b.books
    ]  # fmt: skip
    return [
        *(Text(line) for line in _method_lines(w)),
        _table("method", w.numbered("table", "method"), heads, cells, (0, 1, 2), [1, 2.6, 5]),
    ]


def _method_lines(w: Writer) -> Iterator[str]:
    b = w.bulletin
    yield w.say("method.standard", limits=b.limits_edition or NOTHING, index=b.index_edition or NOTHING)
    yield w.say("method.rounding")
    if b.kind not in ("daily", "weekly"):
        yield w.say("method.warning")
    expected, valid = b.total("expected_days"), b.total("valid_days")
    percent = share(valid, expected, b.decimals["rate"])
    yield w.say("method.coverage", n=len(b.places), expected=expected, valid=valid, percent=percent or NOTHING)
    origin = Counter(d.source for d in b.days)
    yield w.say("method.source", hours=origin["hours"], reported=origin["reported"])
    yield w.say("method.run", run=b.run_id, code=b.code_version, day=b.as_of)
