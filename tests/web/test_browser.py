"""Every page in a real Chromium, both languages, desktop and phone: whole, quiet, and nothing leaves localhost."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

pytestmark = pytest.mark.browser

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path(os.environ.get("QINGLAN_CHROMIUM", "/usr/bin/chromium"))
PAGES = (
    "/plan", "/places", "/places/630100?year=2025", "/places/630100?year=2026", "/now", "/plan/articles",
    "/plan/articles/10", "/data",
    "/rules", "/making/target/pm2_5-2025", "/making/place/630100/2025-04", "/making/day/630100/2026-03-05",
    "/making/hours/1480A/2026-03-05",
)  # fmt: skip


@pytest.fixture(scope="module")
def base(client: TestClient) -> Iterator[str]:
    """The console served on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(client.app, host="127.0.0.1", port=port, log_level="error"))
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
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; name one in QINGLAN_CHROMIUM")
    with sync_api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_are_quiet_and_fit(browser: Any, base: str, language: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, has_touch=width < 500)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        mark = "&" if "?" in path else "?"
        answer = page.goto(f"{base}{path}{mark}lang={language}")
        assert answer.status == 200, path
        assert page.locator("h1").count() == 1, path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} scrolls sideways"
        assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    assert said == []
    assert [url for url in asked if not url.startswith(base)] == []
    context.close()


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
