"""Rules that look along time: stuck value, zeros in a row, frozen row, spike.

The whole table is read once into a *digest*: least and largest value of each item in blocks of a few hours. A
run of `n` equal hours fills at least one aligned block of ``(n + 1) // 2`` hours, and a spike lies in a block
whose range is at least its height, so blocks that show neither need no second look. Only the hours in and
next to the remaining blocks are sorted. Hours are joined on their number since 1970, so gaps and row order do
not matter; nulls end a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add, and_, or_

import ibis
from ibis.expr import types as ir

from qinglan.air.qc.rows import Cases, flags_of, long_form, per_item, text
from qinglan.core.errors import RuleError
from qinglan.core.names import INVALID, MISSING, VALID
from qinglan.core.rulebook import RuleBook

KEY = ("station", "time", "day", "hour")
TIME_RULES = ("stuck", "zero_run", "frozen", "spike")


def stuck_lengths(book: RuleBook, item: str) -> list[tuple[float | None, int]]:
    """How many equal hours make a stuck value: pairs (up to this value or None for any, hours), ascending.

    Raises RuleError when the table is not ascending or does not end in an entry for every value.
    """
    table = [(row.get("up_to"), int(row["hours"])) for row in book.get(f"stuck.{item}").value]
    bounds = [bound for bound, _ in table]
    if not bounds or bounds[-1] is not None or None in bounds[:-1] or bounds[:-1] != sorted(bounds[:-1]):
        raise RuleError(f"{book.edition}: stuck.{item} must ascend in up_to and end in an entry without it.")
    return [(None if bound is None else float(bound), hours) for bound, hours in table]


def _needed(runs: ir.Table, items: Sequence[str], book: RuleBook) -> ir.IntegerValue:
    """Hours that make each line's run a stuck value, by item and value."""
    cases = []
    for item in items:
        for bound, hours in stuck_lengths(book, item):
            own = runs["item"] == item
            cases.append((own if bound is None else own & (runs["value"] <= bound), ibis.literal(hours, "int64")))
    return ibis.cases(*cases)


def block_hours(book: RuleBook, items: Sequence[str], rules: Sequence[str]) -> int:
    """Largest block that no run worth a flag can escape: half the shortest run, rounded up, at least 2 [h]."""
    lengths = [hours for i in items for _, hours in stuck_lengths(book, i)] if "stuck" in rules else []
    if "zero_run" in rules:
        lengths.append(int(book.number("zero.run")))
    if "frozen" in rules:
        lengths.append(int(book.number("frozen.hours")))
    shortest = min(lengths, default=11)
    if shortest < 3:
        raise RuleError(f"{book.edition}: a run of {shortest} equal hours is no sign of a fault; give 3 or more.")
    return (shortest + 1) // 2


def margin(book: RuleBook, items: Sequence[str]) -> int:
    """Hours to read on both sides of a slice so that its flags equal those of the whole series [h]."""
    return max(
        int(book.number("zero.run")),
        int(book.number("frozen.hours")),
        2,
        *[hours for i in items for _, hours in stuck_lengths(book, i)],
    )


def _clock(hours: ir.Table) -> ir.IntegerValue:
    """Number of an hour since the first day of 1970, from the statistical day and the label [h]."""
    return hours.day.epoch_days().cast("int64") * 24 + hours.hour


def _block(hours: ir.Table, size: int) -> ir.IntegerValue:
    """First hour of the aligned block that holds an hour."""
    clock = _clock(hours)
    return clock - clock % size


def _interesting(
    hours: ir.Table, items: Sequence[str], size: int, book: RuleBook, rules: Sequence[str]
) -> ir.Table:
    """Blocks that show a constant item or a jump: station, block, ``still_<item>`` (the constant), 0/1 marks."""
    keyed = hours.select("station", *items, block=_block(hours, size))
    extremes = {f"{side}_{i}": getattr(keyed[i], side)() for i in items for side in ("min", "max")}
    digest = keyed.group_by("station", "block").aggregate(**extremes)
    still = {i: (digest[f"min_{i}"] == digest[f"max_{i}"]).fill_null(False) for i in items}
    columns: dict[str, ir.Value] = {}
    wanted: list[ir.BooleanValue] = []
    if "stuck" in rules or "zero_run" in rules:
        nothing = ibis.null("float64")
        columns |= {f"still_{i}": ibis.ifelse(still[i], digest[f"min_{i}"], nothing) for i in items}
        wanted += list(still.values())
    if "frozen" in rules:
        frozen = reduce(and_, [still[i] | digest[f"min_{i}"].isnull() for i in items])
        wanted.append(frozen & reduce(or_, still.values()))
        columns["frozen"] = wanted[-1].cast("int8")
    if "spike" in rules:
        wanted.append(reduce(or_, [_jump(digest, i, book) for i in items]))
        columns["spike"] = wanted[-1].cast("int8")
    return digest.filter(reduce(or_, wanted)).select("station", "block", **columns)


def _jump(digest: ir.Table, item: str, book: RuleBook) -> ir.BooleanValue:
    factor, departure = _spike_size(book, item)
    low, high = digest[f"min_{item}"], digest[f"max_{item}"]
    return ((high - low > departure) & (high > factor * low)).fill_null(False)


def _chains(blocks: ir.Table, items: Sequence[str], size: int, book: RuleBook, rules: Sequence[str]) -> ir.Table:
    """Blocks whose chain of equal constant blocks may belong to a long enough run: station, block, item."""
    nothing = ibis.null("float64")
    still = {i: blocks[f"still_{i}"] for i in items}
    cells = {i: {"value": ibis.ifelse(v >= 0, v, nothing)} for i, v in still.items()}
    long = long_form(blocks, ("station", "block"), cells)
    # Neighbouring blocks are `size` apart; the chain counts them one by one.
    chained = _equal_runs(long.mutate(clock=(long.block / size).cast("int64")), ["item", "value"])
    # The run may reach into both neighbours of its chain, though not fill them.
    longest = chained.run * size + 2 * (size - 1)
    enough = []
    if "stuck" in rules:
        enough.append((chained["value"] > 0) & (longest >= _needed(chained, items, book)))
    if "zero_run" in rules:
        enough.append((chained["value"] == 0) & (longest >= int(book.number("zero.run"))))
    return chained.filter(reduce(or_, enough)).select("station", "item", "block")


def _near(blocks: ir.Table, items: Sequence[str], size: int, book: RuleBook, rules: Sequence[str]) -> ir.Table:
    """The blocks to sort, with their neighbours: station, block and 0/1 ``run_<item>``, ``frozen``, ``spike``."""
    runs = "stuck" in rules or "zero_run" in rules
    names = [f"run_{i}" for i in items if runs] + [m for m in ("frozen", "spike") if m in rules]
    zero = ibis.literal(0, "int8")
    parts = []
    if runs:
        chains = _chains(blocks, items, size, book, rules)
        marks = {f"run_{i}": (chains["item"] == i).cast("int8") for i in items}
        parts.append(chains.select("station", "block", **{n: marks.get(n, zero) for n in names}))
    if others := [m for m in ("frozen", "spike") if m in rules]:
        marked = blocks.filter(reduce(or_, [blocks[m] == 1 for m in others]))
        columns = {n: marked[n] if n in others else zero for n in names}
        parts.append(marked.select("station", "block", **columns))
    whole = ibis.union(*parts)
    steps = ibis.array([ibis.literal(step, "int64") for step in (-size, 0, size)])
    spread = whole.mutate(step=steps.unnest())
    spread = spread.select("station", *names, block=spread.block + spread.step)
    return spread.group_by("station", "block").aggregate(**{n: spread[n].max() for n in names})


def _spike_size(book: RuleBook, item: str) -> tuple[float, float]:
    size = book.get(f"spike.{item}").value
    return float(size["factor"]), float(size["departure"])


def _equal_runs(rows: ir.Table, by: Sequence[str]) -> ir.Table:
    """Add ``run``: hours in the unbroken run of equal `by` that holds the row."""
    position = ibis.row_number().over(group_by=[rows[c] for c in ("station", *by)], order_by=rows.clock)
    # Within a run of consecutive hours the hour number and the position grow together.
    numbered = rows.mutate(island=rows.clock - position)
    whole = ibis.window(group_by=[numbered[c] for c in ("station", *by, "island")])
    return numbered.mutate(run=numbered.count().over(whole))


def _single_runs(near: ir.Table, items: Sequence[str], book: RuleBook, rules: Sequence[str]) -> ir.Table:
    nothing = ibis.null("float64")
    cells = {i: {"value": ibis.ifelse((near[f"run_{i}"] == 1) & (near[i] >= 0), near[i], nothing)} for i in items}
    runs = _equal_runs(long_form(near, (*KEY, "clock"), cells), ["item", "value"])
    value = runs["value"]
    cases: Cases = []
    if "stuck" in rules:
        condition = (value > 0) & (runs.run >= _needed(runs, items, book))
        cases.append((condition, "stuck", INVALID, text(value, " x ", runs.run, " h: 连续不变 / stuck value")))
    if "zero_run" in rules:
        condition = (value == 0) & (runs.run >= int(book.number("zero.run")))
        cases.append((condition, "zero_run", MISSING, text("0 x ", runs.run, " h: 连续为零 / zeros in a row")))
    return flags_of(runs, KEY, cases)


def _frozen(near: ir.Table, items: Sequence[str], book: RuleBook) -> ir.Table:
    present = reduce(add, [near[i].notnull().cast("int8") for i in items])
    rows = near.filter((near.frozen == 1) & (present >= int(book.number("frozen.items"))))
    runs = _equal_runs(rows.select(*KEY, "clock", *items), list(items))
    long = runs.filter(runs.run >= int(book.number("frozen.hours")))
    values = long_form(long, (*KEY, "run"), {i: {"value": long[i]} for i in items})
    detail = text(values.run, " h: 整行重复 / whole row repeated")
    return flags_of(values, KEY, [(values["value"].notnull(), "frozen", INVALID, detail)])


def _spikes(near: ir.Table, items: Sequence[str], book: RuleBook) -> ir.Table:
    rows = near.filter(near.spike == 1)
    order = ibis.window(group_by=rows.station, order_by=rows.clock)
    around = {"before": rows.clock.lag(1).over(order), "after": rows.clock.lead(1).over(order)}
    for item in items:
        around |= {f"p_{item}": rows[item].lag(1).over(order), f"n_{item}": rows[item].lead(1).over(order)}
    rows = rows.mutate(**around)
    rows = rows.filter((rows.before == rows.clock - 1) & (rows.after == rows.clock + 1))
    values = long_form(rows, KEY, {i: _spike_cell(rows, i, items, book) for i in items})
    factor, departure = (per_item(values["item"], {i: _spike_size(book, i)[k] for i in items}) for k in (0, 1))
    value, prior, following = values["value"], values.prior, values.following
    upper, lower = ibis.greatest(prior, following), ibis.least(prior, following)
    up = (value - upper > departure) & (value > factor * upper) & ~values.shared
    down = (lower - value > departure) & (lower > factor * value)
    found = prior.notnull() & following.notnull() & (up | down)
    detail = text(prior, " → ", value, " → ", following, ": 单小时突变 / one-hour spike")
    state = VALID if book.option("spike") == "review" else INVALID
    return flags_of(values, KEY, [(found, "spike", state, detail)])


def _spike_cell(rows: ir.Table, item: str, items: Sequence[str], book: RuleBook) -> dict[str, ir.Value]:
    """An item's value, its neighbours in time, and whether its partner instrument jumped as well.

    Two instruments that jump together saw real air: fireworks, a fire, a gust of dust.
    """
    shared: ir.BooleanValue = ibis.literal(False)
    other = {"pm10": "pm2_5", "pm2_5": "pm10"}.get(item)
    if other in items:
        joint = float(book.number("spike.partner_factor"))
        shared = rows[other] > joint * ibis.greatest(rows[f"p_{other}"], rows[f"n_{other}"])
    columns = {"value": rows[item], "prior": rows[f"p_{item}"], "following": rows[f"n_{item}"]}
    return {**columns, "shared": shared.fill_null(False)}


def check_runs(hours: ir.Table, items: Sequence[str], book: RuleBook, rules: Sequence[str]) -> ir.Table | None:
    """Flags of the wanted time rules; None when none was wanted.

    Parameters
    ----------
    hours : Table (station, time, day, hour, items); one row per station and hour
    rules : any of ``stuck, zero_run, frozen, spike``
    """
    rules = [r for r in rules if r in TIME_RULES]
    if not rules:
        return None
    size = block_hours(book, items, rules)
    blocks = _near(_interesting(hours, items, size, book, rules), items, size, book, rules)
    marks = [c for c in blocks.columns if c not in ("station", "block")]
    # Selected anew from the bare table: a shared selection would be kept whole in memory by the engine.
    keyed = hours.select(*KEY, *items, clock=_clock(hours), block=_block(hours, size))
    near = keyed.inner_join(blocks, ["station", "block"]).select(*keyed.columns, *marks)
    flags: list[ir.Table] = []
    if "stuck" in rules or "zero_run" in rules:
        flags.append(_single_runs(near, items, book, rules))
    if "frozen" in rules:
        flags.append(_frozen(near, items, book))
    if "spike" in rules:
        flags.append(_spikes(near, items, book))
    return ibis.union(*flags)
