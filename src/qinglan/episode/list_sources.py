"""An emergency list held against the ledgers and the inventory: who and what is missing, strange or not alike.

Coverage is asked both ways: what emits must be listed, and what is listed must be there and emit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from qinglan.core.rulebook import RuleBook
from qinglan.episode.completion import SPECIES
from qinglan.episode.emergency_list import FINDINGS
from qinglan.episode.reasons import SPECIES_WORDS

#: Checks of this module, beside those of :mod:`qinglan.episode.emergency_list`.
CHECKS = ("line_missing", "stranger", "unknown_line", "no_inventory", "grade", "tonnes", "inspection_only")


def against(rows: pl.DataFrame, lines: pl.DataFrame, working: Mapping[str, str], cuts: RuleBook) -> pl.DataFrame:
    """Findings (:data:`qinglan.episode.emergency_list.FINDINGS`) of a list beside the ledgers.

    rows : of :func:`qinglan.episode.emergency_list.listed`. lines : :data:`qinglan.episode.list_rows.LINES` of all
    lines in use. working : name by credit code of the enterprises that the ledger knows as not closed; an
    empty one says nothing.
    """
    by_key = {(r["uscc"], r["line_no"]): r for r in lines.iter_rows(named=True)}
    listed = {(r["uscc"], r["line_no"]) for r in rows.iter_rows(named=True)}
    made = [
        *_missing(listed, by_key), *_strange(rows, by_key, working), *_grades(rows, by_key),
        *_tonnes(rows, by_key, cuts.number("tonnes.ratio")), *_blind(rows, by_key),
    ]  # fmt: skip
    return pl.DataFrame(made, schema=FINDINGS)


def _found(check: str, key: str, value: str, *words: str) -> dict[str, str]:
    return dict(zip(FINDINGS, (check, key, "", value, *words), strict=True))


_Lines = Mapping[tuple[str, str], Mapping[str, Any]]


def _emits(line: Mapping[str, Any]) -> bool:
    return any((line[s] or 0.0) > 0 for s in SPECIES)


def _missing(listed: set[tuple[str, str]], by_key: _Lines) -> Iterable[dict[str, str]]:
    """Lines that emit, of enterprises that are on the list with others (those without any: check coverage)."""
    known = {uscc for uscc, _ in listed}
    for (uscc, number), line in by_key.items():
        if uscc in known and (uscc, number) not in listed and _emits(line):
            yield _found(
                "line_missing", "", number, f"{line['enterprise']}的{line['line']}（{number}）未纳入清单。",
                f"{line['line']} ({number}) of {line['enterprise']} is not on the list.",
                "纳入清单。", "List it.",
            )  # fmt: skip


def _strange(rows: pl.DataFrame, by_key: _Lines, working: Mapping[str, str]) -> Iterable[dict[str, str]]:
    known = {uscc for uscc, _ in by_key}
    for row in rows.iter_rows(named=True):
        if working and row["uscc"] not in working:
            yield _found(
                "stranger", row["_key"], row["uscc"], "清单内企业不在涉气企业台账中，或已关闭。",
                "The enterprise is not in the ledger of enterprises, or is closed.",
                "核对信用代码，或移出清单。", "Check the credit code, or take it off the list.",
            )  # fmt: skip
        elif known and (row["uscc"], row["line_no"]) not in by_key:
            yield _found(
                "unknown_line", row["_key"], row["line_no"], "清单内生产线不在在用设施台账中。",
                "By the ledgers of lines and devices it is not in use.",
                "核对编号和状态；停用的不能计减排量。", "Check number and state; what does not run cuts nothing.",
            )  # fmt: skip
        elif known and not _emits(by_key[row["uscc"], row["line_no"]]):
            yield _found(
                "no_inventory", row["_key"], row["line_no"], "排放清单中该线无排放量，清单所列日排放量无从核对。",
                "The inventory has no emission of this line, so its listed tonnage cannot be checked.",
                "补齐产量和系数，见排放清单的缺口。", "Fill output and factor: see the inventory's gaps.",
            )  # fmt: skip


def _grades(rows: pl.DataFrame, by_key: _Lines) -> Iterable[dict[str, str]]:
    for row in rows.iter_rows(named=True):
        line = by_key.get((row["uscc"], row["line_no"]))
        if line is None or line["grade_from"] not in ("assessed", "expired") or line["grade"] == row["grade"]:
            continue
        ended = line["grade_from"] == "expired"
        yield _found(
            "grade", row["_key"], row["grade"],
            f"清单等级{row['grade']}，{'评定已到期' if ended else '有效评定为' + line['grade']}。",
            f"The list says grade {row['grade']}; "
            f"{'its assessment has ended' if ended else 'in force is ' + line['grade']}.",
            "按有效评定更正等级和措施。", "Correct grade and measures by what is in force.",
        )  # fmt: skip


def _tonnes(rows: pl.DataFrame, by_key: _Lines, most: float) -> Iterable[dict[str, str]]:
    """Tonnage unlike the inventory's; below 1 kg a day on both sides nothing is asked."""
    for row in rows.iter_rows(named=True):
        line = by_key.get((row["uscc"], row["line_no"]))
        if line is None or not _emits(line):
            continue
        said = []
        for s in SPECIES:
            mine, theirs = float(row[s] or 0.0), float(line[s] or 0.0)
            if max(mine, theirs) > 1e-3 and (mine > most * theirs or theirs > most * mine):
                said.append((s, f"{1000 * mine:.4g}/{1000 * theirs:.4g} kg/d"))
        if said:
            zh = "、".join(f"{SPECIES_WORDS[s][0]}{v}" for s, v in said)
            en = ", ".join(f"{SPECIES_WORDS[s][1]} {v}" for s, v in said)
            yield _found(
                "tonnes", row["_key"], said[0][1],
                f"清单与排放清单的日排放量相差{most:g}倍以上（清单/排放清单）：{zh}。",
                f"Listed and inventoried tonnage differ more than {most:g} times (list/inventory): {en}.",
                "核对产量、系数和在线监测数据。", "Check output, factors and stack data.",
            )  # fmt: skip


def _blind(rows: pl.DataFrame, by_key: _Lines) -> Iterable[dict[str, str]]:
    for row in rows.iter_rows(named=True):
        line = by_key.get((row["uscc"], row["line_no"]))
        if line and not row["guaranteed"] and row["red_cut"] and not line["electricity"] and not line["stack"]:
            yield _found(
                "inspection_only", row["_key"], row["verified_by"] or "",
                "台账无用电监控，排放口无在线监测：减排只能靠现场检查核实。",
                "Neither electricity nor stack is monitored: the cut can only be checked by inspection.",
                "加装用电监控。", "Have its electricity monitored.",
            )  # fmt: skip
