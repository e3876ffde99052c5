"""Entities and collections as JSON: selected, expanded, ordered and paged (OGC 18-088 clauses 8 and 9.3.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from qinglan.core.clock import day_and_hour
from qinglan.core.errors import NotFound, UsageError
from qinglan.core.names import STATES, VALID
from qinglan.flow.sensorthings import (
    NAVIGATION,
    OBSERVATIONS,
    Hits,
    Model,
    Where,
    column,
    find,
    streams_with,
)
from qinglan.web.sensorthings.address import Target, observation_key, one_of, row_of
from qinglan.web.sensorthings.query import Query
from qinglan.web.sensorthings.where import orders, where

Row = dict[str, Any]

#: Entities that one answer may hold, expanded ones counted.
ENTITIES_MOST = 60_000
_HOUR = timedelta(hours=1)
_CONTROL = ("@iot.id", "@iot.selfLink")
_SAFE = "$()',;/=:@*"


class Answer:
    """Makes the answer to one request.

    root : address of the service, absolute and without a slash at its end. now : the instant of ``now()``.
    `unusual` gathers observations that quality control or review took away, to be told why.
    """

    def __init__(self, model: Model, root: str, now: datetime) -> None:
        self.model, self.root, self.now = model, root, now
        self.unusual: list[tuple[Row, tuple[str, str, datetime]]] = []
        self.made = 0
        self._chosen: dict[tuple[str, int], Any] = {}

    def collection(self, target: Target, query: Query, path: str) -> Row:
        """A page of a collection. path : of the collection below the service, for the next page."""
        name, parent = target.entity_set, target.parent
        if target.form == "$ref" and (query.expand or query.select):
            raise UsageError("$ref takes no $select and no $expand.")
        self.check(name, query)
        entities, more, count = self._page(name, parent, query, refs=target.form == "$ref")
        made: Row = {} if count is None else {"@iot.count": count}
        if more:
            made["@iot.nextLink"] = self._next(path, query)
        return made | {"value": entities}

    def entity(self, target: Target, query: Query) -> Row:
        """One entity."""
        assert target.key is not None
        for name in ("$filter", "$orderby", "$top", "$skip", "$count"):
            if name in query.texts:
                raise UsageError(f"{name} is for collections; this address is one entity.")
        self.check(target.entity_set, query)
        if target.form == "$ref":
            return {"@iot.selfLink": self._link(target.entity_set, target.key)}
        return self._one(target.entity_set, target.key, query)

    def value(self, target: Target) -> Any:
        """A property of an entity; NotFound when it has none."""
        assert target.key is not None
        found: Any = self._one(target.entity_set, target.key, Query())
        for name in target.path:
            name = "@iot.id" if name == "id" else name
            if not isinstance(found, dict) or name not in found:
                raise NotFound(f"{target.entity_set}({target.key!r}) has no {'/'.join(target.path)}.")
            found = found[name]
        return found

    def check(self, name: str, query: Query) -> None:
        """UsageError for a name in $select or $expand that the entity set does not have."""
        leads = NAVIGATION[name]
        known = (*_CONTROL, *self.model.properties(name), *leads)
        for path in query.select or ():
            first = "@iot.id" if path == "id" else path.partition("/")[0]
            if first not in known:
                raise UsageError(f"$select: {name} have no {path!r}.", remedy=f"There are {', '.join(known)}.")
        for path, inner in query.expand.items():
            if path not in leads:
                raise UsageError(f"$expand: {name} lead to no {path!r}.", remedy=f"There are {', '.join(leads)}.")
            self.check(leads[path][0], inner)

    def _page(
        self, name: str, parent: tuple[str, str] | None, query: Query, *, refs: bool = False
    ) -> tuple[list[Row], bool, int | None]:
        """Entities of a page, whether there are more, and how many there are when asked."""
        if name == OBSERVATIONS:
            hits = self._observations(parent, query)
            self._counted(len(hits.rows))
            if refs:
                keys = [self._key(*row) for row in hits.rows]
                return [{"@iot.selfLink": self._link(name, key)} for key in keys], hits.more, hits.count
            return [self._observation(*row, query) for row in hits.rows], hits.more, hits.count
        found = self._keys(name, parent, query)
        page = found[query.skip : query.skip + query.page]
        self._counted(len(page))
        made = [{"@iot.selfLink": self._link(name, k)} if refs else self._one(name, k, query) for k in page]
        more = query.page > 0 and len(found) > query.skip + query.page
        return made, more, len(found) if query.count else None

    def _counted(self, entities: int) -> None:
        self.made += entities
        if self.made > ENTITIES_MOST:
            raise UsageError(f"the answer would hold more than {ENTITIES_MOST} entities.",
                             remedy="Ask for less with $top, also in $expand.")  # fmt: skip

    def _keys(self, name: str, parent: tuple[str, str] | None, query: Query) -> Sequence[str]:
        """Ids of the entities that a filter keeps, in their order; the filter is judged once in a request."""
        own = self._own(name, parent)
        if query.where is None and not query.orders:
            return own
        at = (name, id(query))
        if at not in self._chosen:
            self._chosen[at] = self._judged(name, query)
        members = set(own)
        return [key for key in self._chosen[at] if key in members]

    def _own(self, name: str, parent: tuple[str, str] | None) -> Sequence[str]:
        if parent is None:
            return list(self.model.entities[name])
        return self.model.related(parent[0], name).get(parent[1], ())

    def _judged(self, name: str, query: Query) -> list[str]:
        """Ids that a filter keeps of the whole entity set, in their order."""
        told = where(self.model, name, query.where, self.now)
        keys = orders(self.model, name, query.orders, self.now)
        if any(part.startswith(f"{OBSERVATIONS}.") for key in keys for part in key.named):
            raise UsageError(
                f"$orderby: {name} have many observations.", remedy="Order the Observations themselves."
            )
        found = self.model.wide if told.streams is None else self.model.wide.filter(told.streams)
        if told.hours is not None:
            with_hours = streams_with(self.model, found.select("station", "item").rows(), told)
            kept = [(s, i) in with_hours for s, i in found.select("station", "item").rows()]
            found = found.filter(kept)
        if keys:
            down, names = [key.descending for key in keys], [f"#{k}" for k in range(len(keys))]
            found = found.with_columns([key.key.alias(n) for key, n in zip(keys, names, strict=True)])
            found = found.sort(names, descending=down, nulls_last=down, maintain_order=True)
        return found[column(name, "@iot.id")].drop_nulls().unique(maintain_order=True).to_list()

    def _observations(self, parent: tuple[str, str] | None, query: Query) -> Hits:
        """Observations of a page. What the filter says of streams is judged once in a request."""
        at = (OBSERVATIONS, id(query))
        if at not in self._chosen:
            told = where(self.model, OBSERVATIONS, query.where, self.now)
            allowed = None
            if told.streams is not None:
                allowed = set(self.model.wide.filter(told.streams).select("station", "item").rows())
            keys = orders(self.model, OBSERVATIONS, query.orders, self.now)
            self._chosen[at] = (Where(None, told.hours, told.named), allowed, keys)
        told, allowed, keys = self._chosen[at]
        streams = self.model.all_streams if parent is None else self.model.streams(*parent)
        if allowed is not None:
            streams = [stream for stream in streams if stream in allowed]
        hits = find(self.model, streams, told, keys, skip=query.skip, top=query.page, count=query.count)
        return Hits(hits.rows, hits.more and query.page > 0, hits.count)

    def _one(self, name: str, key: str, query: Query) -> Row:
        """One entity with what is expanded in it."""
        if name == OBSERVATIONS:
            row = row_of(self.model, key)
            assert row is not None
            return self._observation(*row, query)
        made: Row = {"@iot.id": key, "@iot.selfLink": self._link(name, key), **self.model.entities[name][key]}
        return self._finished(name, key, made, query)

    def _observation(self, station: str, item: str, row: int, query: Query) -> Row:
        """One hour of a station and item. A value that may not be used is null, and the quality says why."""
        assert self.model.series is not None
        hours = self.model.series.hours(station)
        end: datetime = hours.time[row].item()
        value, state = float(hours.values[item][row]), STATES[int(hours.states[item][row])]
        key = observation_key(station, item, end)
        time = end.replace(tzinfo=UTC)
        month = f"{day_and_hour(time)[0]:%Y-%m}"
        made: Row = {
            "@iot.id": key,
            "@iot.selfLink": self._link(OBSERVATIONS, key),
            "phenomenonTime": f"{end - _HOUR:%Y-%m-%dT%H:%M:%S}Z/{end:%Y-%m-%dT%H:%M:%S}Z",
            "resultTime": f"{end:%Y-%m-%dT%H:%M:%S}Z",
            "result": None if math.isnan(value) else value,
            "resultQuality": {
                "state": state,
                "status": "final" if self.model.is_final(station, month) else "provisional",
            },
        }
        if state != VALID:
            self.unusual.append((made["resultQuality"], (station, item, time)))
        return self._finished(OBSERVATIONS, key, made, query)

    def _finished(self, name: str, key: str, made: Row, query: Query) -> Row:
        """Choose properties, link or expand what the entity leads to."""
        wanted = None if query.select is None else {*query.select}
        link = self._link(name, key)
        if wanted is not None:
            made = _selected(made, query.select or ())
        for to_name, (to, many) in NAVIGATION[name].items():
            if to_name in query.expand:
                inner = query.expand[to_name]
                if not many:
                    made[to_name] = self._one(to, one_of(self.model, name, key, to), inner)
                    continue
                entities, more, count = self._page(to, (name, key), inner)
                if count is not None:
                    made[f"{to_name}@iot.count"] = count
                made[to_name] = entities
                if more:
                    below = link.removeprefix(self.root).lstrip("/")
                    made[f"{to_name}@iot.nextLink"] = self._next(f"{below}/{to_name}", inner)
            elif wanted is None or to_name in wanted:
                made[f"{to_name}@iot.navigationLink"] = f"{link}/{to_name}"
        return made

    def _key(self, station: str, item: str, row: int) -> str:
        assert self.model.series is not None
        return observation_key(station, item, self.model.series.hours(station).time[row].item())

    def _link(self, name: str, key: str) -> str:
        told = key if key.isalnum() and key.isascii() else quote(key.replace("'", "''"), safe=":_-.~'")
        return f"{self.root}/{name}('{told}')"

    def _next(self, path: str, query: Query) -> str:
        """Address of the next page: the same question further on. To be followed as it is."""
        told = dict(query.texts) | {"$skip": str(query.skip + query.page)}
        asked = "&".join(f"{name}={quote(text, safe=_SAFE)}" for name, text in told.items())
        return f"{self.root}/{path}?{asked}"


def _selected(made: Row, paths: Sequence[str]) -> Row:
    """The chosen properties, of nested ones their parts."""
    found: Row = {}
    for path in paths:
        source: Any = made
        target, parts = found, ("@iot.id" if path == "id" else path).split("/")
        for part in parts[:-1]:
            source = source.get(part) if isinstance(source, dict) else None
            target = target.setdefault(part, {}) if isinstance(source, dict) else {}
        if isinstance(source, dict) and parts[-1] in source:
            target[parts[-1]] = source[parts[-1]]
    return found
