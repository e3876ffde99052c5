"""Fitted models on the disk as plain data: text of trees, arrays, numbers. Nothing that is read can run.

A model is its class by name (:data:`MAKERS`) and what its attributes hold, parts (:data:`PARTS`) among them.
Arrays lie in ``models.npz``, the rest in ``models.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from qinglan.core.errors import StoreError
from qinglan.forecast.models import Model
from qinglan.forecast.models.climatology import Climatology
from qinglan.forecast.models.linear import Linear
from qinglan.forecast.models.nothing import Nothing
from qinglan.forecast.models.persistence import Persistence
from qinglan.forecast.models.season import Season
from qinglan.forecast.seasonal import Seasonal
from qinglan.forecast.series import History

#: Rows (series x origin x lead) that trees are grown on at most: more cost time and bring little here.
ROWS = 20_000
#: The same of hours, of which there are more.
HOUR_ROWS = 60_000
#: Leads of each origin that trees learn from.
DRAWN = 5
#: Trees of each ensemble.
ROUNDS = 60
_JSON, _ARRAYS = "models.json", "models.npz"
#: A model that is read needs no history: what it learnt is put into it.
_NONE = History(np.zeros((1, 1)), datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=1))


def has_trees() -> bool:
    """Whether LightGBM is there (the extra ``forecast``)."""
    return find_spec("lightgbm") is not None


def _every(history: History, rows: int, most: int) -> int:
    """How far apart origins lie that make at most so many rows and meet every hour of the day, or day of week."""
    every = max(1, -(-rows // most))
    while gcd(every, history.cycle) > 1:
        every += 1
    return every


def _trees(history: History, leads: Sequence[int], *, direct: bool) -> Model:
    from qinglan.forecast.models.boosted import Boosted
    from qinglan.forecast.models.direct import Direct

    rows = history.values.size * (len(leads) if history.cycle == 7 else DRAWN)
    every = _every(history, rows, ROWS if history.cycle == 7 else HOUR_ROWS)
    return (Direct if direct else Boosted)(every=every, rounds=ROUNDS, drawn=DRAWN)


#: Models by name, made for a history and leads.
MAKERS: Mapping[str, Callable[[History, Sequence[int]], Model]] = {
    "persistence": lambda history, leads: Persistence(),
    "climatology": lambda history, leads: Climatology(),
    "season": lambda history, leads: Season(),
    "linear": lambda history, leads: Linear(every=5 if history.cycle == 7 else 23),
    "boosted": partial(_trees, direct=False),
    "direct": partial(_trees, direct=True),
}
#: Those that need LightGBM.
TREES = ("boosted", "direct")
#: Those that a short history is enough for.
PLAIN = ("persistence", "climatology")
#: What models may be made of besides plain data, by name.
PARTS: Mapping[str, type] = {"linear": Linear, "seasonal": Seasonal, "nothing": Nothing}


def save(folder: Path, models: Mapping[str, Mapping[str, Model]]) -> None:
    """Write the models of each item (item to name to model)."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    told = {
        item: {name: _plain(vars(model), arrays) for name, model in named.items()}
        for item, named in models.items()
    }
    (folder / _JSON).write_text(json.dumps(told), encoding="utf-8")
    np.savez_compressed(folder / _ARRAYS, **arrays)  # type: ignore[arg-type]


def load(folder: Path) -> dict[str, dict[str, Model]]:
    """Read what :func:`save` wrote; StoreError when a file is missing or damaged."""
    try:
        told = json.loads((folder / _JSON).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as cause:
        raise StoreError(
            f"{folder.parent.name}/{folder.name} cannot be read: {cause}.",
            remedy="Train again: qinglan forecast train.",
        ) from cause
    return {
        item: {name: _model(name, state, held) for name, state in named.items()} for item, named in told.items()
    }


def _model(name: str, state: Any, arrays: Mapping[str, Any]) -> Model:
    made = MAKERS[name](_NONE, ())
    vars(made).update(_back(state, arrays))
    return made


def _plain(value: Any, arrays: dict[str, Any]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(k, arrays), _plain(v, arrays)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"tuple" if isinstance(value, tuple) else "list": [_plain(v, arrays) for v in value]}
    for name, kind in PARTS.items():
        if type(value) is kind:
            return {"part": [name, _plain(vars(value), arrays)]}
    if hasattr(value, "model_to_string"):
        return {"trees": value.model_to_string()}
    raise TypeError(f"a fitted model holds {type(value).__name__}, which is not kept; hold arrays, numbers, trees")


def _back(value: Any, arrays: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "array":
        return arrays[held]
    if kind == "pairs":
        return {_back(k, arrays): _back(v, arrays) for k, v in held}
    if kind == "part":
        part: Any = object.__new__(PARTS[held[0]])
        vars(part).update(_back(held[1], arrays))
        return part
    if kind == "trees":
        import lightgbm

        return lightgbm.Booster(model_str=held)
    items = [_back(v, arrays) for v in held]
    return tuple(items) if kind == "tuple" else items
