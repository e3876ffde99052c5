"""The reference page of the inventory: names, terms, factors and devices, made from the content itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.controls import REMOVED, controls
from qinglan.emission.factors import all_factors, sigmas
from qinglan.emission.frames import ALIASES, METHODS, NUMBERS, REASONS, TEXTS

_HEAD = """\
# 清单的名称与系数 / Names and factors of the inventory

<!-- Written by docs/generate_reference.py from src/qinglan/content/factors; do not edit. -->

台账以这些机器名称说明活动；公式见[清单的计算公式](../explanation/inventory-equations.md)。
系数后的 `?` 表示可靠程度为 *low* 或 *medium-low*，用于正式核算前须核对原文；
每个系数的出处见 `content/factors/*.csv`。

Ledgers call an activity by these names; equations stand in
[the equations of the inventory](../explanation/inventory-equations.md). A `?` marks a factor of low or medium-low
certainty: check it against the text before a number is defended with it. The source of each stands in
`content/factors/*.csv`.
"""


def page() -> str:
    """docs/reference/inventory.md; a test holds the file to it."""
    parts = [_HEAD, *_names(), *_terms(), *_factors(), *_devices(), *_spread()]
    return "\n".join(parts).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    spelled = (["–" if cell in (None, "") else str(cell).replace("|", "\\|") for cell in row] for row in rows)
    return [*lines, *("| " + " | ".join(row) + " |" for row in spelled), ""]


def _names() -> list[str]:
    known = categories()
    made = ["## 行业 / Sectors\n"]
    rows = []
    for name, entry in known.sectors.items():
        box = known.crosswalks[entry["boxes"]["any"][0]]
        handbook = known.handbook[box["handbook"]]["zh"]
        rows.append(
            [
                *(f"`{name}`", entry["zh"], entry["en"], known.classes[entry["class"]]["zh"], handbook),
                *(", ".join(box["nfr"]), box["gnfr"], ", ".join(box["edgar"]), ", ".join(box["ipcc"])),
            ]
        )
    made += _table(["name", "名称", "in English", "T/CSES 144", "手册", "NFR", "GNFR", "EDGAR", "IPCC"], rows)
    made.append("## 燃料、产品与活动 / Fuels, products and activities\n")
    fuels = [[f"`{n}`", e["zh"], e["en"], e["kind"], e["unit"]] for n, e in known.fuels.items()]
    made += _table(["name", "名称", "in English", "kind", "unit"], fuels)
    made.append("## 技术 / Technologies\n")
    return made + _table(
        ["name", "名称", "in English"], [[f"`{n}`", e["zh"], e["en"]] for n, e in known.technologies.items()]
    )


def _terms() -> list[str]:
    aliases = {name: other for other, name in ALIASES.items()}
    rows = [[f"`{name}`", unit, f"`{aliases[name]}`" if name in aliases else ""] for name, unit in NUMBERS.items()]
    rows += [[f"`{name}`", "text", f"`{aliases[name]}`" if name in aliases else ""] for name in TEXTS]
    return [
        "## 台账可提供的项 / Terms that a ledger may give\n",
        *_table(["term", "unit", "also"], rows),
        "## 方法优先序与缺口原因 / Methods, best first, and reasons of gaps\n",
        " > ".join(f"`{method}`" for method in METHODS) + "\n",
        *_table(["reason", "meaning"], [[f"`{name}`", text] for name, text in REASONS.items()]),
    ]


def _factors() -> list[str]:
    """One row for what a factor is asked by and its unit, a column for each species."""
    keys = ["sector", "fuel", "technology", "unit", "term", "range", "valid_from"]
    doubtful = pl.col("certainty").is_in(["low", "medium-low"])
    text = pl.format("{}{}", pl.col("value").map_elements(lambda v: f"{v:g}", return_dtype=pl.String), "mark")
    told = all_factors().with_columns(mark=pl.when(doubtful).then(pl.lit("?")).otherwise(pl.lit("")))
    wide = told.with_columns(text=text.fill_null("withdrawn")).pivot(
        "species", index=keys, values="text", aggregate_function="first", maintain_order=True
    )
    shown = [species for species in SPECIES if species in wide.columns]
    rows = [
        [
            *(f"`{row['sector']}`", f"`{row['fuel']}`", f"`{row['technology']}`", row["unit"]),
            *(f"{row['term']} {row['range']}".strip(), row["valid_from"], *(row[species] for species in shown)),
        ]
        for row in wide.sort(keys).iter_rows(named=True)
    ]
    return [
        "## 排放系数（治理前）/ Factors before control\n",
        *_table(["sector", "fuel", "technology", "unit", "where", "from", *shown], rows),
    ]


def _devices() -> list[str]:
    def percent(row: Mapping[str, Any], name: str) -> str:
        return "" if not row[name] else f"{row[name] * 100:g}"

    rows = [
        [f"`{row['control']}`", row["zh"], row["en"], *(percent(row, n) for n in (*REMOVED, "capture"))]
        for row in controls().iter_rows(named=True)
    ]
    head = ["name", "名称", "in English", *REMOVED, "capture"]
    return ["## 治理设施去除率，% / What devices remove, %\n", *_table(head, rows)]


def _spread() -> list[str]:
    rows = [[kind, f"`{key}`", f"{value:g}"] for kind, keys in sigmas().items() for key, value in keys.items()]
    return ["## 几何标准差 / Geometric standard deviations\n", *_table(["input", "key", "sigma"], rows)]
