"""Bytes to text cells: encodings, separators, broken lines, and the way back to a line."""

from __future__ import annotations

import gzip

import pytest

from qinglan.connect.reading import RECORD, Form, join_titles, original, read_records
from qinglan.core.errors import LayoutError

TEXT = "站点,值\n西宁,1\n海东,2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_every_encoding_of_the_field_gives_the_same_cells(written, encoding):
    records = read_records(written("a.csv", TEXT, encoding), ["站点"], layout="x")
    assert records.frame["站点"].to_list() == ["西宁", "海东"]
    assert records.raw(1) == "海东,2"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(written, end):
    records = read_records(written("a.csv", TEXT.replace("\n", end)), ["站点"], layout="x")
    assert records.frame["值"].to_list() == ["1", "2"]
    assert records.line(1) == 3


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_wrong_separator_is_recognised_by_the_header(written, separator):
    records = read_records(written("a.csv", TEXT.replace(",", separator)), ["站点", "值"], layout="x")
    assert records.separator == separator
    assert records.frame["值"].to_list() == ["1", "2"]


def test_gzip_is_unpacked_and_a_broken_one_named(written):
    packed = gzip.compress(TEXT.encode())
    assert read_records(written("a.csv.gz", packed), ["站点"], layout="x").frame.height == 2
    with pytest.raises(LayoutError, match=r"b\.csv\.gz is a broken gzip file"):
        read_records(written("b.csv.gz", packed[:-9]), ["站点"], layout="x")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  \r\n"])
def test_an_empty_file_is_said_to_be_empty(written, content):
    with pytest.raises(LayoutError, match="is empty"):
        read_records(written("a.csv", content), ["站点"], layout="x")


def test_binary_is_refused(written):
    with pytest.raises(LayoutError, match="NUL bytes"):
        read_records(written("a.csv", b"a,b\n\x00\x01,2\n"), ["a"], layout="x")


def test_missing_columns_are_named_with_what_was_found(written):
    with pytest.raises(LayoutError, match=r"lacks the column\(s\) date, hour.*Its header has: 站点, 值"):
        read_records(written("a.csv", TEXT), ["date", "站点", "hour"], layout="x")


def test_lines_with_too_many_or_too_few_cells_are_set_aside_with_their_text(written):
    records = read_records(written("a.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n"), ["a"], layout="x")
    assert records.frame.select("a", RECORD).rows() == [("1", 0), ("7", 3)]
    assert [(r.code, r.line, r.raw) for r in records.rejects] == [
        ("bad_row_width", 3, "3"),
        ("bad_row_width", 4, "4,5,6"),
    ]


def test_errors_of_width_that_cancel_in_the_sum_are_still_found(written):
    records = read_records(written("a.csv", "a,b\n1\n4,5,6\n"), ["a"], layout="x")
    assert [r.line for r in records.rejects] == [2, 3]


def test_broken_bytes_cost_their_line_only(written):
    content = "站点,值\n西宁,1\n".encode() + b"\xff\xff\xfe,2\n" + "海东,3\n".encode()
    records = read_records(written("a.csv", content), ["站点"], layout="x")
    assert records.frame["站点"].to_list() == ["西宁", "海东"]
    assert [(r.code, r.line) for r in records.rejects] == [("encoding", 3)]


def test_a_quoted_cell_over_several_lines_keeps_the_count_of_lines(written):
    records = read_records(written("a.csv", 'a,b\n1,"x\ny"\n2,z\n'), ["a"], layout="x")
    assert records.frame["b"].to_list() == ["x\ny", "z"]
    assert (records.line(0), records.line(1)) == (2, 4)
    assert records.raw(0) == '1,"x\ny"'


def test_a_repeated_column_keeps_its_name_and_its_cells(written):
    records = read_records(written("a.csv", "a,1480A,1480A\nx,1,2\n"), ["a"], layout="x")
    assert [original(c) for c in records.header] == ["a", "1480A", "1480A"]
    assert records.frame.row(0)[:3] == ("x", "1", "2")


def test_a_file_without_a_header_gets_the_names_of_its_layout(written):
    records = read_records(written("a.csv", "1,2\n3,4\n"), ["a"], layout="x", form=Form(names=("a", "b")))
    assert records.frame["a"].to_list() == ["1", "3"]
    assert (records.line(0), records.raw(1)) == (1, "3,4")


def test_titles_above_several_columns_stand_for_each():
    assert join_titles([["时间", "PM10", "", "O3"], ["", "1h", "24h", "1h"]]) == (
        "时间",
        "PM10 1h",
        "PM10 24h",
        "O3 1h",
    )


def test_header_only_gives_no_rows(written):
    assert read_records(written("a.csv", "a,b\n"), ["a"], layout="x").frame.height == 0
