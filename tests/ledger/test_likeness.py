"""Duplicates are proposed with reasons. Source: GB 32100-2015's check digit; pairs made by hand."""

import polars as pl
import pytest
from tests.ledger.rows import checked, raw_of

from qinglan.ledger.declare import load_ledger
from qinglan.ledger.likeness import bare_name, likely_same
from qinglan.plan.places import load_places

LEDGER = load_ledger("air-enterprises")
NAME = "青海高原热力有限公司"


def frame(*changes):
    """Typed rows: the first good one with cells changed, one each, with keys a, b, c ..."""
    base = checked(LEDGER, raw_of(LEDGER.good[:1], list(LEDGER.schema))).rows.drop("_line")
    rows = [
        base.with_columns(
            pl.lit(v).cast(base.schema[k]).alias(k) for k, v in {"_key": key, "name": NAME, **change}.items()
        )
        for key, change in zip("abcdefgh", changes, strict=False)
    ]
    return pl.concat(rows)


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("青海省西宁市高原热力有限责任公司", "高原热力"),
        ("西宁高原热力股份有限公司（一期）", "高原热力"),
        ("青海 高原-热力 集团有限公司", "高原热力"),
        ("格尔木市１号石料厂", "1号石料"),
    ],
)
def test_names_without_form_brackets_and_region(name, bare):
    assert bare_name(name, load_places()) == bare


def test_one_wrong_character_of_a_code_that_fails_its_check_digit():
    found = likely_same(
        LEDGER, frame({"uscc": "91630105MA757K3R71"}, {"uscc": "91630105MA757K3R11", "name": "高原热力公司"})
    )
    assert found.select("a", "b").rows() == [("a", "b")]
    assert {"code_one_off", "same_name", "near", "same_place"} <= set(found["reasons"][0])
    assert found["score"][0] >= 90


def test_two_good_codes_far_apart_are_two_units():
    other = {"uscc": "91632801MA75CD9X26", "lon": 94.9, "lat": 36.4, "county": "632801"}
    assert likely_same(LEDGER, frame({}, other)).height == 0


def test_like_names_at_the_same_place_are_proposed_and_unlike_are_not():
    like = {"uscc": "91632801MA75CD9X26", "name": "西宁高原热力股份公司"}
    unlike = {"uscc": "91630202MA75QH088G", "name": "西宁双和食品有限公司"}
    found = likely_same(LEDGER, frame({}, like, unlike))
    assert found.select("a", "b").rows() == [("a", "b")]
    assert "other_code" in found["reasons"][0]


def test_numbered_plants_are_not_the_same():
    one, two = {"name": "高原热力1号站"}, {"name": "高原热力2号站", "uscc": "91632801MA75CD9X26"}
    assert likely_same(LEDGER, frame(one, two)).height == 0
