"""The questions, each a function of a case that adds its findings, what it compared and what it could not ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl

from qinglan.emission import checks
from qinglan.emission.categories import categories
from qinglan.emission.findings import Answers, plain, word
from qinglan.emission.top_down import Beside
from qinglan.flow.emergency import LEDGER, gathering
from qinglan.flow.inventory_checks import coal, stacks
from qinglan.flow.inventory_checks.case import Case
from qinglan.flow.inventory_checks.telling import about, apart, known, title

Question = Callable[[Case, Answers], None]
#: Sectors named where a comparison leaves them out.
_NAMED = 6


def top_down(case: Case, table: Beside, answers: Answers) -> None:
    """Totals of species and sectors against an inventory by others."""
    answers.compared["top_down"] = table.rows.height
    for row in table.rows.filter("stands_out").iter_rows(named=True):
        what = {tongue: f"{word('species', row['species'])[tongue]} {row[tongue]}" for tongue in ("zh", "en")}
        terms = {"what": what, "value": known(row["emission_t"]), "expected": row["other_t"], "year": table.year,
                 "ratio": "–" if row["ratio"] is None else plain(row["ratio"]),
                 "low": table.low, "high": table.high}  # fmt: skip
        answers.find("top_down", terms, species=row["species"], sector=row["box"], value=row["emission_t"],
                     expected=row["other_t"], unit="t")  # fmt: skip
    if table.year != case.year:
        answers.lack("top_down", "other_year", year=table.year, asked=case.year)
    if table.left.height:
        largest = table.left.group_by("sector").agg(pl.col("emission_t").sum()).sort("emission_t", descending=True)
        names = [categories().sectors[s] for s in largest["sector"].head(_NAMED)]
        more = "…" if largest.height > _NAMED else ""
        what = {"zh": "、".join(n["zh"] for n in names) + more, "en": ", ".join(n["en"] for n in names) + more}
        answers.lack("top_down", "no_box", what=what)


def statistics(case: Case, answers: Answers) -> None:
    """Tonnes of an enterprise against what it reports to the environmental statistics.

    Their particles hold what is coarser than PM10: only more PM10 than particles stands out.
    """
    forms = case.rows("env-statistics").filter(pl.col("year") == case.year)
    if forms.is_empty():
        answers.lack("statistics", "empty_ledger", ledger=title("env-statistics"), year=case.year)
        return
    stated = pl.concat(
        forms.select("uscc", "enterprise", "county", key="_key", stated=item, species=pl.lit(species))
        for item, species in stacks.PERMIT.items()
    ).filter(pl.col("stated") > 0)
    ours = case.of_year.drop_nulls("uscc").group_by("uscc", "species").agg(pl.col("emission_t").sum())
    both = stated.join(ours, on=["uscc", "species"], how="left", maintain_order="left")
    answers.compared["statistics"] = both.height
    off = (pl.col("emission_t") / pl.col("stated") - 1) * 100
    tolerance = case.book.number("check.statistics_tolerance")
    more, coarse = off > tolerance, pl.col("species") == "pm10"
    out = more | ((off < -tolerance) & ~coarse) | (off.is_null() & ~coarse)
    for row in both.with_columns(off=off).filter(out).iter_rows(named=True):
        terms = {"of": word("species", row["species"]), "value": known(row["emission_t"]),
                 "expected": row["stated"], "apart": apart(row["off"])}  # fmt: skip
        answers.find("statistics", terms, ledger="env-statistics", row_key=row["key"], uscc=row["uscc"],
                     name=row["enterprise"], place=row["county"], species=row["species"], value=row["emission_t"],
                     expected=row["stated"], unit="t")  # fmt: skip


def outlier(case: Case, answers: Answers) -> None:
    """Rows of plants whose tonnes for each unit of activity are unlike those of their industry."""
    plants = categories().with_boxes(case.of_year).filter(pl.col("class").is_in(["power_heat", "industry"]))
    scored = checks.scores(plants, case.book)
    answers.compared["outlier"] = scored.height
    rated = plants.filter((pl.col("amount") > 0) & (pl.col("emission_t") > 0)).height
    if rated > scored.height:
        answers.lack("outlier", "few", n=rated - scored.height,
                     least=int(case.book.number("check.outlier_count_min")))  # fmt: skip
    for row in checks.outliers(plants, case.book).iter_rows(named=True):
        rate, middle = row["intensity"] * 1000, row["median"] * 1000
        terms = {"of": word("species", row["species"]), "value": rate, "expected": middle,
                 "unit": row["unit"], "peers": row["peers"], "ratio": plain(rate / middle),
                 "z": f"{row['z']:+.1f}"}  # fmt: skip
        answers.find("outlier", terms, value=rate, expected=middle, unit=f"kg/{row['unit']}",
                     species=row["species"], sector=row["sector"], **about(case, row))  # fmt: skip


def left_out(case: Case, answers: Answers) -> None:
    """Operating enterprises of which nothing emits, and emitting units whose enterprise is not registered."""
    register = case.rows("air-enterprises")
    if register.is_empty():
        for kind in ("silent", "stranger"):
            answers.lack(kind, "empty_ledger", ledger=title("air-enterprises"), year=case.year)
        return
    last = date(case.year, 12, 31)
    ours = case.of_year.drop_nulls("uscc").with_columns(source_id=pl.col("uscc"))
    begun = (pl.col("commissioned") <= last).fill_null(True)
    operating = register.filter((pl.col("status") == "operating") & begun).with_columns(source_id=pl.col("uscc"))
    silent, _ = checks.left_out(ours, operating)
    answers.compared["silent"] = operating.height
    for row in silent.iter_rows(named=True):
        answers.find("silent", {}, ledger="air-enterprises", row_key=row["_key"],
                     uscc=row["uscc"], name=row["name"], place=row["county"])  # fmt: skip
    open_then = pl.col("closed_on").is_null() | (pl.col("closed_on").dt.year() >= case.year)
    alive = register.filter(open_then).with_columns(source_id=pl.col("uscc"))
    _, strange = checks.left_out(ours, alive)
    answers.compared["stranger"] = ours["uscc"].n_unique()
    closed, first = set(register["uscc"]), {r["uscc"]: r for r in ours.iter_rows(named=True)}
    for row in strange.iter_rows(named=True):
        of = first[row["source_id"]]
        named = [word("species", s) for s in row["species"]]
        species = {"zh": "、".join(s["zh"] for s in named), "en": ", ".join(s["en"] for s in named)}
        why = word("why", "closed" if row["source_id"] in closed else "absent")
        answers.find("stranger", {"species": species, "why": why}, value=row["emission_t"], unit="t",
                     sector=of["sector"], **about(case, of))  # fmt: skip
    lost = case.activities.filter(
        pl.col("uscc").is_null() & pl.col("ledger").is_in(list(gathering.NUMBERS))
    ).height
    if lost:
        answers.lack("stranger", "no_code", n=lost)


def emergency(case: Case, answers: Answers) -> None:
    """Enterprises with lines that emit the list's four species and stand on no emergency list."""
    listed, year = _listed(case)
    if listed.is_empty():
        answers.lack("emergency", "no_list")
        return
    lines = _lines(case)
    answers.compared["emergency"] = lines["uscc"].n_unique()
    summed = lines.group_by("uscc").agg(
        pl.col("emission_t").sum(), pl.col("ledger", "row_key", "name", "place", "sector").first()
    )
    names = case.names()
    for row in (
        summed.join(listed, on="uscc", how="anti").sort("emission_t", descending=True).iter_rows(named=True)
    ):
        name = names.get(row["uscc"], (row["name"] or row["row_key"], ""))[0]
        answers.find("emergency", {"value": row["emission_t"], "year": year}, name=name,
                     value=row["emission_t"], unit="t",
                     **{k: row[k] for k in ("ledger", "row_key", "uscc", "place", "sector")})  # fmt: skip


def _lines(case: Case) -> pl.DataFrame:
    """Emissions of rows that an emergency list must have a line for, of its four species."""
    return case.of_year.drop_nulls("uscc").filter(
        pl.col("ledger").is_in(list(gathering.NUMBERS)) & (pl.col("emission_t") > 0)
        & pl.col("species").is_in(list(gathering.INVENTORY.values()))
    )  # fmt: skip


def _listed(case: Case) -> tuple[pl.DataFrame, int]:
    """Credit codes on the newest emergency list, and its year (0: there is none)."""
    rows = case.rows(LEDGER).filter(pl.col("status") == "listed")
    of = rows.filter(pl.col("year") == pl.col("year").max())
    return of.select("uscc").unique(), int(of["year"][0]) if of.height else 0


def coverage(case: Case) -> pl.DataFrame:
    """Share of the tonnes of such rows whose enterprise is listed, by species (:func:`checks.coverage`)."""
    return checks.coverage(_lines(case), _listed(case)[0], key="uscc")


#: Asked in turn of every case; the top-down comparison comes before them.
EACH: tuple[Question, ...] = (
    *(coal.fuel_balance, coal.coal_quality, stacks.cems, stacks.limit, stacks.permit),
    *(statistics, outlier, left_out, emergency),
)
