"""A filter's syntax tree as an expression over the columns of `flow.sensorthings` (OGC 18-088 clause 9.3.3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl
from lark import Token, Tree

from qinglan.flow.sensorthings import NAVIGATION, OBSERVATIONS, Model, Order, Where, column
from qinglan.web.sensorthings.operands import (
    BOOL,
    CLOCK,
    DATE,
    DURATION,
    NOTHING,
    NUMBER,
    TEXT,
    TIME,
    Operand,
    Point,
    Shape,
    Span,
    Value,
    compare,
    index_of,
    inside,
    kind_of,
    literal,
    wrong,
)

#: Parts of a filter; more would be no question of a person or a map.
PARTS_MOST = 300
_HOURS: Mapping[str, str] = {
    "@iot.id": TEXT, "result": NUMBER, "resultTime": TIME, "resultQuality/state": TEXT,
    "resultQuality/status": TEXT,
}  # fmt: skip


class Reader:
    """Reads the trees of one entity set.

    now : the instant that ``now()`` is. `named` gathers the columns that were read.
    """

    def __init__(self, model: Model, entity_set: str, now: datetime) -> None:
        self.model, self.entity_set, self.now = model, entity_set, now
        self.named: set[str] = set()

    def truth(self, tree: Any) -> pl.Expr:
        """A tree that must say true or false."""
        found = self.operand(tree)
        if not isinstance(found, Value) or found.kind not in (BOOL, NOTHING):
            raise wrong("a condition is neither true nor false", "Compare a property: result gt 35.")
        return found.expr.cast(pl.Boolean).fill_null(False)

    def operand(self, tree: Any) -> Operand:
        """What a tree stands for."""
        if tree.data in ("filter",):
            return self.operand(tree.children[0])
        if tree.data == "path":
            return self.path([str(part) for part in tree.children])
        if tree.data == "literal":
            token: Token = tree.children[0]
            return literal(token.type, str(token))
        return getattr(self, f"_{tree.data}")(*tree.children)  # type: ignore[no-any-return]

    def path(self, parts: list[str]) -> Operand:
        """A property of the entity, or of one that a path of names leads to."""
        at, rest = self.entity_set, list(parts)
        while rest and rest[0] in NAVIGATION[at]:
            at, _ = NAVIGATION[at][rest.pop(0)]
        name = "/".join(rest)
        name = "@iot.id" if name == "id" else name
        if at == OBSERVATIONS and name in _HOURS:
            return Value(self._column(at, name), _HOURS[name])
        schema = self.model.wide.schema
        if (at == OBSERVATIONS and name == "phenomenonTime") or column(at, f"{name}#start") in schema:
            return Span(self._column(at, f"{name}#start"), self._column(at, f"{name}#end"))
        if column(at, f"{name}#lon") in schema:
            return Point(self._column(at, f"{name}#lon"), self._column(at, f"{name}#lat"))
        if column(at, name) in schema:
            return Value(self._column(at, name), kind_of(schema[column(at, name)]))
        known = [c.partition(".")[2] for c in schema if c.startswith(f"{at}.")] or [*_HOURS, "phenomenonTime"]
        known = sorted({k.partition("#")[0] for k in known} | set(NAVIGATION[at]))
        raise wrong(f"{at} have no {'/'.join(parts)!r}", f"There are {', '.join(known)}.")

    def _column(self, entity_set: str, path: str) -> pl.Expr:
        name = column(entity_set, path)
        self.named.add(name)
        return pl.col(name)

    def _either(self, left: Any, right: Any) -> Value:
        return Value(self.truth(left) | self.truth(right), BOOL)

    def _both(self, left: Any, right: Any) -> Value:
        return Value(self.truth(left) & self.truth(right), BOOL)

    def _negation(self, inner: Any) -> Value:
        return Value(~self.truth(inner), BOOL)

    def _compare(self, left: Any, sign: Token, right: Any) -> Value:
        return Value(compare(str(sign), self.operand(left), self.operand(right)), BOOL)

    def _among(self, left: Any, *choices: Any) -> Value:
        value = self.operand(left)
        return Value(pl.any_horizontal([compare("eq", value, self.operand(c)) for c in choices]), BOOL)

    def _minus(self, inner: Any) -> Value:
        value = self._value(inner, NUMBER, DURATION)
        return Value(-value.expr, value.kind)

    def _binary(self, left: Any, sign: Token, right: Any) -> Value:
        a, b = self._value(left, NUMBER, TIME, DURATION), self._value(right, NUMBER, TIME, DURATION)
        kinds = _ARITHMETIC.get((a.kind, str(sign), b.kind))
        if kinds is None:
            raise wrong(f"{sign} does not take a {a.kind} and a {b.kind}")
        x, y = a.expr, b.expr
        made: dict[str, Callable[[], pl.Expr]] = {
            "add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y, "div": lambda: x / y,
            "mod": lambda: x - y * (x / y).sign() * (x / y).abs().floor(),
        }  # fmt: skip
        return Value(made[str(sign)](), kinds)

    def _value(self, tree: Any, *kinds: str) -> Value:
        """An operand of one of some kinds; of a span its beginning."""
        found = self.operand(tree)
        if isinstance(found, Span) and TIME in kinds:
            return Value(found.start, TIME)
        if not isinstance(found, Value) or found.kind not in (*kinds, NOTHING):
            said = found.kind if isinstance(found, Value) else type(found).__name__.lower()
            raise wrong(f"a {said} stands where a {' or '.join(kinds)} is wanted")
        return Value(found.expr, kinds[0]) if found.kind == NOTHING else found

    def _call(self, name: Token, *given: Any) -> Value:
        arguments = [argument for argument in given if argument is not None]
        if str(name) in _SPATIAL:
            return self._spatial(str(name), arguments)
        known = _FUNCTIONS.get(str(name))
        if known is None:
            told = ", ".join(sorted({*_FUNCTIONS, *_SPATIAL}))
            raise wrong(f"{name} is no function here", f"There are {told}.")
        kinds, yields, make = known
        least = len([k for k in kinds if not k.endswith("?")])
        if not least <= len(arguments) <= len(kinds):
            raise wrong(f"{name} takes {len(kinds)} arguments, not {len(arguments)}")
        values = [self._value(a, k.removesuffix("?")).expr for a, k in zip(arguments, kinds, strict=False)]
        return Value(make(self, *values), yields)

    def _spatial(self, name: str, arguments: list[Any]) -> Value:
        found = [self.operand(argument) for argument in arguments]
        points = [f for f in found if isinstance(f, Point)]
        shapes = [f for f in found if isinstance(f, Shape)]
        if len(found) != 2 or len(points) != 1 or len(shapes) != 1:
            raise wrong(f"{name} takes a location and a shape", "For example geography'POLYGON ((...))'.")
        [point], [shape] = points, shapes
        if name == "st_within" and isinstance(found[1], Point):
            raise wrong("st_within takes the location first")
        is_point = len(shape.rings[0]) == 1
        if name == "st_equals":
            told = inside(point, shape, edge=True) if is_point else pl.lit(False)
        elif name == "st_disjoint":
            told = ~inside(point, shape, edge=True)
        else:
            told = inside(point, shape, edge=is_point or name != "st_within")
        return Value(told & point.lon.is_not_null(), BOOL)


_ARITHMETIC: Mapping[tuple[str, str, str], str] = {
    **{(NUMBER, sign, NUMBER): NUMBER for sign in ("add", "sub", "mul", "div", "mod")},
    (TIME, "add", DURATION): TIME,
    (TIME, "sub", DURATION): TIME,
    (TIME, "sub", TIME): DURATION,
    (DURATION, "add", DURATION): DURATION,
    (DURATION, "sub", DURATION): DURATION,
    (DURATION, "add", TIME): TIME,
}
_SPATIAL = ("geo.intersects", "st_intersects", "st_within", "st_disjoint", "st_equals")


def _moment(value: datetime) -> pl.Expr:
    return pl.lit(value, pl.Datetime("us", "UTC"))


def _half_away(value: pl.Expr) -> pl.Expr:
    """Rounding of OData: halves away from zero."""
    return value.sign() * (value.abs() + 0.5).floor()


#: Kinds of the arguments (``?``: may be left out), kind of the answer, and how it is made.
_FUNCTIONS: Mapping[str, tuple[tuple[str, ...], str, Callable[..., pl.Expr]]] = {
    "substringof": ((TEXT, TEXT), BOOL, lambda r, part, text: text.str.contains(part, literal=True)),
    "contains": ((TEXT, TEXT), BOOL, lambda r, text, part: text.str.contains(part, literal=True)),
    "startswith": ((TEXT, TEXT), BOOL, lambda r, text, part: text.str.starts_with(part)),
    "endswith": ((TEXT, TEXT), BOOL, lambda r, text, part: text.str.ends_with(part)),
    "length": ((TEXT,), NUMBER, lambda r, text: text.str.len_chars().cast(pl.Float64)),
    "indexof": ((TEXT, TEXT), NUMBER, lambda r, text, part: index_of(text, part).cast(pl.Float64)),
    "substring": (
        (TEXT, NUMBER, f"{NUMBER}?"), TEXT,
        lambda r, text, first, *n: text.str.slice(first.cast(pl.Int64), n[0].cast(pl.UInt64) if n else None),
    ),
    "tolower": ((TEXT,), TEXT, lambda r, text: text.str.to_lowercase()),
    "toupper": ((TEXT,), TEXT, lambda r, text: text.str.to_uppercase()),
    "trim": ((TEXT,), TEXT, lambda r, text: text.str.strip_chars()),
    "concat": ((TEXT, TEXT), TEXT, lambda r, a, b: a + b),
    **{
        name: ((TIME,), NUMBER, lambda r, t, part=name: getattr(t.dt, part)().cast(pl.Float64))
        for name in ("year", "month", "day", "hour", "minute", "second")
    },
    "fractionalseconds": ((TIME,), NUMBER, lambda r, t: t.dt.microsecond().cast(pl.Float64) / 1e6),
    "date": ((TIME,), DATE, lambda r, t: t.dt.date()),
    "time": ((TIME,), CLOCK, lambda r, t: t.dt.time()),
    "totaloffsetminutes": ((TIME,), NUMBER, lambda r, t: pl.when(t.is_not_null()).then(pl.lit(0.0))),
    "now": ((), TIME, lambda r: _moment(r.now)),
    "mindatetime": ((), TIME, lambda r: _moment(datetime(1, 1, 1, tzinfo=UTC))),
    "maxdatetime": ((), TIME, lambda r: _moment(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))),
    "round": ((NUMBER,), NUMBER, lambda r, x: _half_away(x)),
    "floor": ((NUMBER,), NUMBER, lambda r, x: x.floor()),
    "ceiling": ((NUMBER,), NUMBER, lambda r, x: x.ceil()),
}  # fmt: skip


def where(model: Model, entity_set: str, tree: Tree[Token] | None, now: datetime) -> Where:
    """A filter, parted into what it says of streams and what of their hours; UsageError when it is wrong."""
    if tree is None:
        return Where()
    if sum(1 for _ in tree.iter_subtrees()) > PARTS_MOST:
        raise wrong(f"it has more than {PARTS_MOST} parts")
    streams, hours, named = [], [], set()
    for part in _conjuncts(tree.children[0]):
        reader = Reader(model, entity_set, now)
        told = reader.truth(part)
        if any(name.startswith(f"{OBSERVATIONS}.") for name in reader.named):
            hours.append(told)
            named |= reader.named
        else:
            streams.append(told)
    return Where(pl.all_horizontal(streams) if streams else None, pl.all_horizontal(hours) if hours else None,
                 frozenset(named))  # fmt: skip


def _conjuncts(tree: Any) -> list[Any]:
    """Conditions that must all hold."""
    if tree.data != "both":
        return [tree]
    return [*_conjuncts(tree.children[0]), *_conjuncts(tree.children[1])]


def orders(model: Model, entity_set: str, given: Any, now: datetime) -> list[Order]:
    """Keys of an order; a span is ordered by its beginning."""
    made = []
    for tree, descending in given:
        reader = Reader(model, entity_set, now)
        found = reader.operand(tree)
        if isinstance(found, Point | Shape):
            raise wrong("nothing is ordered by a place")
        key = found.start if isinstance(found, Span) else found.expr
        runs = {
            column(OBSERVATIONS, name) for name in ("phenomenonTime#start", "phenomenonTime#end", "resultTime")
        }
        plain = tree.data == "path" and reader.named <= runs
        made.append(Order(key, descending, frozenset(reader.named), time=plain))
    return made
