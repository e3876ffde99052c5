"""An emergency list of 5,000 enterprises completed at three levels: the programme beside two rules of thumb.

All three keep the same bounds, nesting and fairness and meet the same shares; they differ in what that costs.
"""

from __future__ import annotations

from benchmarks.racing import Bench, Contestant, Result

ENTERPRISES = 5_000


def run(bench: Bench) -> list[Result]:
    """Race; all meet the requirement, and the programme costs no more than either rule."""
    number = 200 if bench.quick else ENTERPRISES
    size = {"enterprises": number}
    rules = {
        "greedy: cheapest first": "greedy",
        "proportional: all the same share": "proportional",
    }
    job = "benchmarks.ours.emergency_list:"
    results = bench.race(
        f"emergency_list: {number:,} enterprises, three levels, four species",
        [
            Contestant("Qinglan (linopy, HiGHS), explained", f"{job}programme", size),
            *(Contestant(name, f"{job}rule", {**size, "name": rule}) for name, rule in rules.items()),
        ],
    )
    ours, *others = results
    assert ours.answer["met"], ours.answer
    assert ours.answer["said"] == 3 * ours.answer["lines"], ours.answer
    for other in others:
        assert other.answer["met"], (other.contestant.name, other.answer)
        assert ours.answer["cost"] <= other.answer["cost"] * (1 + 1e-6), (ours.answer, other.answer)
        more = other.answer["cost"] / ours.answer["cost"] - 1
        bench.say(f"  {other.contestant.name} costs {100 * more:.1f} % more")
    return results
