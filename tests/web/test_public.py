"""The public page. Sources: docs/design/0006-console.md §3, issue 2 (under 200 kB, useful without a script, p95
under 30 ms), HJ 633 for levels and health texts, RFC 9110 for ETags."""

from __future__ import annotations

import gzip
import io
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from qinglan.access import PUBLIC, Grant, Principal
from qinglan.flow import complaints
from qinglan.flow.views import public as public_views
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan import content
from qinglan.plan.rules import load_book
from qinglan.web import create_app
from qinglan.web.assets import assets

PAGES = ("/public", "/public/places/630100", "/public/places/632801", "/public/targets", "/public/bulletins",
         "/public/data")  # fmt: skip
TIME = datetime(2026, 4, 12, 16, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def clock() -> list[datetime]:
    """What time it is."""
    return [TIME]


@pytest.fixture(scope="module")
def reader(client: TestClient, clock: list[datetime]) -> TestClient:
    """Anybody, over the fabricated run."""
    stub = client.app.state.site.workspace  # type: ignore[attr-defined]
    app = create_app(stub, clock=lambda: clock[0], identify=lambda request: PUBLIC)
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_light_and_needs_no_script(reader: TestClient, path: str, language: str) -> None:
    """Issue 2: under 200 kB with everything that it loads, and nothing of it a script."""
    answer = reader.get(path, params={"lang": language})
    assert answer.status_code == 200
    assert answer.headers["content-language"] == ("zh-CN" if language == "zh" else "en")
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    parts = r'<(?:link rel="(?:icon|stylesheet)"|img|source|iframe)[^>]*(?:href|src)="([^"]+)"'
    loaded = re.findall(parts, answer.text)
    static = [assets()[name.removeprefix("/static/").partition("?")[0]].body for name in loaded]
    assert len(static) == 2  # the sheet and the icon
    assert len(answer.content) + sum(map(len, static)) < 200_000
    han = re.search(
        r"[\u3400-\u9fff]", re.sub(r'中文|lang="zh-CN">[^<]*', "", re.sub(r"<[^>]*>", " ", answer.text))
    )
    assert language == "zh" or han is None or path == "/public/targets", han


def test_each_place_says_aqi_level_and_what_to_do(reader: TestClient) -> None:
    text = reader.get("/public").text
    cards = re.findall(r'<li class="card.*?</li>', text, re.S)
    assert len(cards) == 9  # the fabricated run gives the province a row as well
    levels = public_views.levels(date(2026, 4, 12))
    for card in cards:
        aqi, numeral, name = re.search(
            r'class="big">(\d+)<.*?<b aria-hidden="true">(.)</b> ([^<]+)</span>', card, re.S
        ).groups()
        level = "ⅠⅡⅢⅣⅤⅥ".index(numeral) + 1
        assert name == levels[level]["zh"]
        assert levels[level]["aqi_low"] <= int(aqi) <= (levels[level]["aqi_high"] or 10_000)
        assert levels[level]["advice_zh"] in card
        assert '<svg class="strip"' in card
    assert "模拟数据" in text
    assert "尚未发布预报" in text


def test_the_advice_is_cut_from_the_standard() -> None:
    """HJ 633: every phrase of content/public/advice.yaml stands in the level's health or advice text."""
    cut = content.read("public", "advice")["levels"]
    for on in (date(2025, 6, 1), date(2026, 6, 1)):
        for level in load_book("hj633", on).get("levels").value:
            whole = level["health_zh"] + level["advice_zh"]
            for group in cut[level["level"]]:
                assert group["what"]["zh"] in whole, (level["level"], group)
                assert group["who"]["zh"] in (*whole.split("，"), "其他人") or group["who"]["zh"] in whole
    assert sorted(cut) == [1, 2, 3, 4, 5, 6]


def test_the_colours_are_those_of_the_standard() -> None:
    """HJ 633-2026 annex A."""
    css = assets()["public.css"].body.decode()
    for level in load_book("hj633", date(2026, 3, 1)).get("levels").value:
        colour = " ".join(str(part) for part in level["rgb"])
        assert f".lv{level['level']} {{ --lv: rgb({colour});" in css


def test_old_data_are_called_old(reader: TestClient, clock: list[datetime]) -> None:
    assert "数据已过时" not in reader.get("/public").text
    clock[0] = TIME + timedelta(hours=3)
    text = reader.get("/public").text
    clock[0] = TIME
    assert "数据已过时" in text
    assert "/public" not in reader.get("/public/places/999999").headers.get("etag", "")


def test_a_place_shows_its_days_and_its_year(reader: TestClient) -> None:
    text = reader.get("/public/places/630100").text
    days = re.findall(r'<span class="date">([^<]+)</span>', text)
    assert len(days) == 30
    assert (days[0], days[-1]) == ("3-14", "4-12")
    assert len(re.findall(r"<tr><th scope=\"row\">(?:SO₂|NO₂|CO|O₃-8h|PM₁₀|PM₂.₅) ", text)) == 6
    assert reader.get("/public/places/999999").status_code == 404


def test_the_front_door_leads_each_to_his_page(client: TestClient, reader: TestClient) -> None:
    """Contract 0006 §3: to the day's air for those who may see it, else to the public page."""
    told = [c.get("/", follow_redirects=False) for c in (client, reader)]
    assert [(r.status_code, r.headers["location"]) for r in told] == [(303, "/today"), (303, "/public")]


def test_pages_are_shared_by_all_readers(client: TestClient, reader: TestClient) -> None:
    """A page for everybody may be kept by caches, so it must not depend on who asks or on cookies."""
    anybody = reader.get("/public")
    somebody = client.get("/public", cookies={"qinglan_lang": "en", "qinglan_session": "x"})
    assert somebody.content == anybody.content
    assert anybody.headers["cache-control"] == "public, max-age=60"
    assert "cookie" not in anybody.headers.get("vary", "").lower()
    assert "set-cookie" not in anybody.headers


def test_a_reader_who_has_the_page_gets_none(reader: TestClient) -> None:
    etag = reader.get("/public").headers["etag"]
    again = reader.get("/public", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    packed = reader.get("/public", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert reader.get("/public", headers={"Accept-Encoding": "identity"}).content == packed.content


def test_unknown_queries_do_not_fill_the_memory(reader: TestClient) -> None:
    """The page does not depend on them, so they make no new one."""
    reader.get("/public")
    kept = len(reader.app.state.answers)  # type: ignore[attr-defined]
    for k in range(5):
        reader.get("/public", params={"x": str(k), "lang": "zz"})
    assert len(reader.app.state.answers) == kept  # type: ignore[attr-defined]


def test_pages_are_fast(reader: TestClient) -> None:
    """Issue 2: p95 under 30 ms; here the processor's time of 300 requests, with the test
    client's own cost (wall time on a shared machine says little)."""
    reader.get("/public")
    took = []
    for _ in range(300):
        start = time.process_time()
        assert reader.get("/public").status_code == 200
        took.append(time.process_time() - start)
    assert sorted(took)[285] < 0.030


def test_open_data_have_a_digest_for_an_etag(reader: TestClient) -> None:
    answer = reader.get("/public/data/stations.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="stations.csv"'
    again = reader.get("/public/data/stations.csv", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in re.findall(r'href="/public/data/([^"]+)"', reader.get("/public/data").text):
        assert reader.get(f"/public/data/{name}").status_code == 200, name
    assert reader.get("/public/data/verdict.json").status_code == 404


def test_the_catalogue_is_found_from_the_page_and_names_the_host_that_was_asked(reader: TestClient) -> None:
    """DCAT 3 in JSON-LD: `rel=alternate` leads to it, and every file in it is as long as it says."""
    page = reader.get("/public/data").text
    [link] = re.findall(r'<link rel="alternate" type="application/ld\+json" href="([^"]+)">', page)
    answer = reader.get(link)
    assert answer.headers["content-type"].startswith("application/ld+json")
    assert answer.json()["@id"] == f"http://127.0.0.1{link}"
    for dataset in answer.json()["dcat:dataset"]:
        for part in dataset["dcat:distribution"]:
            found = reader.get(part["dcat:downloadURL"]["@id"].removeprefix("http://127.0.0.1"))
            assert len(found.content) == int(part["dcat:byteSize"]["@value"])
    assert reader.get(link, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


# Reports -----------------------------------------------------------------------------------------------------


@pytest.fixture
def office(tmp_path: Path) -> Workspace:
    return init(tmp_path / "home", Settings())


@pytest.fixture
def sender(office: Workspace) -> Iterator[TestClient]:
    """A visitor behind the real door: forms are checked."""
    with TestClient(create_app(office, clock=lambda: TIME), base_url="http://127.0.0.1") as made:
        yield made


def hidden(text: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', text)[1]


def send(sender: TestClient, photo: bytes | None = None, **changed: str):
    page = sender.get("/public/report").text
    form = {"category": "smoke", "place": "630100", "spot": "长江路1号", "text": "冒黑烟 <b>",
            "contact": "13900000000", "csrf": hidden(page, "csrf"), "once": hidden(page, "once")}  # fmt: skip
    form |= changed
    files = (
        {"photo": ("IMG.jpg", photo, "image/jpeg")} if photo else {"photo": ("", b"", "application/octet-stream")}
    )
    return sender.post("/public/report", data=form, files=files)


def codes(text: str) -> list[str]:
    return re.findall(r'class="code">([^<]+)<', text)


def test_a_report_is_sent_and_followed_without_a_script(sender: TestClient, office: Workspace) -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 40)).save(out, "JPEG")
    answer = send(sender, out.getvalue())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    number, code = codes(answer.text)
    page = sender.get(f"/public/report/{number}").text
    assert "长江路" not in page
    found = sender.post(f"/public/report/{number}", data={"code": code, "csrf": hidden(page, "csrf")})
    assert found.status_code == 200
    assert "已收到" in found.text
    assert not any(private in found.text for private in ("长江路", "黑烟", "139"))
    wrong = sender.post(f"/public/report/{number}", data={"code": "AAAAA-AAAAA", "csrf": hidden(page, "csrf")})
    assert wrong.status_code == 404
    assert complaints.photo(office, number)[:3] == b"\xff\xd8\xff"


def test_a_form_of_another_site_is_refused(sender: TestClient, office: Workspace) -> None:
    assert send(sender, csrf="x").status_code == 403
    assert complaints.listed(office, ("*",))[0] == []


def test_what_is_wrong_stands_beside_the_field(sender: TestClient) -> None:
    answer = send(sender, text="", lat="x", photo=b"no image")
    assert answer.status_code == 422
    assert set(re.findall(r'id="w-([a-z]+)"', answer.text)) == {"text", "lat", "photo"}
    assert 'value="长江路1号"' in answer.text  # what was typed is still there
    assert answer.text.count('aria-invalid="true"') == 3


def test_programs_and_floods_are_kept_out(sender: TestClient, office: Workspace) -> None:
    assert send(sender, website="http://spam").status_code == 422
    told = [send(sender).status_code for _ in range(6)]
    assert told == [200] * 5 + [429]
    assert len(complaints.listed(office, ("*",))[0]) == 5


def test_the_same_form_twice_is_one_report(sender: TestClient, office: Workspace) -> None:
    first = codes(send(sender, once="same").text)
    again = send(sender, once="same")
    assert first[0] in again.text
    assert codes(again.text) == []  # the code is shown once
    assert len(complaints.listed(office, ("*",))[0]) == 1


def test_a_photo_that_is_too_large_is_told_and_an_absurd_body_not_read(sender: TestClient) -> None:
    assert send(sender, b"x" * 9_000_000).status_code == 413
    absurd = sender.post("/public/report", content=b"", headers={"Content-Length": "99999999999"})
    assert absurd.status_code == 422
    assert (
        sender.post(
            "/public/follow", data={"number": "2026", "csrf": hidden(sender.get("/public/report").text, "csrf")}
        ).status_code
        == 422
    )


# The console -------------------------------------------------------------------------------------------------

PEOPLE = {
    "xining": Principal("wang", "王", (Grant("prefecture", "630100"),)),
    "haidong": Principal("li", "李", (Grant("prefecture", "630200"),)),
    "province": Principal("zhao", "赵", (Grant("province", "630000"),)),
    "administrator": Principal("root", "管", (Grant("administrator"),)),
}


@pytest.mark.parametrize(
    ("who", "sees", "contact", "moves"),
    [("xining", True, True, True), ("province", True, True, True), ("haidong", False, False, False),
     ("administrator", True, False, False)],
)  # fmt: skip
def test_reports_are_seen_and_handled_within_the_place(
    office: Workspace, who: str, sees: bool, contact: bool, moves: bool
) -> None:
    """permissions.yaml: complaint.view and complaint.handle, bound to the place of the grant."""
    form = {
        "category": "dust",
        "place": "630104",
        "spot": "工地",
        "text": "扬尘 <script>",
        "contact": "13900000000",
    }
    number = complaints.submit(office, form, None, once="a", language="zh", now=TIME).number
    desk = TestClient(
        create_app(office, clock=lambda: TIME, identify=lambda r: PEOPLE[who]), base_url="http://127.0.0.1"
    )
    assert (number in desk.get("/complaints").text) == sees
    page = desk.get(f"/complaints/{number}")
    assert page.status_code == (200 if sees else 403)
    assert ("13900000000" in page.text) == contact
    assert "<script>" not in page.text.replace('<script type="module"', "")
    told = desk.post(f"/complaints/{number}", data={"to": "assigned", "handler": "执法队"}, follow_redirects=False)
    assert told.status_code == (303 if moves else 403)
    assert (complaints.one(office, number)["status"] == "assigned") == moves


def test_a_move_that_is_not_legal_changes_nothing(office: Workspace) -> None:
    form = {"category": "dust", "place": "630104", "spot": "工地", "text": "扬尘"}
    number = complaints.submit(office, form, None, once="a", language="zh", now=TIME).number
    identify = {"identify": lambda request: PEOPLE["xining"]}
    desk = TestClient(create_app(office, clock=lambda: TIME, **identify), base_url="http://127.0.0.1")
    told = desk.post(f"/complaints/{number}", data={"to": "answered", "answer": "x"}, follow_redirects=False)
    assert told.headers["location"].endswith("?wrong=move")
    assert complaints.one(office, number)["moves"] == []
    assert desk.get(f"/complaints/{number}/photo").status_code == 404


@pytest.mark.parametrize(("who", "may"), [("xining", True), ("haidong", False)])
def test_who_handles_a_closed_report_may_erase_the_contact(office: Workspace, who: str, may: bool) -> None:
    form = {"category": "dust", "place": "630104", "spot": "工地", "text": "扬尘", "contact": "13900000000"}
    number = complaints.submit(office, form, None, once="a", language="zh", now=TIME).number
    desk = TestClient(
        create_app(office, clock=lambda: TIME, identify=lambda r: PEOPLE[who]), base_url="http://127.0.0.1"
    )
    address = f"/complaints/{number}/contact/erase"
    assert address not in desk.get(f"/complaints/{number}").text  # not while it is open
    complaints.answer(office, number, "closed", answer="好", who="x", now=TIME)
    assert (address in desk.get(f"/complaints/{number}").text) == may
    assert desk.post(address, follow_redirects=False).status_code == (303 if may else 403)
    assert complaints.contact(office, number) == ("" if may else "13900000000")


def test_the_public_sees_no_reports(office: Workspace) -> None:
    desk = TestClient(
        create_app(office, clock=lambda: TIME, identify=lambda r: PUBLIC), base_url="http://127.0.0.1"
    )
    assert desk.get("/complaints").status_code == 401


def test_packed_size_is_small_enough_for_a_weak_line(reader: TestClient) -> None:
    """A budget of our own, a tenth of the issue's: 20 kB packed, page and sheet."""
    page = gzip.compress(reader.get("/public").content)
    sheet = assets()["public.css"].packed
    assert sheet is not None
    assert len(page) + len(sheet) < 20_000
