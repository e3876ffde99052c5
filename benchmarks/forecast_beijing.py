"""PM2.5 of twelve Beijing stations, 1 to 72 h ahead, rolled over the last of four years, beside simpler ways.

Twice: with observed weather in place of a perfect forecast, and with weather known up to the cut-off only. Nothing
after a cut-off is used for anything else. Slow peers run on every ``THIN``-th origin; ours is compared there too.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.racing import Bench, Contestant, Result, growth

FILE = "uci_beijing_multisite_2013_2017/PRSA_Data_12stations_20130301-20170228.csv.gz"
LEADS = [1, 2, *range(3, 73, 3)]
#: Hours between origins: prime to 24, so that all hours of the day have their turn.
EVERY = 23
THIN = 24
SCORES = ("rmse", "mae", "crps", "coverage_50", "coverage_80", "coverage_90")


def run(bench: Bench) -> list[Result]:
    """Race each mode, print scores by lead, and say at which leads ours is the best."""
    file = Path(os.environ.get("QINGLAN_TEST_DATA", "../shared/data")) / FILE
    if not file.exists():
        bench.say(f"\nforecast_beijing: left out, no {FILE} in QINGLAN_TEST_DATA")
        return []
    size = {"stations": 12, "days": 1461, "back": 365, "every": EVERY, "leads": LEADS, "thin": THIN}
    if bench.quick:
        size = {"stations": 2, "days": 150, "back": 20, "every": 29, "leads": [1, 6, 24], "thin": 8}
    job, trees = {"file": str(file.resolve()), **size}, {"rounds": 5 if bench.quick else 150}
    once = replace(bench, rounds=1)
    absent = "left out of a quick run: its compiler takes longer than the race" if bench.quick else ""
    if find_spec("statsforecast") is None:
        absent = "not installed: pip install statsforecast"
    stats = [
        Contestant(
            f"statsforecast {model}",
            "benchmarks.peers.statsforecast_series:rolled",
            {**job, "model": model},
            absent=absent,
        )
        for model in ("AutoTheta", "AutoETS")
    ]
    everyone = [Contestant("persistence, climatology", "benchmarks.ours.forecasting:baselines", job), *stats]
    results: list[Result] = []
    for ahead in (True,) if bench.quick else (False, True):
        mode = "observed weather as a perfect forecast" if ahead else "weather up to the cut-off only"
        found = once.race(
            f"forecast_beijing: {mode}",
            [
                Contestant("Qinglan", "benchmarks.ours.forecasting:blended", {**job, **trees, "ahead": ahead}),
                Contestant(
                    "plain LightGBM", "benchmarks.peers.plain_lightgbm:rolled", {**job, **trees, "ahead": ahead}
                ),
                *([] if results else everyone),
            ],
        )
        results += found
        others = [*found, *(r for r in results if r.contestant in everyone and r not in found)]
        said = {name: answer for result in others for name, answer in result.answer.items()}
        report(bench, said)
        (bench.scratch("forecast-beijing") / f"{'ahead' if ahead else 'none'}.json").write_text(json.dumps(said))
    stations = 2 if bench.quick else 12
    sizes = [
        Contestant(
            f"{stations * times} stations",
            "benchmarks.ours.forecasting:operation",
            {"stations": stations * times, "days": 8 if bench.quick else 90, **trees},
        )
        for times in (1, 10)
    ]
    small, large = once.race("forecast_beijing: fit on 90 days, and one forecast of 72 h", sizes)
    bench.say(growth(small, large, 10))
    bench.say(f"  one forecast of {large.contestant.name}: {large.answer['forecast']:.1f} s")
    return [*results, small, large]


def report(bench: Bench, said: dict[str, Any]) -> None:
    """Scores by lead on all origins and on the thinned ones, and skill over the best peer."""
    for part in ("all", "few"):
        there = {name: answer for name, answer in said.items() if answer[part]}
        number = next(iter(there.values()))["origins" if part == "all" else "thinned"]
        rows = {name: {int(row["lead"]): row for row in answer[part]} for name, answer in there.items()}
        leads = list(rows["Qinglan"])
        shown = [lead for lead in leads if lead in (1, 3, 6, 12, 24, 36, 48, 60, 72)]
        for score in SCORES if part == "all" else SCORES[:3]:
            bench.say(f"  {score}, {number} origins{'':8s}" + "".join(f"{lead:>8d}" for lead in shown))
            for name, found in rows.items():
                bench.say(f"    {name:28s}" + "".join(f"{found[lead][score]:8.3f}" for lead in shown))
        peers = [name for name in rows if not name.startswith(("Qinglan", "its "))]
        for score in SCORES[:3]:
            skill = {
                lead: 1 - rows["Qinglan"][lead][score] / min(rows[peer][lead][score] for peer in peers)
                for lead in leads
            }
            bad = [lead for lead in leads if lead >= 6 and not skill[lead] > 0]
            worst = min((lead for lead in leads if lead >= 6), key=lambda lead: skill[lead])
            bench.say(
                f"  {score}, {number} origins: better than the best of {', '.join(peers)} from 6 h on: "
                f"{'yes' if not bad else f'NOT at {bad}'}; least {100 * skill[worst]:.1f} % at {worst} h"
            )
    off = {
        score: max(abs(row[score] - int(score[-2:]) / 100) for row in said["Qinglan"]["all"])
        for score in SCORES[3:]
    }
    bench.say(
        "  furthest from nominal at any lead: " + ", ".join(f"{k} {100 * v:.1f} points" for k, v in off.items())
    )
