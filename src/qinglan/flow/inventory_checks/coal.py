"""Coal on both sides: how much and of what quality, by enterprise."""

from __future__ import annotations

import polars as pl

from qinglan.emission import checks
from qinglan.emission.findings import Answers, texts, word
from qinglan.flow.inventory_checks.case import Case
from qinglan.flow.inventory_checks.telling import about, apart, known, title

_ITEMS = ("sulphur", "ash")


def fuel_balance(case: Case, answers: Answers) -> None:
    """Coal burnt by the ledgers' rows of an enterprise against what it says elsewhere that it burnt.

    Against the ledger of coal users what stands on one side only is asked too; of the statistics, which do not
    ask every works, only what stands on both.
    """
    burnt = case.activities.filter(pl.col("fuel").is_in(texts()["coal"]) & (pl.col("unit") == "t")).with_columns(
        fuel=pl.lit("coal")
    )
    users = case.rows("coal-use").filter(
        (pl.col("year") == case.year) & (pl.col("status") != "stopped") & (pl.col("use_kind") != "process")
    )
    forms = case.rows("env-statistics").filter(pl.col("year") == case.year)
    told = (
        ("coal-use", users.with_columns(amount=pl.col("raw_coal"))),
        ("env-statistics", forms.with_columns(amount=pl.coalesce("fuel_coal", "coal"))),
    )
    answers.compared["fuel_balance"] = 0
    for ledger, rows in told:
        if rows.is_empty():
            nobody = ledger == "coal-use" and burnt.drop_nulls("uscc").is_empty()
            answers.lack(
                "fuel_balance", "no_coal" if nobody else "empty_ledger", year=case.year, ledger=title(ledger)
            )
        else:
            _balance(case, answers, burnt.drop_nulls("uscc"), rows.filter(pl.col("amount") > 0), ledger)
    lost = burnt.filter(pl.col("uscc").is_null()).height
    if lost:
        answers.lack("fuel_balance", "no_code", n=lost)


def _balance(case: Case, answers: Answers, burnt: pl.DataFrame, told: pl.DataFrame, ledger: str) -> None:
    """Coal burnt beside a ledger's `amount` of the enterprise."""
    stated = told.select("year", "amount", place="uscc", fuel=pl.lit("coal"), unit=pl.lit("t"))
    table = checks.fuel_balance(burnt.select("year", "fuel", "unit", "amount", place="uscc"), stated, case.book)
    if ledger != "coal-use":
        table = table.drop_nulls(["amount", "stated"])
    answers.compared["fuel_balance"] += table.height
    by_row = {r["uscc"]: (r["ledger"], r["row_key"], r["name"], r["place"]) for r in burnt.iter_rows(named=True)}
    by_row |= {r["uscc"]: (ledger, r["_key"], r["enterprise"], r["county"]) for r in told.iter_rows(named=True)}
    for row in table.filter("stands_out").iter_rows(named=True):
        uscc = row["place"]
        own, key, name, place = by_row[uscc]
        terms = {"value": known(row["amount"]), "expected": known(row["stated"]), "where": word("where", ledger),
                 "apart": apart(row["difference_percent"])}  # fmt: skip
        answers.find("fuel_balance", terms, ledger=own, row_key=key, uscc=uscc, place=place,
                     name=case.names().get(uscc, (name, ""))[0], value=row["amount"], expected=row["stated"],
                     unit="t")  # fmt: skip


def coal_quality(case: Case, answers: Answers) -> None:
    """Sulphur and ash of the coal in emitting ledgers against coal users, samples and statistics."""
    burnt = case.activities.filter(pl.col("fuel").is_in(texts()["coal"]) & (pl.col("amount") > 0)).drop_nulls(
        "uscc"
    )
    terms = {f.name for f in burnt.schema["terms"].fields}  # type: ignore[attr-defined]
    tolerance, compared = case.book.number("check.quality_tolerance"), 0
    told = _told_quality(case)
    for item in (i for i in _ITEMS if i in terms):
        rated = burnt.with_columns(x=pl.col("terms").struct.field(item)).drop_nulls("x")
        mean = (pl.col("x") * pl.col("amount")).sum() / pl.col("amount").sum()
        ours = rated.group_by("uscc").agg(pl.col("ledger", "row_key", "name", "place").first(), mean=mean)
        both = ours.join(told.filter(item=item), on="uscc").sort("uscc")
        compared += both.height
        off = (pl.col("mean") / pl.col("value") - 1).abs() * 100 > tolerance
        for row in both.filter((pl.col("value") > 0) & off).iter_rows(named=True):
            said = {"item": word("item", item), "value": row["mean"],
                    "expected": row["value"], "where": word("where", row["where"])}  # fmt: skip
            answers.find("coal_quality", said, value=row["mean"], expected=row["value"], unit="%",
                         **about(case, row))  # fmt: skip
    answers.compared["coal_quality"] = compared
    if not compared:
        answers.lack("coal_quality", "no_quality", year=case.year)


def _told_quality(case: Case) -> pl.DataFrame:
    """uscc, item, value [%], where: of coal users (weighed by use) and of samples (mean)."""
    users = case.rows("coal-use").filter((pl.col("year") == case.year) & (pl.col("raw_coal") > 0))
    samples = case.rows("coal-quality").filter(pl.col("sampled_on").dt.year() == case.year).drop_nulls("uscc")
    forms = case.rows("env-statistics").filter(pl.col("year") == case.year)
    parts = [pl.DataFrame(schema={"uscc": pl.String, "item": pl.String, "value": pl.Float64, "where": pl.String})]
    for item in _ITEMS:
        weight = pl.col("raw_coal").filter(pl.col(item).is_not_null())
        used = users.group_by("uscc").agg(value=(pl.col(item) * pl.col("raw_coal")).sum() / weight.sum())
        seen = samples.group_by("uscc").agg(value=pl.col(item).mean())
        told = [("coal-use", used), ("coal-quality", seen)]
        if item == "sulphur":
            told.append(("env-statistics", forms.select("uscc", value="coal_sulphur").drop_nulls()))
        for where, rows in told:
            parts.append(rows.select("uscc", pl.lit(item).alias("item"), "value", pl.lit(where).alias("where")))
    return pl.concat(parts).filter(pl.col("value").is_finite())
