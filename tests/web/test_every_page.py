"""Every page of the console in a real Chromium, found by walking the routes: whole, quiet, accessible, local.

(a) WCAG 2.2 A and AA as axe-core 4 checks them. Screenshots are kept where QINGLAN_SCREENSHOTS says.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.flow import accounts, complaints, forecasts, inventory, ledgers, publications, warnings
from qinglan.flow.demo import confirm_known_dust
from qinglan.flow.forecasts import desk, hourly
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.views.data import Wanted, rejects
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.plan.pack import load_plan
from qinglan.plan.places import load_stations
from qinglan.sim.enterprises import credit_code
from qinglan.store import desk as desks
from qinglan.store import publications as bulletins
from qinglan.store.warnings import listed as listed_warnings
from qinglan.web import create_app
from qinglan.web.access import doors

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = Path(os.environ.get("QINGLAN_CHROMIUM", "/usr/bin/chromium"))
SHOTS = os.environ.get("QINGLAN_SCREENSHOTS")
NOW = datetime(2025, 4, 1, 1, tzinfo=UTC)
#: What stands for each parameter of an address. A page whose parameter is not here has to be made first.
SAMPLES = {
    "code": "630100", "station": "1480A", "day": "2025-03-05", "period": "2025-03", "n": "10", "number": "10",
    "year": "2025", "book": "hj633", "ledger": "boilers",
}  # fmt: skip
MADE = {
    "/making/target/{name}": "/making/target/pm2_5-2025",
    "/admin/users/{user_id}": "/admin/users/wang",
    "/ledgers/{ledger}/import/{number}": "/ledgers/boilers/import/1",
    "/ledgers/{ledger}/aside/{number}": "/ledgers/boilers/aside/1",
    "/inventory/map/{iy}/{ix}": "/inventory/map/64/123",
    "/inventory/versions/{version}": f"/inventory/versions/{load_ledger('boilers').good[0]['year']}-01",
}
#: What is no page of its own: files, and parts of a page.
PARTS = re.compile(
    r"\.\{(kind|form)\}$|\.png$|^/public/data/|^/(stations|places)/\{\w+\}/\{name\}$|/evidence/\{number\}$|/hours\.json$"
)
#: The software renderer of a headless browser says this of itself when a screenshot is taken.
NOISE = re.compile(r"GL Driver Message|GPU stall")
#: WCAG 2.2, 2.5.8 lets small targets stand where the same page offers another way: the points of the map and the
#: cells of the last 48 hours are also links of the tables, the slider, and the hour before and after.
DENSE = re.compile(r'class="dot |href="/today\?hour=')
WORKS = credit_code("630105", 7)
#: The person who sees every page.
OFFICER = Principal(
    "tester", "测试员",
    (Grant("administrator"), Grant("province", "630000"), Grant("enterprise", sources=(WORKS,))), via="session",
)  # fmt: skip


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The console over three months of eight simulated stations, seen by somebody who may see everything."""
    workspace = init(tmp_path_factory.mktemp("office") / "home", Settings(simulated=True))
    chosen = [s for s in load_stations() if s.place in ("630100", "630200", "632800")][:8]
    simulate_into(workspace, date(2025, 1, 1), date(2025, 3, 31), stations=chosen)
    _keep_boilers(workspace)
    grade = load_ledger("performance-grades").good[0] | {"assessed_on": "2024-09-20", "valid_to": "2025-04-20"}
    _import(workspace, "performance-grades", [grade | {"uscc": WORKS, "county": "630105"}])
    run(workspace, now=NOW, review=confirm_known_dust)
    forecasts.run(workspace, datetime(2025, 3, 20, 8, tzinfo=UTC), now=NOW)
    hourly.run(workspace, datetime(2025, 3, 20, 8, tzinfo=UTC), now=NOW)
    _keep_desk(workspace)
    _keep_office(workspace)
    return create_app(workspace.home, clock=lambda: NOW, identify=lambda request: OFFICER)


def _keep_office(workspace: Workspace) -> None:
    """A colleague, a bulletin in draft and a report of pollution: each has a page of its own."""
    accounts.add_user(workspace.registry, "wang", "王", [Grant("province", "630000")], who="tests", now=NOW)
    publications.draft(workspace, "monthly", "2025-03", who="wang", at=NOW)
    form = {"category": "smoke", "place": "630100", "spot": "长江路1号", "text": "冒黑烟", "contact": ""}
    complaints.submit(workspace, form, None, once="once", language="zh", now=NOW)
    _keep_warning(workspace)
    year = int(load_ledger("boilers").good[0]["year"])
    inventory.freeze(workspace, year, by="wang", reason="年度清单", now=NOW)


def _keep_desk(workspace: Workspace) -> None:
    """A bulletin of the forecast with an edit and a voice of another office, issued and corrected."""
    at = datetime(2025, 3, 20, 9, tzinfo=UTC)
    first, second = (desk.local_command(workspace, who) for who in ("甲", "乙"))
    made = desk.begin(workspace, "630000", me=first, at=at)
    change = desk.Edit(105, 140, primary="pm10", words="午后浮尘", reason="上游起沙")
    desk.edit(workspace, made, "630100", date(2025, 3, 21), change, me=first, at=at)
    desk.act(workspace, made, "consult", me=first, at=at)
    desk.act(workspace, made, "comment", me=desk.local_command(workspace, "丙", "630100"), at=at, reason="偏高")
    for me, name in ((first, "submit"), (second, "approve"), (first, "issue")):
        desk.act(workspace, made, name, me=me, at=at)
    desk.act(workspace, made, "correct", me=first, at=at, reason="路径有变")


def _keep_warning(workspace: Workspace) -> None:
    """A warning in force whose one order is refused, and a check of its line."""
    row = load_ledger("emergency-list").good[0] | {"county": "630105", "guaranteed": False, "yellow": "load"}
    row |= {"uscc": WORKS, "yellow_cut": 20.0, "status": "listed"}
    cells = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in row.items() if v is not None}
    office, day = ledgers.local_office(workspace, "tests"), NOW.date()
    data = pl.DataFrame([cells]).write_csv().encode()
    ledgers.import_workbook(workspace, "emergency-list", data, name="清单.csv", me=office, today=day, now=NOW)
    first, second = (warnings.local_command(workspace, who) for who in ("甲", "乙"))
    made = warnings.draft(workspace, "630100", "yellow", reason="连续两天中度", me=first, at=NOW)
    for me, name in ((first, "submit"), (second, "approve"), (first, "issue")):
        warnings.act(workspace, made, name, me=me, at=NOW)
    order = warnings.order_of(workspace, made, WORKS)
    warnings.answer(workspace, order, "refused", note="合同工期", me=OFFICER, at=NOW)
    warnings.verify(workspace, order, str(row["line_no"]), "inspection", 5, me=first, at=NOW)


def _made(workspace: Workspace) -> dict[str, str]:
    """Addresses of pages of what the office made."""
    reports, _ = complaints.listed(workspace, ("*",))
    return MADE | {
        "/plan/tasks/{name}": f"/plan/tasks/{load_plan(workspace.settings.plan).tasks[0].id}",
        "/data/loads/{load_id}": f"/data/loads/{workspace.loads()[0]['id']}",
        "/data/rejects/{number}": f"/data/rejects/{rejects(workspace, Wanted())['rows'][0]['id']}",
        "/publications/{publication}": f"/publications/{bulletins.listed(workspace.registry)[0]['id']}",
        "/orders": "/orders",
        "/emergency-list/{uscc}": f"/emergency-list/{WORKS}",
        "/sources/{uscc}": f"/sources/{WORKS}",
        "/warnings/{warning}": f"/warnings/{listed_warnings(workspace.registry)[0]['id']}",
        "/desk": "/desk?day=2025-03-20&cell=630100.2025-03-21",
        "/desk/{bulletin}": f"/desk/{desks.listed(workspace.registry)[0]['id']}",
        "/complaints/{number}": f"/complaints/{reports[0]['number']}",
    }


def _keep_boilers(workspace: Workspace) -> None:
    """Ten rows in a ledger, one of them to be retired; one line that could not be taken in."""
    good = load_ledger("boilers").good[0]
    rows = [{**good, "boiler_no": f"QH630105-{n:04}", "capacity": 6 if n == 1 else 40} for n in range(1, 12)]
    rows[-1]["capacity"] = "四十五吨"
    _import(workspace, "boilers", rows)


def _import(workspace: Workspace, ledger: str, rows: list[dict[str, Any]]) -> None:
    cells = pl.DataFrame(
        [{k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in r.items()} for r in rows]
    )
    office = ledgers.local_office(workspace, "tests")
    data, day = cells.write_csv().encode(), NOW.date()
    ledgers.import_workbook(workspace, ledger, data, name="锅炉.csv", me=office, today=day, now=NOW)


@pytest.fixture(scope="module")
def pages(office: FastAPI) -> list[str]:
    """Addresses of all pages: every GET route whose parameters have a sample and that answers HTML."""
    client = TestClient(office, base_url="http://127.0.0.1", raise_server_exceptions=False)
    made = _made(office.state.site.workspace)
    found, faults, unasked = [], [], []
    for route in doors(office):
        if "GET" not in route.methods or route.path.startswith(("/api/", "/sensorthings/")):
            continue
        address = made.get(route.path) or re.sub(
            r"\{(\w+)(?::\w+)?\}", lambda m: SAMPLES.get(m[1], "{}"), route.path
        )
        if "{" in address:
            unasked += [] if PARTS.search(route.path) else [route.path]
            continue
        answer = client.get(address, follow_redirects=False)
        if answer.status_code >= 500:
            faults.append((address, answer.status_code))
        elif answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/html"):
            found.append(address)
    assert faults == []
    assert unasked == [], "a page that nobody here knows how to ask: add it to SAMPLES or make it"
    assert {made[path] for path in made} <= set(found)
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def base(office: FastAPI) -> Iterator[str]:
    """The console served on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(office, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started, "the console did not start"
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, with WebGL in software."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; name one in QINGLAN_CHROMIUM")
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield found
        found.close()


@pytest.mark.parametrize(("language", "widths"), [("zh", (1440, 390)), ("en", (390, 1440))])
def test_every_page(browser: Any, base: str, pages: list[str], language: str, widths: tuple[int, int]) -> None:
    """Each page is loaded once a language and then made narrow or wide; the one that starts narrow is a phone."""
    context = browser.new_context(viewport={"width": widths[0], "height": 1000}, has_touch=widths[0] < 500)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: NOISE.search(message.text) or said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    faults: list[str] = []
    # Where long tests are sampled (tests/conftest.py), English looks at every other page.
    every = 2 if language == "en" and int(os.environ.get("QINGLAN_SAMPLE", "1")) > 1 else 1
    for path in pages[::every]:
        page.set_viewport_size({"width": widths[0], "height": 1000})
        answer = page.goto(f"{base}{path}{'&' if '?' in path else '?'}lang={language}")
        faults += [] if answer.status == 200 else [f"{path}: {answer.status}"]
        if page.locator("h1").count() != 1:
            faults.append(f"{path}: {page.locator('h1').count()} h1")
        if not re.match(r"zh" if language == "zh" else "en", page.locator("html").get_attribute("lang") or ""):
            faults.append(f"{path}: language")
        for width in widths:
            page.set_viewport_size({"width": width, "height": 1000})
            _drawn(page, faults, path)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                faults.append(f"{path}: scrolls sideways at {width}")
            if width == widths[0]:
                faults += [f"{path}: {fault}" for fault in _violations(page)]
            if SHOTS:
                name = path.strip("/").replace("/", "-") or "root"
                page.screenshot(path=f"{SHOTS}/{name}-{language}-{width}.png", full_page=True)
    context.close()
    assert not faults, "\n".join(faults)
    assert said == []
    # A blob is memory of the page itself: the map's worker and images.
    assert [url for url in asked if not url.startswith((base, "blob:", "data:"))] == []


def _drawn(page: Any, faults: list[str], path: str) -> None:
    """Scrolls to every chart and map and waits until it is drawn."""
    for figure in page.locator("figure[data-chart], figure[data-map]").all():
        if not figure.is_visible():
            continue
        figure.scroll_into_view_if_needed()
        name = figure.get_attribute("id")
        page.locator(f"figure#{name}[data-drawn]").wait_for(state="attached", timeout=30_000)
        if figure.get_attribute("data-drawn") != "yes":
            faults.append(f"{path}: {name} could not be drawn")


def _violations(page: Any) -> list[str]:
    # What passed is not gathered: of the long tables it is most of the time.
    options = {
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
        "resultTypes": ["violations"],
    }
    found = axe.Axe().run(page, options=options).response["violations"]
    return [
        f"{v['id']} {[node['html'][:120] for node in nodes[:2]]}"
        for v in found
        if v["impact"] in ("serious", "critical")
        and (nodes := [n for n in v["nodes"] if v["id"] != "target-size" or not DENSE.search(n["html"])])
    ]


def test_keyboard_reaches_the_content_first(browser: Any, base: str) -> None:
    """WCAG 2.2, 2.4.1: the first stop of the Tab key skips to the content."""
    page = browser.new_page()
    page.goto(f"{base}/plan")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(browser: Any, base: str, theme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5:1 between every text colour of the design and the grounds it is used on."""
    page = browser.new_page()
    page.goto(f"{base}/plan?theme={theme}")
    ratio = """([text, ground]) => {
      const style = getComputedStyle(document.documentElement);
      const light = name => {
        const hex = style.getPropertyValue(name).trim().slice(1);
        const [r, g, b] = [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
          .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    }"""
    pairs = [(f"--{t}", f"--{g}") for t in ("ink", "ink-2", "ink-3", "accent", "good", "bad", "warn")
             for g in ("paper", "card")]  # fmt: skip
    pairs += [(f"--{t}", f"--{t}-soft") for t in ("accent", "good", "bad", "warn", "wait")]
    weak = {pair: round(page.evaluate(ratio, list(pair)), 2) for pair in pairs}
    assert {pair: value for pair, value in weak.items() if value < 4.5} == {}
    page.close()


def test_a_flag_is_decided_in_a_dialog_on_the_page_of_its_station(browser: Any, base: str) -> None:
    """WAI-ARIA practices, modal dialog: the focus goes in, Escape closes, the focus comes back."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(f"{base}/stations/1480A?span=2025&lang=en")
    link = page.locator("#decide-1")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog#overrule[open]")
    dialog.locator("h2").wait_for()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    assert _violations(page) == []
    page.keyboard.press("Escape")
    page.locator("dialog#overrule:not([open])").wait_for(state="attached")
    assert page.evaluate("document.activeElement.id") == "decide-1"
    link.click()
    dialog.locator("textarea[name=reason]").fill("fog")
    dialog.locator("form.stack button[type=submit]").click()
    dialog.locator(".n-good").wait_for()
    dialog.locator("form[method=dialog] button").click()
    assert page.locator("span#decide-1").inner_text()
    page.close()
