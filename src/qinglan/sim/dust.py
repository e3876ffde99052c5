"""Dust: events that start somewhere, travel with a front and fade, with the truth of where they were when.

An event is drawn per calendar year from its own stream. At a place it adds PM10 that rises over a few hours and
fades over half a day; the share of fine particles falls as the event grows, so the ratio PM2.5/PM10 drops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from qinglan.plan.simulation import Parameters, Profile, Route
from qinglan.sim.streams import Array, Calendar, stream

KM_PER_DEGREE = 90.0  # of longitude at 36° N

#: How long after its arrival an event is followed [h].
SPAN = 120


@dataclass(frozen=True, slots=True)
class Event:
    """One dust event: `onset` is the hour index at the route's head, `peak` its PM10 there [µg/m³]."""

    number: str
    route: Route
    onset: float
    peak: float
    rise: float
    decay: float

    def arrival(self, profile: Profile) -> float | None:
        """Hour index at which it reaches a place, None where it does not go."""
        reach = self.route.reach.get(profile.name)
        return None if reach is None else self.onset + reach[0]

    def added(self, profile: Profile, hours: Array, lag: float = 0.0) -> Array:
        """PM10 it adds at a place at hour indices [µg/m³]; `lag` is the further way to a station [h]."""
        reach = self.route.reach.get(profile.name)
        if reach is None:
            return np.zeros_like(hours)
        since = hours - (self.onset + reach[0] + lag)
        rise = 1.0 / (1.0 + np.exp(-np.clip(4 * (since - self.rise) / self.rise, -50, 50)))
        fade = np.exp(-np.maximum(since - 2 * self.rise, 0.0) / self.decay)
        return np.where(since < -2 * self.rise, 0.0, self.peak * reach[1] * rise * fade)


def events(parameters: Parameters, calendar: Calendar, seed: int) -> list[Event]:
    """All events of the calendar's years, in order of onset."""
    table = parameters.dust
    routes = list(parameters.routes.values())
    weights = np.array([r.weight for r in routes])
    found = []
    for year in np.unique(calendar.year):
        draw = stream(seed, "dust", int(year))
        in_year = np.flatnonzero(calendar.year == year)
        first = int(in_year[0]) - int(calendar.day_of_year[in_year[0]])
        for month, rate in enumerate(table["events_per_month"]):
            for number in range(int(draw.poisson(rate))):
                day, hour = draw.uniform(0, 30), draw.normal(15, 5)
                size, route = draw.standard_normal(), int(draw.choice(len(routes), p=weights / weights.sum()))
                rise, decay = draw.uniform(*table["rise_hours"]), draw.uniform(*table["decay_hours"])
                peak = table["peak"]["median"] * float(np.exp(table["peak"]["spread"] * size))
                peak = min(peak * table["size_by_month"][month], table["peak"]["largest"])
                onset = (first + np.floor(month * 30.44 + day)) * 24 + hour
                name = f"{year}-{month + 1:02d}-{number + 1}"
                found.append(Event(name, routes[route], float(onset), float(peak), float(rise), float(decay)))
    return sorted(found, key=lambda e: e.onset)


def station_dust(
    found: list[Event], profile: Profile, lon: float, parameters: Parameters, flicker: Array
) -> tuple[Array, Array]:
    """PM10 and PM2.5 that dust adds at a station, hourly [µg/m³].

    flicker : multiplicative log-noise of the station, length of the calendar [1]
    """
    coarse, fine = np.zeros(flicker.size), np.zeros(flicker.size)
    share = parameters.dust["fine_share"]
    lag = (lon - profile.lon) * KM_PER_DEGREE / parameters.dust["front_km_per_hour"]
    for event in found:
        arrival = event.arrival(profile)
        if arrival is None:
            continue
        # A front from the east meets the eastern station first.
        further = -lag if event.route.name == "hexi" else lag
        low = max(0, int(arrival + further) - 24)
        high = min(flicker.size, int(arrival + further) + SPAN)
        if high <= low:
            continue
        added = event.added(profile, np.arange(low, high, dtype=np.float64), further)
        added = added * np.exp(0.18 * flicker[low:high])
        strength = np.minimum(added / share["strong_at"], 1.0)
        coarse[low:high] += added
        fine[low:high] += added * (share["weak"] + (share["strong"] - share["weak"]) * strength)
    return coarse, fine


TRUTH_SCHEMA = pa.schema(
    [
        pa.field("place", pa.string(), nullable=False),
        pa.field("start", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("end", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("peak", pa.float64(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
    ]
)


def truth(
    found: list[Event], profiles: dict[str, Profile], parameters: Parameters, calendar: Calendar
) -> list[dict[str, Any]]:
    """Where it was truly dusty: per place and event the first and last dust hour (UTC ends, both included).

    profiles : place code -> profile. `peak` is the largest PM10 the event adds at the centre of the place.
    """
    mark = parameters.dust["truth_threshold"]
    rows: list[dict[str, Any]] = []
    for place, profile in sorted(profiles.items()):
        for event in found:
            arrival = event.arrival(profile)
            if arrival is None:
                continue
            low, high = max(0, int(arrival) - 24), min(calendar.hours, int(arrival) + SPAN)
            if high <= low:
                continue
            added = event.added(profile, np.arange(low, high, dtype=np.float64))
            dusty = np.flatnonzero(added >= mark)
            if dusty.size:
                rows.append(
                    {
                        "place": place,
                        "start": calendar.time[low + dusty[0]],
                        "end": calendar.time[low + dusty[-1]],
                        "peak": round(float(added.max()), 1),
                        "event": event.number,
                    }
                )
    return rows
