"""Training: models fitted on what was known, weighed on the days kept from them, and written with a card.

``forecasts/models/<id>/`` holds ``card.json``, the models (:mod:`keeping`) and ``check-<item>.npz``: the forecasts
of the last days (kept from fitting) by each model, on which :func:`run` weighs and calibrates. Never overwritten.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from qinglan import __version__
from qinglan.core.errors import StoreError, UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.provenance import Run as Making
from qinglan.core.rulebook import RuleBook
from qinglan.flow.forecasts import keeping
from qinglan.flow.forecasts.history import Known, known
from qinglan.flow.views import result
from qinglan.forecast.backtest import Run, roll
from qinglan.forecast.blend import blend
from qinglan.forecast.conformal import calibrate
from qinglan.forecast.models import Model
from qinglan.forecast.series import LEVELS, Floats, History
from qinglan.plan.rules import load_book

Progress = Callable[[str], None]

FOLDER = Path("forecasts") / "models"
_CARD = "card.json"
#: Days between two origins of the check.
_STEP = 4


@dataclass(frozen=True)
class Training:
    """The model card: what was learnt from which days, with which scores on the days kept from it.

    series : item to its places, in the order of the arrays. scores : rows of item, model, lead, RMSE, MAE, CRPS,
    coverage_80 over the check. notes : what was missing. All days are official; `start` and `cut_off` are both
    days of data.
    """

    id: str
    made_at: str
    start: str
    cut_off: str
    check_from: str | None
    leads: tuple[int, ...]
    series: Mapping[str, tuple[str, ...]]
    models: tuple[str, ...]
    scores: tuple[Mapping[str, Any], ...]
    notes: tuple[Mapping[str, Any], ...]
    inputs: Mapping[str, str]
    code_version: str = __version__

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)

    @property
    def first(self) -> date:
        """First day of data."""
        return date.fromisoformat(self.start)

    @property
    def last(self) -> date:
        """Last day that was learnt from."""
        return date.fromisoformat(self.cut_off)


def train(workspace: result.Workspace, made_at: datetime, *, progress: Progress = lambda _: None) -> Training:
    """Fit every model on what was known at an instant; the training that is there when nothing has changed.

    Raises NotFound without daily values, UsageError when no place knows any pollutant on enough days.
    """
    book = load_book("forecast", made_at.date())
    data = known(workspace, made_at)
    making = Making(
        "forecast-training", made_at, {"history": data.hash}, (book.use(),),
        {"cut_off": data.cut_off.isoformat(), "trees": keeping.has_trees()},
    )  # fmt: skip
    name = f"{data.cut_off:%Y%m%d}-{making.id[:8]}"
    folder = workspace.home / FOLDER / name
    if folder.is_dir():
        return read(folder)
    horizon, late = int(book.number("horizon.days")), int(book.number("history.late_days_max"))
    leads = tuple(range(1, horizon + 2 + late))
    series = {item: data.with_item(item, book.number("history.days_min")) for item in DAILY_ITEMS}
    if not any(series.values()):
        raise UsageError(
            f"no place knows any pollutant on {book.number('history.days_min')} days up to {data.last}.",
            remedy="Load more days of observations.",
        )
    length = (data.last - data.first).days + 1
    names, notes = allowed(length, book)
    check = min(int(book.number("check.days")), length // 4)
    progress(f"training on {data.first}..{data.last}")
    models: dict[str, dict[str, Model]] = {}
    checks: dict[str, dict[str, Run]] = {}
    for item, places in series.items():
        if places:
            progress(item)
            history = data.history(item, places, data.first)
            checks[item] = checked(history, names, leads, check, _STEP)
            models[item] = {n: fitted(n, history, leads) for n in names}
    card = Training(
        name, made_at.isoformat(), data.first.isoformat(), data.last.isoformat(),
        (data.last - timedelta(days=check - 1)).isoformat() if any(checks.values()) else None,
        leads, series, names, scores_of(checks), notes, {"history": data.hash, "run": data.run},
    )  # fmt: skip
    keep(folder, card, models, checks)
    return card


def allowed(length: int, book: RuleBook) -> tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    """Models that so many days allow, and what to say of the others."""
    least = int(book.number("history.learn_days_min"))
    if length < least:
        return keeping.PLAIN, ({"code": "short_history", "days": length, "least": least},)
    if not keeping.has_trees():
        return tuple(name for name in keeping.MAKERS if name not in keeping.TREES), ({"code": "no_trees"},)
    return tuple(keeping.MAKERS), ()


def fitted(name: str, history: History, leads: tuple[int, ...]) -> Model:
    """A model by its name, learnt from a history."""
    model = keeping.MAKERS[name](history, leads)
    model.fit(history, leads)
    return model


def checked(
    history: History, names: tuple[str, ...], leads: tuple[int, ...], check: int, step: int
) -> dict[str, Run]:
    """Forecasts of the last steps, ``step`` apart, by models that have not seen them; none when they are few."""
    before = history.length - check
    if check < max(leads) or not np.isfinite(history.values[:, :before]).any(axis=1).all():
        return {}
    unknown = np.full((history.values.shape[0], max(leads)), np.nan)
    padded = replace(history, values=np.concatenate([history.values, unknown], axis=1))
    origins = range(before, history.length + 1, step)
    return {name: roll(fitted(name, history.until(before), leads), padded, origins, leads) for name in names}


def scores_of(checks: Mapping[str, Mapping[str, Run]]) -> tuple[Mapping[str, Any], ...]:
    """Scores of each model, their blend and the calibrated blend, by item and lead."""
    rows: list[Mapping[str, Any]] = []
    for item, named in checks.items():
        if not named:
            continue
        both = blend(list(named.values()))
        for run in (*named.values(), both, calibrate(both)):
            rows += [{"item": item, "model": run.name, **row} for row in run.scores()]
    return tuple(rows)


def keep(
    folder: Path,
    card: Training,
    models: Mapping[str, Mapping[str, Model]],
    checks: Mapping[str, Mapping[str, Run]],
) -> None:
    """The whole folder or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        keeping.save(draft, models)
        for item, named in checks.items():
            arrays: dict[str, Floats] = {}
            for name, run in named.items():
                arrays |= {f"{name}.values": run.values, f"{name}.mean": run.mean, "observed": run.observed}
                arrays["origins"] = np.array(run.origins, dtype=np.float64)
            np.savez_compressed(draft / f"check-{item}.npz", **arrays)  # type: ignore[arg-type]
        told = json.dumps(card.as_dict(), ensure_ascii=False, indent=1)
        (draft / _CARD).write_text(told, encoding="utf-8")
        if not folder.is_dir():
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def trainings(workspace: result.Workspace) -> tuple[Training, ...]:
    """All trainings, the one with the newest data first."""
    root = workspace.home / FOLDER
    folders = [p for p in root.iterdir() if not p.name.startswith(".")] if root.is_dir() else []
    return tuple(sorted((read(p) for p in folders), key=lambda t: (t.cut_off, t.made_at), reverse=True))


def read(folder: Path) -> Training:
    """A training's card; StoreError when it cannot be read."""
    try:
        told = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        told["series"] = {item: tuple(places) for item, places in told["series"].items()}
        held: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
        return Training(**held)
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise StoreError(
            f"forecasts/models/{folder.name}/{_CARD} cannot be read: {cause}.",
            remedy="Move the folder away and train again: qinglan forecast train.",
        ) from cause


def fitting(workspace: result.Workspace, data: Known, book: RuleBook) -> tuple[Training | None, int]:
    """The newest training that knew nothing after the last day of `data`, and its age in days."""
    last = data.last
    for found in trainings(workspace):
        same = found.code_version == __version__ and set(data.places) >= {
            p for s in found.series.values() for p in s
        }
        if found.last <= last and found.first >= data.first and same:
            return found, (last - found.last).days
    return None, 0


@lru_cache(maxsize=2)
def models_of(folder: Path) -> tuple[dict[str, dict[str, Model]], dict[str, dict[str, Run]]]:
    """Fitted models, and the forecasts of the check, by item and model."""
    card = read(folder)
    checks: dict[str, dict[str, Run]] = {}
    for item in card.series:
        path = folder / f"check-{item}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as arrays:
                if "origins" in arrays.files:
                    origins = tuple(int(at) for at in arrays["origins"])
                    checks[item] = {
                        name: Run(name, arrays[f"{name}.values"], arrays[f"{name}.mean"], arrays["observed"],
                                  origins, card.leads, LEVELS)
                        for name in card.models
                    }  # fmt: skip
    return keeping.load(folder), checks
