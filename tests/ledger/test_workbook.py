"""Workbooks in and out. Source: the contract (0012); what Excel and officials do to a table."""

import io
from datetime import date

import openpyxl
import polars as pl
import pytest
from tests.ledger.rows import checked, raw_of, variants

from qinglan.core.errors import LayoutError
from qinglan.ledger import workbook
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.workbook import marked, read_workbook, template

BOILERS = load_ledger("boilers")


@pytest.fixture(scope="module")
def rows():
    return checked(BOILERS, raw_of(BOILERS.good, list(BOILERS.schema))).rows


@pytest.fixture(scope="module")
def filled(rows):
    return template(BOILERS, rows)


def book_of(*rows, sheet="Sheet"):
    book = openpyxl.Workbook()
    book.worksheets[0].title = sheet
    for row in rows:
        book.worksheets[0].append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_template_has_choices_notes_units_and_explanations(filled):
    book = openpyxl.load_workbook(io.BytesIO(filled))
    sheet = book.worksheets[0]
    heads = {cell.value: cell for cell in sheet[1]}
    assert heads["额定蒸发量（t/h） *"].comment.text.startswith("数\n必填\n单位：t/h")
    assert "不得新建35蒸吨/小时以下" in heads["额定蒸发量（t/h） *"].comment.text
    assert sheet.row_dimensions[3].hidden
    assert sheet.freeze_panes == "B4"
    rules = {rule.formula1: rule for rule in sheet.data_validations.dataValidation}
    assert "list_fuel" in rules
    assert book["_codes"].sheet_state == "hidden"
    reference = book.defined_names["list_fuel"].attr_text
    letter = reference.split("$")[1]
    assert [c.value for c in book["_codes"][letter]][:2] == ["煤炭", "无烟煤"]
    told = "\n".join(str(c.value) for row in book["填写说明"].iter_rows() for c in row if c.value)
    for part in ("方案第11条", "已淘汰", "不收", "2025-12-31", "个人信息"):
        assert part in told


def test_cells_are_numbers_days_and_words(filled):
    sheet = openpyxl.load_workbook(io.BytesIO(filled)).worksheets[0]
    first = dict(zip([c.value for c in sheet[3]], [c.value for c in sheet[4]], strict=True))
    assert first["capacity"] == 40
    assert first["commissioned"].date() == date(2012, 10, 15)
    assert (first["fuel"], first["built_up"], first["county"]) == ("煤炭", "是", "城北区")


def test_the_same_rows_give_the_same_bytes(rows, filled):
    assert template(BOILERS, rows) == filled


def test_a_workbook_with_fewer_columns_leaves_the_others_alone(rows):
    told = read_workbook(BOILERS, template(BOILERS, rows.select("_key", "boiler_no", "capacity", "status")))
    assert told.columns == ["_line", "boiler_no", "capacity", "status"]
    found = checked(BOILERS, told, existing=rows)
    assert (found.taken, found.aside) == (3, 0)
    assert found.rows["fuel"].to_list() == rows["fuel"].to_list()


def test_reordered_columns_synonyms_titles_and_blank_rows():
    book = book_of(
        ["2026年锅炉台账（城北区）"],
        [],
        ["序号", "蒸吨", "燃料种类", "锅炉编号*", "状态", "说明"],
        [1, 20, "煤炭", "A-0001", "在用", "x"],
        [],
        [2, 35.5, "天然气", "A-0002", "停用", None],
    )
    raw = read_workbook(BOILERS, book)
    assert raw["_line"].to_list() == [4, 6]
    assert raw["capacity"].to_list() == ["20", "35.5"]
    assert raw["boiler_no"].to_list() == ["A-0001", "A-0002"]
    assert set(raw.columns) == {"_line", "boiler_no", "capacity", "fuel", "status", "序号", "说明"}
    told = checked(BOILERS, raw).faults.filter(line=0)
    assert set(told.filter(code="unknown_column")["value"]) == {"序号", "说明"}
    assert "name" in set(told.filter(code="missing_column")["column"])


def test_the_english_header_and_the_machine_names_are_read(rows):
    english = read_workbook(BOILERS, template(BOILERS, rows, lang="en"))
    assert english.columns[1:] == list(BOILERS.schema)
    machine = read_workbook(BOILERS, book_of(["boiler_no", "fuel"], ["A-0001", "coal"]))
    assert machine.row(0) == (2, "A-0001", "coal")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("comma", [",", "\t", ";"])
def test_csv_in_the_encodings_of_offices(encoding, comma):
    lines = [["锅炉编号", "燃料", "备注"], ["A-0001", "煤炭", "'=1+1"], ["", "", ""], ["A-0002", "天然气"]]
    data = "\r\n".join(comma.join(line) for line in lines).encode(encoding)
    raw = read_workbook(BOILERS, data)
    assert raw.rows() == [(2, "A-0001", "煤炭", "=1+1"), (4, "A-0002", "天然气", None)]


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04broken", b"\xd0\xcf\x11\xe0broken", b"", b"a,b\n1,2\n", book_of(["x", "y"])]
)
def test_what_is_no_workbook_of_this_ledger_is_told(data):
    with pytest.raises(LayoutError):
        read_workbook(BOILERS, data)


def test_formulas_that_failed_are_not_read_as_empty():
    """The fast reader gives an error cell as empty; an optional cell would be lost without a word."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["锅炉编号", "收到基灰分", "备注"])
    sheet.append(["A-0001", None, "=A1&B1"])
    sheet["B2"].value, sheet["B2"].data_type = "#DIV/0!", "e"
    out = io.BytesIO()
    book.save(out)
    raw = read_workbook(BOILERS, out.getvalue())
    assert raw.row(0) == (2, "A-0001", "#DIV/0!", "=A1&B1")
    codes = checked(BOILERS, raw).faults.filter(code="formula_error").select("column").to_series().to_list()
    assert codes == ["ash", "note"]


@pytest.mark.parametrize("text", ["=1+1", "+8613900000000", "-1", "@SUM(A1)", "<b>&\"'", "a\nb"])
def test_text_that_looks_like_a_formula_stays_text(rows, text):
    data = template(BOILERS, rows.with_columns(note=pl.lit(text)))
    cells = [row[-1] for row in openpyxl.load_workbook(io.BytesIO(data)).worksheets[0].iter_rows(min_row=4)]
    assert {(cell.value, cell.data_type) for cell in cells} <= {(text, "s"), (text, "inlineStr")}
    assert set(read_workbook(BOILERS, data)["note"]) == {text}


def test_a_marked_workbook_is_the_same_workbook_with_marks(filled):
    book = openpyxl.load_workbook(io.BytesIO(filled))
    sheet = book.worksheets[0]
    column = [c.value for c in sheet[3]].index("capacity") + 1
    sheet.cell(5, column).value = "很大"
    sheet.cell(1, sheet.max_column + 1).value = "自加列"
    out = io.BytesIO()
    book.save(out)
    told = checked(BOILERS, read_workbook(BOILERS, out.getvalue()))
    assert (told.read, told.taken, told.aside) == (3, 2, 1)
    back = openpyxl.load_workbook(io.BytesIO(marked(BOILERS, out.getvalue(), told.faults)))
    cell = back.worksheets[0].cell(5, column)
    assert cell.value == "很大"
    assert "不是数" in cell.comment.text
    assert back.worksheets[0].cell(4, column).comment is None
    listed = [[c.value for c in row] for row in back["问题"].iter_rows(min_row=2)]
    assert [5, "额定蒸发量", "很大"] in [row[:3] for row in listed]


def test_of_a_large_workbook_only_the_rows_set_aside_come_back(monkeypatch):
    monkeypatch.setattr(workbook, "MARKED_CELLS", 10)
    good = checked(BOILERS, raw_of(variants(BOILERS, 8), list(BOILERS.schema))).rows
    data = template(BOILERS, good)
    raw = read_workbook(BOILERS, data)
    raw = raw.with_columns(
        capacity=pl.when(pl.col("_line").is_in([6, 9])).then(pl.lit("很大")).otherwise("capacity")
    )
    told = checked(BOILERS, raw)
    # The file itself still says the old numbers; its marks come from the faults.
    back = marked(BOILERS, data, told.faults)
    sheet = openpyxl.load_workbook(io.BytesIO(back)).worksheets[0]
    names = [c.value for c in sheet[3]]
    cell = sheet.cell(4, names.index("capacity") + 1)
    assert cell.fill.fgColor.rgb.endswith("F4B6B0")
    assert "不是数" in sheet.cell(4, names.index("_words") + 1).value
    again = read_workbook(BOILERS, back)
    assert again["_origin"].to_list() == [6, 9]
    assert "_words" not in again.columns
    assert checked(BOILERS, again).taken == 2


def test_a_csv_comes_back_as_a_workbook_of_its_bad_rows():
    data = "锅炉编号,额定蒸发量\nA-0001,很大\nA-0002,20\n".encode()
    told = checked(BOILERS, read_workbook(BOILERS, data))
    again = read_workbook(BOILERS, marked(BOILERS, data, told.faults))
    assert again["_origin"].to_list() == [2, 3]
    assert again["capacity"].to_list() == ["很大", "20"]
