"""What is measured and permitted at outlets: tonnes by CEMS, concentrations, tonnes a year."""

from __future__ import annotations

import polars as pl

from qinglan.emission import checks
from qinglan.emission.findings import Answers, plain, word
from qinglan.flow.inventory_checks.case import Case
from qinglan.flow.inventory_checks.telling import about, title

#: Species of the columns of ledgers about outlets.
OUTLET = {"pm": "pm10", "so2": "so2", "nox": "nox"}
PERMIT = {**OUTLET, "voc": "nmvoc"}
#: Months of a year that is whole.
_MONTHS = 12


def cems(case: Case, answers: Answers) -> None:
    """Sums by CEMS against the best other number: of rows that took them, and of lines with monitored stacks."""
    table = checks.cems_against_factor(case.built, case.book)
    alone = table["other_t"].null_count()
    served = _served(case, answers)
    answers.compared["cems"] = table.height - alone + served.height
    if table.is_empty() and served.is_empty():
        answers.lack("cems", "no_cems")
    elif alone:
        answers.lack("cems", "cems_alone", n=alone)
    told = case.of_year.select("ledger", "row_key", "name", "uscc").unique(["ledger", "row_key"])
    named = table.filter("stands_out").join(told, on=["ledger", "row_key"], how="left", maintain_order="left")
    columns = (
        "ledger",
        "row_key",
        "name",
        "uscc",
        "place",
        "sector",
        "species",
        "cems_t",
        "other_t",
        "other_method",
    )
    rows = pl.concat([named.select(columns), served.filter("stands_out").select(columns)])
    for row in rows.iter_rows(named=True):
        terms = {"of": word("species", row["species"]), "value": row["cems_t"], "expected": row["other_t"],
                 "method": word("method", row["other_method"]),
                 "ratio": plain(row["cems_t"] / row["other_t"])}  # fmt: skip
        answers.find("cems", terms, value=row["cems_t"], expected=row["other_t"], unit="t", sector=row["sector"],
                     species=row["species"], **about(case, row))  # fmt: skip


def _served(case: Case, answers: Answers) -> pl.DataFrame:
    """Lines and boilers whose outlets are monitored the whole year, with `cems_t` beside what another method gave.

    An outlet that was not monitored for twelve months, or less than the rule's share of its hours, is left out and
    counted. Where a line has outlets besides, CEMS below the inventory says nothing; and where CEMS has more
    particles than the inventory PM10, it may be the coarse ones.
    """
    outlets = case.rows("outlets").filter(pl.col("status") == "in_use").drop_nulls("serves")
    months = case.rows("stack-data").filter(pl.col("month").dt.year() == case.year)
    kept = pl.col("hours_valid").sum() >= case.book.number("cems.capture_min") / 100 * pl.col("hours_run").sum()
    sums = months.group_by("uscc", "outlet_no").agg(
        whole=(pl.len() == _MONTHS) & kept, **{item: pl.col(f"{item}_kg").sum() / 1000 for item in OUTLET}
    )
    if partly := sums.filter(~pl.col("whole")).height:
        answers.lack("cems", "part_year", n=partly)
    joined = outlets.select("uscc", "outlet_no", "serves").join(
        sums.filter("whole"), on=["uscc", "outlet_no"], how="left"
    )
    by_line = joined.group_by("uscc", "serves").agg(
        pl.col(list(OUTLET)).sum(),
        every=pl.col("whole").is_not_null().all(),
        some=pl.col("whole").is_not_null().any(),
    )
    long = pl.concat(
        by_line.filter("some").select("uscc", "every", source_id="serves", cems_t=item, species=pl.lit(species))
        for item, species in OUTLET.items()
    )
    ours = case.of_year.filter(pl.col("method") != "cems").group_by("uscc", "source_id", "species").agg(
        pl.col("emission_t").sum().alias("other_t"),
        pl.col("ledger", "row_key", "name", "place", "sector").first(),
        pl.col("method").first().alias("other_method"),
    )  # fmt: skip
    both = ours.join(long.filter(pl.col("cems_t") > 0), on=["uscc", "source_id", "species"]).filter(
        pl.col("other_t") > 0
    )
    ratio, dust = pl.col("cems_t") / pl.col("other_t"), pl.col("species") == "pm10"
    low, high = case.book.number("check.cems_ratio_low"), case.book.number("check.cems_ratio_high")
    out = ((ratio > high) & ~dust) | ((ratio < low) & pl.col("every"))
    return both.with_columns(stands_out=out).sort("uscc", "source_id", "species")


def limit(case: Case, answers: Answers) -> None:
    """Monthly mean concentrations of an outlet against the limit of its permit."""
    outlets = case.rows("outlets").filter(pl.col("status") != "removed")
    months = case.rows("stack-data").filter(pl.col("month").dt.year() == case.year)
    for ledger, rows in (("outlets", outlets), ("stack-data", months)):
        if rows.is_empty():
            answers.lack("limit", "empty_ledger", ledger=title(ledger), year=case.year)
            return
    held = outlets.select("uscc", "outlet_no", "name", *(f"{item}_limit" for item in OUTLET))
    both = months.join(held, on=["uscc", "outlet_no"], how="left", maintain_order="left")
    compared = lacking = 0
    for item, species in OUTLET.items():
        known = both.filter(pl.col(item).is_not_null() & pl.col(f"{item}_limit").is_not_null())
        compared, lacking = compared + known.height, lacking + both.height - known.height
        over = known.filter(pl.col(item) > pl.col(f"{item}_limit")).sort(item, descending=True)
        for _, rows in over.group_by("uscc", "outlet_no", maintain_order=True):
            row = rows.row(0, named=True)
            name = " ".join(part for part in (row["enterprise"], row["outlet_no"], row["name"]) if part)
            terms = {"of": word("species", species), "value": row[item], "expected": row[f"{item}_limit"],
                     "months": rows.height, "month": f"{row['month']:%Y-%m}"}  # fmt: skip
            answers.find("limit", terms, ledger="stack-data", row_key=row["_key"], uscc=row["uscc"], name=name,
                         place=row["county"], species=species, value=row[item], expected=row[f"{item}_limit"],
                         unit="mg/m³")  # fmt: skip
    answers.compared["limit"] = compared
    if lacking:
        answers.lack("limit", "no_limit", n=lacking)


def permit(case: Case, answers: Answers) -> None:
    """Tonnes of an enterprise against the sum that its outlets are permitted."""
    outlets = case.rows("outlets").filter(pl.col("status") == "in_use")
    if outlets.is_empty():
        answers.lack("permit", "empty_ledger", ledger=title("outlets"), year=case.year)
        return
    held = [
        outlets.group_by("uscc").agg(
            permitted_t=pl.col(f"{item}_permit_t").sum(), told=pl.col(f"{item}_permit_t").is_not_null().any(),
            lacks=((pl.col("kind") == "main") & pl.col(f"{item}_permit_t").is_null()).any(),
            key=pl.col("_key").first(), species=pl.lit(species),
        )
        for item, species in PERMIT.items()
    ]  # fmt: skip
    every = pl.concat(held).filter("told")
    whole = every.filter(~pl.col("lacks")).select(
        "species", "permitted_t", "key", source_id="uscc", year=case.year
    )
    ours = case.of_year.drop_nulls("uscc").with_columns(source_id=pl.col("uscc"))
    answers.compared["permit"] = whole.join(ours, on=["source_id", "species"], how="semi").height
    if lacking := every.filter("lacks")["uscc"].n_unique():
        answers.lack("permit", "no_permit", n=lacking)
    names, keys = case.names(), dict(whole.select("source_id", "key").iter_rows())
    for row in checks.above_permit(ours, whole).iter_rows(named=True):
        uscc, species = row["source_id"], row["species"]
        name, place = names.get(uscc, (uscc, None))
        terms = {"of": word("species", species), "value": row["emission_t"], "expected": row["permitted_t"]}
        answers.find("permit", terms, ledger="outlets", row_key=keys[uscc], uscc=uscc, name=name, place=place,
                     species=species, value=row["emission_t"], expected=row["permitted_t"], unit="t")  # fmt: skip
