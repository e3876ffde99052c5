"""One identity from many ledgers. Sources: GB 32100-2015 (check digit); synthetic truth."""

import ast
from pathlib import Path

import polars as pl
import pytest

from qinglan.core.errors import UnknownName, UsageError
from qinglan.emission.linkage import coverage, fuse, trust
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.identifiers import check_character

A, B = "91630105MA757K3R71", "91632801MA75CD9X26"


def rows(*told):
    return pl.DataFrame([{"row_key": str(n), **r} for n, r in enumerate(told)], infer_schema_length=None)


def fact(fused, name, identity=A):
    return {r["origin"]: r for r in fused.facts.filter(fact=name, identity=identity).iter_rows(named=True)}


def test_code_and_permit_lead_to_one_enterprise_and_a_wrong_check_digit_to_none():
    fused = fuse({
        "air-enterprises": rows({"uscc": A, "name": "青海高原热力有限公司", "county": "630105"}),
        "permit-outlets": rows({"permit_no": f"{A}001V", "name": "高原热力", "county": "630105"}),
        "statistics": rows({"uscc": A[:-1] + "2", "name": "青海高原热力公司", "county": "630105"}),
    })  # fmt: skip
    assert fused.members.select("identity", "origin", "by").rows() == [
        (A, "air-enterprises", "code"), (A, "permit-outlets", "permit"),
    ]  # fmt: skip
    assert fused.unmatched.select("origin", "reason").rows() == [("statistics", "bad_code")]
    assert fused.proposals.select("origin", "identity").rows() == [("statistics", A)]
    assert "code_one_off" in fused.proposals["reasons"][0]


def test_the_first_in_the_order_wins_and_nothing_is_averaged():
    fused = fuse({
        "statistics": rows({"uscc": A, "so2_kg": 1300.0, "nox_kg": 104.0}),
        "cems": rows({"uscc": A, "so2_kg": 600.0, "nox_kg": 60.0}, {"uscc": A, "so2_kg": 400.0, "nox_kg": 40.0}),
    })  # fmt: skip
    so2 = fact(fused, "so2_kg")
    assert (so2["cems"]["number"], so2["cems"]["state"], so2["cems"]["parts"]) == (1000.0, "won", 2)
    assert (so2["statistics"]["number"], so2["statistics"]["state"]) == (1300.0, "differs")
    assert fact(fused, "nox_kg")["statistics"]["state"] == "agrees"  # 4 % of 10 % tolerated
    only = fused.conflicts.row(0, named=True)
    assert fused.conflicts.height == 1
    assert (only["winner"], only["other"], only["measure"]) == ("cems", "statistics", "share")
    assert only["difference"] == pytest.approx(0.3)
    assert only["zh"] == trust()["facts"]["so2_kg"]["why"]["zh"]


def test_a_sum_whose_parts_lack_is_never_believed():
    fused = fuse({
        "cems": rows({"uscc": A, "so2_kg": 600.0}, {"uscc": A, "so2_kg": None}),
        "statistics": rows({"uscc": A, "so2_kg": 1300.0}),
    })  # fmt: skip
    so2 = fact(fused, "so2_kg")
    assert (so2["cems"]["state"], so2["cems"]["lacking"]) == ("incomplete", 1)
    assert so2["statistics"]["state"] == "won"


def test_months_that_are_not_there_lack_too():
    fused = fuse(
        {"cems": rows({"uscc": A, "so2_kg": 600.0, "_lacking": 10}, {"uscc": A, "so2_kg": 5.0, "_lacking": 0})}
    )
    so2 = fact(fused, "so2_kg")["cems"]
    assert (so2["state"], so2["parts"], so2["lacking"], so2["number"]) == ("incomplete", 12, 10, 605.0)


def test_a_persons_decision_goes_before_the_order_and_is_told_when_it_no_longer_applies():
    told = {"statistics": rows({"uscc": A, "so2_kg": 1300.0}), "cems": rows({"uscc": A, "so2_kg": 1000.0})}
    decision = {"identity": A, "fact": "so2_kg", "origin": "statistics", "by": "sheng", "reason": "监测设备停用"}
    fused = fuse(told, decisions=[decision])
    assert fused.conflicts.select("winner", "other", "decided_by", "zh").rows() == [
        ("statistics", "cems", "sheng", "监测设备停用")
    ]
    assert fused.unused == ()
    assert fuse({"cems": told["cems"]}, decisions=[decision]).unused == (decision,)
    with pytest.raises(UsageError, match="reason"):
        fuse(told, decisions=[{**decision, "reason": " "}])
    with pytest.raises(UnknownName):
        fuse(told, decisions=[{**decision, "fact": "colour"}])


def test_two_codes_never_become_one():
    same = {"name": "青海高原热力有限公司", "county": "630105", "lon": 101.7, "lat": 36.6}
    told = {"air-enterprises": rows({"uscc": A, **same}, {"uscc": B, **same}),
            "statistics": rows({"uscc": A, "permit_no": f"{B}001V", **same})}  # fmt: skip
    fused = fuse(told)
    assert fused.identities["identity"].to_list() == [A, B]
    assert fused.unmatched["reason"].to_list() == ["two_codes"]
    bind = {"origin": "statistics", "row_key": "0", "identity": A, "by": "sheng", "reason": "许可证已换发"}
    assert fuse(told, bindings=[bind]).members.filter(by="decision")["identity"].to_list() == [A]
    with pytest.raises(UsageError, match="cannot be bound"):
        fuse(told, bindings=[{**bind, "origin": "air-enterprises", "row_key": "1"}])


def test_points_names_and_coverage():
    fused = fuse({
        "air-enterprises": rows({"uscc": A, "name": "青海高原热力有限公司", "lon": 101.70, "lat": 36.60}),
        "statistics": rows({"uscc": A, "name": "西宁高原热力公司", "lon": 101.70, "lat": 36.61}),
        "key-units": rows({"uscc": B, "name": "格尔木石料厂"}),
    })  # fmt: skip
    assert fused.conflicts["fact"].to_list() == ["point"]  # spelling is no conflict; 0.01 degrees are 1112 m
    assert fused.conflicts["difference"][0] == pytest.approx(1112, abs=1)
    assert fused.identities["names"][0].to_list() == ["青海高原热力有限公司", "西宁高原热力公司"]
    assert coverage(fused, ["air-enterprises", "key-units"]).rows()[1][3:] == (False, True)


def test_planted_disagreements_are_found_all_of_them_and_no_others():
    """200 enterprises of known truth: every tenth has another tonnage, every seventh another spelling, every 25th
    lost a digit of its code."""
    truth = []
    for n in range(200):
        head = f"91630105MA7{n:06d}"
        truth.append(
            (head + check_character(head), f"青海{chr(0x5000 + 13 * n)}{chr(0x6000 + 7 * n)}化工有限公司")
        )
    ours = rows(*({"uscc": c, "name": n, "county": "630105"} for c, n in truth))
    cems = rows(*({"uscc": c, "name": n, "so2_kg": 100.0} for c, n in truth))
    stats = rows(*(
        {"uscc": c[:-1] + ("0" if c[-1] != "0" else "1") if i % 25 == 0 else c,
         "name": n.replace("有限公司", "有限责任公司") if i % 7 == 0 else n, "county": "630105",
         "so2_kg": 150.0 if i % 10 == 0 else 101.0}
        for i, (c, n) in enumerate(truth)
    ))  # fmt: skip
    fused = fuse({"air-enterprises": ours, "cems": cems, "statistics": stats})
    assert fused.identities["identity"].to_list() == sorted(c for c, _ in truth)
    lost = {str(i) for i in range(0, 200, 25)}
    assert set(fused.unmatched["row_key"]) == lost
    best = fused.proposals.unique("row_key", keep="first", maintain_order=True)
    assert {(r["row_key"], r["identity"]) for r in best.iter_rows(named=True)} == {
        (i, truth[int(i)][0]) for i in lost
    }
    planted = {truth[i][0] for i in range(0, 200, 10) if i % 25}
    assert set(fused.conflicts["identity"]) == planted
    assert set(fused.conflicts["fact"]) == {"so2_kg"}


def test_the_book_of_trust_names_what_there_is():
    book = trust()
    for origin in book["origins"].values():
        if "ledger" in origin:
            known = load_ledger(origin["ledger"]).schema
            assert set(origin["columns"].values()) <= set(known), origin["ledger"]
            assert set(origin.get("times", {})) <= set(origin["columns"])
            assert {origin.get("year"), origin.get("newest")} - {None} <= set(known)
    for name, rule in book["facts"].items():
        assert set(rule["order"]) <= set(book["origins"]), name
        assert {"zh", "en", "kind", "why"} <= set(rule)
        assert (rule["kind"] == "number") == ("relative" in rule)
    units = {"outlets": ("so2_permit_t", "t/a"), "stack-data": ("so2_kg", "kg"), "coal-use": ("raw_coal", "t"),
             "electricity-use": ("kwh", "kWh")}  # fmt: skip
    for ledger, (column, unit) in units.items():
        assert load_ledger(ledger).column(column).unit == unit
    forms = load_ledger("env-statistics")
    per = {"kg": {"t": 1000}, "kWh": {"万kWh": 10_000}, "t": {"t": 1}}
    for fact, column in book["origins"]["statistics"]["columns"].items():
        if (unit := book["facts"][fact].get("unit")) and book["facts"][fact]["kind"] == "number":
            times = book["origins"]["statistics"]["times"].get(fact, 1)
            assert times == per[unit][forms.column(column).unit], fact


def test_the_guides_example_gives_what_it_says():
    """docs/how-to/one-identity.md: the printed conflict of 1000 kg measured and 1300 kg reckoned."""
    page = (Path(__file__).resolve().parents[2] / "docs/how-to/one-identity.md").read_text("utf-8")
    block = page.split("```python\n")[1].split("```")[0]
    *code, shown, said = block.strip().splitlines()
    space = {}
    exec("\n".join(code), space)
    assert eval(shown, space) == ast.literal_eval(said.removeprefix("# "))
