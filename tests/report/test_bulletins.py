"""A month's bulletin of real days (cn_city_daily_aqistudy_2013_2017): printed numbers against the run's tables.

Rounding: GB/T 8170-2008 by :mod:`decimal`; files by python-docx, openpyxl, the PDF's own objects and fontTools.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import docx
import openpyxl
import pytest
from fontTools.ttLib import TTCollection
from matplotlib import font_manager

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow import views
from qinglan.flow.bulletins import boundaries, bulletin
from qinglan.plan import content
from qinglan.report import FORMS, Bulletin, compose, differences, kind_of, kinds, pages, plain_text, write
from qinglan.report.document import Figure, Table

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("bulletins")]
JUNE = Period.parse("2016-06")
ITEMS = ("pm2_5", "pm10", "so2", "no2", "co", "mda8")


@pytest.fixture(scope="module")
def june(real: Any) -> Bulletin:
    return bulletin(real, views.current(real), "monthly", JUNE, "630000")


@pytest.fixture(scope="module")
def document(june: Bulletin) -> Any:
    return compose(june, "zh", issued_on="2016-07-05", boundaries=boundaries("630000"))


def printed(value: float | None, decimals: int) -> str:
    """Half to even, with a true minus."""
    if value is None:
        return "—"
    quantum = Decimal(1).scaleb(-decimals)
    return str(Decimal(str(value)).quantize(quantum, ROUND_HALF_EVEN)).replace("-", "−")


def expected_rows(real: Any) -> list[list[str]]:
    """The table of places, straight from the run's Parquet files."""
    result = views.current(real)
    where = "period = '2016-06' and dust = 'out'"
    summary = {r["place"]: r for r in result.rows("summary", where)}
    ranking = sorted(result.rows("ranking", where), key=lambda r: r["rank"])
    taken = {**dict.fromkeys(("pm2_5", "pm10", "so2", "no2"), "mean"), "co": "p95", "mda8": "p90"}
    values = {
        (r["place"], r["item"]): r for r in result.rows("evaluation", where) if r["statistic"] == taken[r["item"]]
    }
    rows = []
    for rank in ranking:
        code = rank["place"]
        own = summary[code]
        cells = []
        for item in ITEMS:
            found = values[code, item]
            star = "" if found["data_valid"] else "*"
            cells.append(printed(found["value"], 1 if item == "co" else 0) + star)
        star = "" if own["data_valid"] else "*"
        change = printed(rank["change_percent"], 1)
        change = f"+{change}" if rank["change_percent"] and rank["change_percent"] > 0 else change
        rows.append(
            [*cells, printed(own["composite_index"], 2) + star, str(own["raw_valid_days"]),
             str(own["raw_good_days"]), printed(own["raw_good_rate"], 1), str(rank["rank"]), change]
        )  # fmt: skip
    return rows


def test_word_prints_what_the_tables_hold(real: Any, document: Any) -> None:
    made = docx.Document(io.BytesIO(write(document, "docx")))
    rows = [[c.text for c in r.cells] for r in made.tables[0].rows]
    assert len(rows) == 9
    assert [r[1:] for r in rows[1:]] == expected_rows(real)
    assert rows[1][0] == "玉树州"
    assert made.paragraphs[0].text == "青海省环境空气质量月报（2016年6月）"
    assert made.core_properties.author == "编制单位：青海省生态环境监测部门"


def test_word_has_chinese_faces_repeated_heads_and_page_numbers(document: Any) -> None:
    data = write(document, "docx")
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        styles, body = parts.read("word/styles.xml").decode(), parts.read("word/document.xml").decode()
        footer = "".join(parts.read(n).decode() for n in parts.namelist() if "footer" in n)
    assert styles.count('w:eastAsia="黑体"') >= 3
    assert 'w:eastAsia="宋体"' in styles
    assert 'w:eastAsia="zh-CN"' in styles
    assert body.count("<w:tblHeader/>") == sum(isinstance(b, Table) for b in document.blocks)
    assert "PAGE" in footer
    figures = [b for b in document.blocks if isinstance(b, Figure)]
    assert [f.name for f in figures] == ["index", "fine", "map", "levels"]
    assert all(f.alternative in body for f in figures), "each picture has words that stand for it"


def test_word_tables_have_their_widths_in_the_grid_and_stay_on_a_page(document: Any) -> None:
    """ECMA-376, 17.4.48: the grid gives the columns; LibreOffice goes by it, and broke names in two."""
    made = docx.Document(io.BytesIO(write(document, "docx")))
    declared = [b for b in document.blocks if isinstance(b, Table)]
    for table, block in zip(made.tables, declared, strict=True):
        grid = [c.width.mm for c in table.columns]
        assert sum(grid) == pytest.approx(210 - 2 * 22, abs=0.5)
        assert [w / grid[0] for w in grid] == pytest.approx([w / block.widths[0] for w in block.widths], rel=0.01)
        glued = [r.cells[0].paragraphs[0].paragraph_format.keep_with_next is True for r in table.rows]
        assert glued == [True] * len(block.rows) + [False], "the last row lets go of what follows"


def test_sentences_say_what_the_days_say(real: Any, document: Any) -> None:
    rows = views.current(real).rows("summary", "period = '2016-06' and dust = 'in'")
    valid, good = sum(r["raw_valid_days"] for r in rows), sum(r["raw_good_days"] for r in rows)
    rate = printed(float(Decimal(100 * good) / Decimal(valid)), 1)
    text = plain_text(document)
    assert f"8个市州有效监测天数合计{valid}天，其中优良天数{good}天，优良天数比例为{rate}%" in text
    mild = sum(r["level_3"] for r in rows)
    assert f"轻度污染{mild}天" in text
    best = max(rows, key=lambda r: r["raw_good_rate"])
    assert best["place"] == "632700"
    assert f"优良天数比例最高的是玉树州（{printed(best['raw_good_rate'], 1)}%）" in text
    assert "玉树州、海西州的部分项目有效数据不足标准规定" in text
    assert "{" not in text, "no sentence was left unfilled"
    assert views.current(real).run_id in text


def test_days_of_exceeding_are_those_of_the_index_in_force(real: Any, june: Bulletin, document: Any) -> None:
    rows = views.current(real).rows(
        "place_aqi", "in_force and level > 2 and day between '2016-06-01' and '2016-06-30'"
    )
    ozone = sum("mda8" in r["primary_pollutant"].split(",") for r in rows)
    assert f"全部{len(rows)}个超标天中，首要污染物为：O₃-8h {ozone}天" in plain_text(document)
    assert sum(june.level_days()[2:]) == len(rows)


def pdf_objects(data: bytes) -> bytes:
    """The PDF with its streams opened."""
    parts = [data]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            parts.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return b"\n".join(parts)


def test_pdf_embeds_subsets_of_the_chinese_faces(document: Any) -> None:
    opened = pdf_objects(write(document, "pdf"))
    faces = set(re.findall(rb"/BaseFont\s*/([A-Z]{6}\+[A-Za-z0-9-]+)", opened))
    assert {f.split(b"+")[1].split(b"-")[0] for f in faces} == {b"NotoSansCJKsc", b"NotoSerifCJKsc"}
    assert opened.count(b"/FontFile3") >= len({f.split(b"+")[0] for f in faces}) / 2
    assert b"/Lang" in opened


def test_the_faces_have_a_glyph_for_every_character(real: Any, quick: None) -> None:
    paths = {f.name: (f.fname, f.index) for f in font_manager.fontManager.ttflist if f.weight == 400}
    text: set[str] = set()
    for kind, label in SAMPLES.items():
        numbers = bulletin(real, views.current(real), kind, kind_of(kind).period(label), "630000")
        for language in ("zh", "en"):
            text |= set(plain_text(compose(numbers, language))) - set("\n")
    for face in ("Noto Sans CJK SC", "Noto Serif CJK SC"):
        path, index = paths[face]
        known = set(TTCollection(path).fonts[index].getBestCmap())
        # Subscript digits are set as lowered digits by the template.
        assert {c for c in text if ord(c) not in known} <= set("₀₁₂₃₄₅₆₇₈₉"), face


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without drawing: what is tested are the words."""
    monkeypatch.setattr("qinglan.report.figures._png", lambda made: b"")


SAMPLES = {
    "daily": "2016-06-03", "weekly": "2016W23", "monthly": "2016-06", "quarterly": "2016Q2", "annual": "2015",
    "ranking": "2016-06",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_every_kind_in_both_languages(real: Any, kind: str, quick: None) -> None:
    numbers = bulletin(real, views.current(real), kind, kind_of(kind).period(SAMPLES[kind]), "630000")
    for language in ("zh", "en"):
        made = compose(numbers, language)
        text = plain_text(made)
        assert "{" not in text
        if language == "en":
            chinese = set(re.findall(r"[\u4e00-\u9fff]+", text))
            editions = "".join(str(b["edition"]) for b in numbers.books)
            assert all(word in editions for word in chinese), chinese
        assert made.mark, "what is not issued says so"
        if kind == "daily":
            (table,) = (b for b in made.blocks if isinstance(b, Table) and b.name == "day")
            aqi = {d.place: d.aqi for d in numbers.days}
            assert [row[1] for row in table.rows] == [str(aqi[p.place]) for p in numbers.places]


def test_set_kinds_are_all_sampled() -> None:
    assert set(SAMPLES) == set(kinds())


def test_excel_holds_numbers_as_numbers(real: Any, document: Any) -> None:
    book = openpyxl.load_workbook(io.BytesIO(write(document, "xlsx")))
    sheet = book["places"]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))
    assert all(isinstance(c, int | float) for row in rows for c in row[1:12])
    index = {r["place"]: r["composite_index"] for r in views.current(real).rows(
        "summary", "period = '2016-06' and dust = 'out'")}  # fmt: skip
    assert sorted(r[7] for r in rows) == sorted(index.values())
    assert sheet["F2"].number_format == "0.0"
    assert sheet["G2"].number_format == '0"*"', "the mark of too few data stands beside a true number"


@pytest.mark.parametrize("form", FORMS)
def test_the_same_numbers_are_the_same_bytes(june: Bulletin, document: Any, form: str) -> None:
    again = compose(june, "zh", issued_on="2016-07-05", boundaries=boundaries("630000"))
    assert write(again, form) == write(document, form)


def test_frozen_numbers_come_back(june: Bulletin) -> None:
    back = Bulletin.from_bytes(june.to_bytes())
    assert back.to_bytes() == june.to_bytes()
    assert differences(june, back) == []


def test_html_stands_alone(document: Any) -> None:
    text = write(document, "html").decode()
    assert "@media print" in text
    assert "http" not in text, "nothing is fetched"
    assert "<script" not in text


def test_pages_are_drawn(document: Any) -> None:
    drawn = pages(document, ppi=40)
    assert 4 <= len(drawn) <= 7
    assert all(p.startswith(b"\x89PNG") for p in drawn)


def test_without_boundaries_the_map_is_left_out_with_a_note(june: Bulletin) -> None:
    made = compose(june, "zh", boundaries=None)
    assert "map" not in {b.name for b in made.blocks if isinstance(b, Figure)}
    assert "没有行政区边界数据" in plain_text(made)


def test_wrong_asks_are_refused_with_the_remedy(real: Any, document: Any) -> None:
    with pytest.raises(UsageError, match="no month"):
        kind_of("monthly").period("2016Q2")
    with pytest.raises(UnknownName, match="Known: daily"):
        kind_of("hourly")
    with pytest.raises(NotFound, match=r"nothing about 2013-06.*2016-06"):
        bulletin(real, views.current(real), "monthly", Period.parse("2013-06"), "630000")
    with pytest.raises(UnknownName):
        write(document, "odt")


def test_texts_and_kinds_are_whole_in_both_languages() -> None:
    texts = content.read("publications", "texts")
    assert texts["zh"].keys() == texts["en"].keys()
    for key, zh in texts["zh"].items():
        names = [set(re.findall(r"{(\w+)}", t)) for t in (zh, texts["en"][key])]
        assert names[0] == names[1] or key.startswith("method."), key
