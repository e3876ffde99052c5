"""Why a completion makes a line cut what it cuts, and what stands in the way where the requirement is not met.

The price of a requirement (its dual value) is what the last percentage point of it costs. A line's cut is *worth*
its tonnes at these prices; it is cut where that is more than its own cost, until some constraint stops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from qinglan.episode.completion import LEVELS, SPECIES, Completion, Terms

LEVEL_WORDS = {"yellow": ("黄色", "yellow"), "orange": ("橙色", "orange"), "red": ("红色", "red")}
SPECIES_WORDS = {
    "pm": ("颗粒物", "PM"), "so2": ("二氧化硫", "SO2"), "nox": ("氮氧化物", "NOx"), "voc": ("VOCs", "VOCs"),
    "so2+nox": ("二氧化硫与氮氧化物合计", "SO2 and NOx together"),
}  # fmt: skip
#: Why a bound stands where it does: what `low_why` and `high_why` may be, in words.
BOUND_WORDS = {
    "none": ("无下限", "nothing asks for more"),
    "grade": ("绩效等级规定的措施", "what its grade demands"),
    "listed": ("清单已列措施", "what the list says already"),
    "exempt": ("A级或引领性企业自主减排", "grade A or leading: its own choice"),
    "protected": ("民生保障类", "needed by the people"),
    "ramp": ("停产所需时间长于预警提前量", "it cannot be down in the time that the warning gives"),
    "process": ("工艺不能停", "its process cannot stop"),
    "whole": ("已全部停产", "it stops altogether"),
}
#: What can be done about a bound where the requirement is not met.
REMEDIES = {
    "grade": (
        "核对绩效等级是否有效；各等级上限由指南规定",
        "check that the grades are valid; the guide sets their most",
    ),
    "listed": ("修订清单所列措施", "revise the measures of the list"),
    "exempt": (
        "请企业自愿承诺，或核对A级、引领性是否仍有效",
        "ask for voluntary cuts, or check that the grade still holds",
    ),
    "protected": (
        "核对民生保障认定；可减少非民生部分",
        "check who is protected; cut what is not needed by the people",
    ),
    "ramp": ("提前发布预警，或备妥更快的停产方案", "warn earlier, or prepare a faster way down"),
    "process": (
        "改为错峰或降低负荷，计入移动源和扬尘措施",
        "lower the load over the season; add mobile and dust measures",
    ),
    "whole": ("增加移动源、扬尘和其他部分的措施", "add measures of mobile sources, dust and others"),
    "band": ("放宽同级差距上限", "widen the band of fairness"),
}  # fmt: skip
#: Differences of shares below this are rounding of the solver.
_SAME = 1e-4


def explained(lines: pl.DataFrame, terms: Terms, found: Completion) -> pl.DataFrame:
    """One row for each line and level: `key, level, cut, why, worth_cny, whole_cny, zh, en`.

    lines : as given to :func:`qinglan.episode.completion.complete`. worth_cny : of a day's whole stop at the
    prices of the requirements of this level; whole_cny : its cost.
    """
    by_key = {row["key"]: row for row in lines.iter_rows(named=True)}
    base = {(b["group"], b["level"]): b["base"] for b in found.bases.iter_rows(named=True)}
    prices = [n for n in found.needs.iter_rows(named=True) if n["price_point"] > 0]
    cuts: dict[str, dict[str, float]] = {}
    for row in found.cuts.iter_rows(named=True):
        cuts.setdefault(row["key"], {})[row["level"]] = row["cut"]
    made = []
    for row in found.cuts.iter_rows(named=True):
        line, level = by_key[row["key"]], row["level"]
        worth = _worth(line, level, prices, terms)
        why, side = _why(row, line, cuts[row["key"]], base.get((line["group"], level), 0.0), terms.spread)
        bound = str(line[f"{side}_why_{level}"]) if side else ""
        zh, en = _sentence(row, why, bound, worth, float(line["cost"]))
        made.append(
            {
                "key": row["key"], "level": level, "cut": row["cut"], "why": why, "bound": bound,
                "worth_cny": worth, "whole_cny": float(line["cost"]), "zh": zh, "en": en,
            }
        )  # fmt: skip
    return pl.DataFrame(made)


def _worth(line: Mapping[str, Any], level: str, needs: list[dict[str, Any]], terms: Terms) -> float:
    return sum(
        float(need["price_point"]) * 100 * float(line[s]) / terms.base[s]
        for need in needs
        if need["level"] == level
        for s in need["need"].split("+")
        if terms.base.get(s, 0) > 0
    )


def _why(
    row: Mapping[str, Any], line: Mapping[str, Any], own: Mapping[str, float], base: float, spread: float
) -> tuple[str, str]:
    """What holds a cut where it is, and whose words tell it (a side of its bounds, or neither)."""
    level, cut, low = row["level"], row["cut"], row["low"]
    at, high = LEVELS.index(level), float(line[f"high_{level}"])
    if high <= _SAME:
        return "may_not", "high"
    if line["whole"]:
        return ("stops_whole" if cut > _SAME else "runs"), ""
    if cut >= high - _SAME:
        return "at_most", "high"
    if cut <= low + _SAME and low > _SAME:
        return "at_least", "low"
    if cut >= base + spread - _SAME:
        return "band_above", ""
    if cut <= _SAME:
        return "dear", ""
    if cut <= base + _SAME:
        return "band_below", ""
    if at and cut <= own[LEVELS[at - 1]] + _SAME:
        return "as_before", ""
    if at < 2 and cut >= own[LEVELS[at + 1]] - _SAME:
        return "as_next", ""
    return "last", ""


_SENTENCES = {
    "may_not": ("不减排：{bound}。", "Cuts nothing: {bound}."),
    "stops_whole": (
        "整线停产{cut}：由该线完成费用最低。",
        "Stops whole ({cut}): among such lines the cheapest set.",
    ),
    "runs": (
        "不停产：整线停产的费用高于其减排价值。",
        "Runs on: stopping it whole costs more than its cut is worth.",
    ),
    "at_most": ("减排{cut}，已到上限：{bound}。", "Cuts {cut}, its most: {bound}."),
    "at_least": (
        "减排{cut}，为下限：{bound}；再多不合算。",
        "Cuts {cut}, its least: {bound}; more would not pay.",
    ),
    "band_above": (
        "减排{cut}：与同行业同等级的差距已到上限，不再加码。",
        "Cuts {cut}: more would set it too far above others of its industry and grade.",
    ),
    "band_below": (
        "减排{cut}：按公平要求，不得比同行业同等级的其他企业少减过多。",
        "Cuts {cut}: fairness lets it not stay further behind others of its industry and grade.",
    ),
    "as_before": (
        "减排{cut}：级别升高时不得少于前一级。",
        "Cuts {cut}: a higher level may not cut less than the one before.",
    ),
    "as_next": ("减排{cut}：不得多于后一级。", "Cuts {cut}: it may not cut more than at the next level."),
    "dear": ("不减排：其他企业减排费用更低。", "Cuts nothing: others do it at less cost."),
    "last": ("减排{cut}：为满足要求所需的最后一份。", "Cuts {cut}: the last that the requirement needs."),
}  # fmt: skip
_PRICED = (
    "全停一天的减排按边际价格值{worth:,.0f}元，费用{cost:,.0f}元。",
    " A day's whole stop is worth {worth:,.0f} CNY at the marginal prices and costs {cost:,.0f} CNY.",
)


def _sentence(row: Mapping[str, Any], why: str, bound: str, worth: float, cost: float) -> tuple[str, str]:
    said = []
    for side, (text, priced) in enumerate(zip(_SENTENCES[why], _PRICED, strict=True)):
        words = BOUND_WORDS[bound][side] if bound else ""
        whole = text.format(cut=f"{100 * row['cut']:.1f} %", bound=words)
        said.append(whole + ("" if why == "may_not" else priced.format(worth=worth, cost=cost)))
    return said[0], said[1]


def held_back(lines: pl.DataFrame, terms: Terms, found: Completion) -> pl.DataFrame:
    """What stands in the way of each requirement that is not met, most first.

    `level, need, short` [shares], `why` (a reason of bounds, or ``band``), `points` (percentage points that it
    holds back), `lines` (how many), `zh, en, remedy_zh, remedy_en`. Empty where everything is met.
    """
    cut = {(r["key"], r["level"]): r["cut"] for r in found.cuts.iter_rows(named=True)}
    made = []
    for need in found.needs.filter(pl.col("short") > 0).iter_rows(named=True):
        level = need["level"]
        sums: dict[str, list[float]] = {}
        for line in lines.iter_rows(named=True):
            points = sum(
                100 * line[s] / terms.base[s] for s in need["need"].split("+") if terms.base.get(s, 0) > 0
            )
            high, own = float(line[f"high_{level}"]), cut[line["key"], level]
            for why, share in ((str(line[f"high_why_{level}"]), 1.0 - high), ("band", high - own)):
                if share > _SAME and points > 0:
                    entry = sums.setdefault(why, [0.0, 0])
                    entry[0] += share * points
                    entry[1] += 1
        made += [_held(need, why, total, int(number)) for why, (total, number) in sums.items()]
    schema = {"level": pl.String, "need": pl.String, "short": pl.Float64, "why": pl.String, "points": pl.Float64}
    if not made:
        words = dict.fromkeys(("zh", "en", "remedy_zh", "remedy_en"), pl.String)
        return pl.DataFrame(schema={**schema, "lines": pl.Int64, **words})
    order = {level: at for at, level in enumerate(LEVELS)}
    made.sort(key=lambda m: (order[m["level"]], m["need"], -m["points"]))
    return pl.DataFrame(made)


def _held(need: Mapping[str, Any], why: str, points: float, number: int) -> dict[str, Any]:
    level, species = LEVEL_WORDS[need["level"]], SPECIES_WORDS[need["need"]]
    words = {**BOUND_WORDS, "band": ("同行业同等级差距上限", "the band of fairness")}[why]
    short = 100 * need["short"]
    remedy = REMEDIES.get(why, REMEDIES["whole"])
    return {
        "level": need["level"], "need": need["need"], "short": need["short"], "why": why, "points": points,
        "lines": number,
        "zh": f"{level[0]}预警{species[0]}还差{short:.2f}个百分点；"
        f"{words[0]}使{number}条线少减{points:.2f}个百分点。",
        "en": f"{species[1]} at {level[1]} lacks {short:.2f} points; "
        f"{number} lines give {points:.2f} points less: {words[1]}.",
        "remedy_zh": remedy[0], "remedy_en": remedy[1],
    }  # fmt: skip


def needs_in_words(found: Completion) -> list[tuple[str, str]]:
    """Each requirement in a sentence: required, reached, and what its last tonne costs."""
    said = []
    for need in found.needs.iter_rows(named=True):
        level, species = LEVEL_WORDS[need["level"]], SPECIES_WORDS[need["need"]]
        shares = f"{100 * need['reached']:.1f} %", f"{100 * need['required']:.1f} %"
        tonne = next((need[f"price_{s}"] for s in SPECIES if s in need["need"].split("+")), None)
        zh = f"{level[0]}预警{species[0]}减排{shares[0]}，要求{shares[1]}"
        en = f"{species[1]} at {level[1]}: {shares[0]} of {shares[1]}"
        if need["price_point"] > 0 and tonne:
            zh, en = f"{zh}，最后一吨费用{tonne:,.0f}元", f"{en}, the last tonne costs {tonne:,.0f} CNY"
        said.append((f"{zh}。", f"{en}."))
    return said
