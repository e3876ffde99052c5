"""What an address names: a collection, an entity, a property of one (OGC 18-088 clause 9.3.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from qinglan.core.errors import NotFound
from qinglan.flow.sensorthings import ENTITY_SETS, NAVIGATION, OBSERVATIONS, Model, observation_parts
from qinglan.flow.series import instant

_SEGMENT = re.compile(r"(?P<name>[\w$@.]+)(?:\((?P<key>'(?:[^']|'')*'|[^()'/]+)\))?(?:/|$)")


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for.

    parent : entity set and id that a collection is taken from; None for all. key : id of one entity, or None for
    the collection. path : property of the entity. form : ``$value``, ``$ref``, or nothing.
    """

    entity_set: str
    key: str | None = None
    parent: tuple[str, str] | None = None
    path: tuple[str, ...] = ()
    form: str = ""


def resolve(model: Model, path: str) -> Target:
    """Walk along an address; NotFound where it leads nowhere."""
    segments = _segments(path)
    name, key = segments[0]
    if name not in ENTITY_SETS:
        raise NotFound(f"there is no entity set {name[:80]!r}.", remedy=f"There are {', '.join(ENTITY_SETS)}.")
    at = _keyed(model, Target(name), key)
    for name, key in segments[1:]:
        at = _step(model, at, name, key)
    return at


def _segments(path: str) -> list[tuple[str, str | None]]:
    found, at = [], 0
    while at < len(path):
        match = _SEGMENT.match(path, at)
        if match is None:
            raise NotFound(f"address {path[:200]!r} is not understood at {path[at : at + 40]!r}.")
        key = match["key"]
        if key is not None and key.startswith("'"):
            key = key[1:-1].replace("''", "'")
        found.append((match["name"], key))
        at = match.end()
    return found


def _step(model: Model, at: Target, name: str, key: str | None) -> Target:
    """One part of an address further."""
    if at.form:
        raise NotFound(f"nothing lies behind {at.form}.")
    if name == "$ref" and not at.path:
        return Target(at.entity_set, at.key, at.parent, form=name)
    if at.key is None:
        raise NotFound(
            f"{name[:80]} of which of the {at.entity_set}?", remedy=f"Name one: {at.entity_set}('...')."
        )
    if name == "$value" and at.path:
        return Target(at.entity_set, at.key, at.parent, at.path, name)
    leads = NAVIGATION[at.entity_set].get(name)
    if leads is None or at.path:
        if key is not None or (not at.path and name not in (*model.properties(at.entity_set), "@iot.id", "id")):
            raise NotFound(f"{at.entity_set} have no {name[:80]!r}.")
        return Target(at.entity_set, at.key, at.parent, (*at.path, name))
    to, many = leads
    if many:
        return _keyed(model, Target(to, parent=(at.entity_set, at.key)), key)
    if key is not None:
        raise NotFound(f"{name} is one entity and takes no id.")
    return Target(to, one_of(model, at.entity_set, at.key, to))


def one_of(model: Model, entity_set: str, key: str, to: str) -> str:
    """Id of the one entity that an entity leads to."""
    if entity_set == OBSERVATIONS:
        station = key.rpartition(":")[0].rpartition(":")[0]
        return station if to == "FeaturesOfInterest" else key.rpartition(":")[0]
    return model.related(entity_set, to)[key][0]


def _keyed(model: Model, collection: Target, key: str | None) -> Target:
    """The entity of a collection with this id; NotFound when it has none."""
    if key is None:
        return collection
    name, parent = collection.entity_set, collection.parent
    if name == OBSERVATIONS:
        known = row_of(model, key) is not None
        if known and parent is not None:
            station, item, _ = observation_parts(key) or ("", "", None)
            known = (station, item) in model.streams(*parent)
    else:
        known = key in model.entities[name]
        if known and parent is not None:
            known = key in model.related(parent[0], name).get(parent[1], ())
    if not known:
        raise NotFound(f"there is no {name}({key[:80]!r}) here.")
    return Target(name, key)


def row_of(model: Model, key: str) -> tuple[str, str, int] | None:
    """Station, item and row of the hours of an observation's id; None when there is no such hour."""
    parts = observation_parts(key)
    if parts is None or model.series is None or f"{parts[0]}:{parts[1]}" not in model.entities["Datastreams"]:
        return None
    station, item, time = parts
    times = model.series.hours(station).time
    row = int(np.searchsorted(times, instant(time)))
    return (station, item, row) if row < len(times) and times[row] == instant(time) else None


def observation_key(station: str, item: str, time: datetime) -> str:
    """Id of an observation: station, item and the end of the hour.

    >>> observation_key("1480A", "pm2_5", datetime(2025, 1, 1, 1))
    '1480A:pm2_5:20250101T01Z'
    """
    return f"{station}:{item}:{time:%Y%m%dT%H}Z"
