"""What the tests of the SensorThings view share: asking it, over the small province of the API's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from qinglan.access import PUBLIC
from qinglan.flow import sensorthings
from qinglan.flow.views import Result
from qinglan.flow.workspace import Workspace
from qinglan.web import create_app
from qinglan.web.api import ApiSettings

from ..conftest import NOW

ROOT = "/sensorthings/v1.1"

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def model(workspace: Workspace, result: Result) -> sensorthings.Model:
    """The province as SensorThings."""
    return sensorthings.model(workspace, result)


@pytest.fixture
def visitor(workspace: Workspace) -> Callable[[str], TestClient]:
    """``visitor("10/minute")``: a client of the public, under a rate limit of its own (empty: none)."""

    def made(rate: str = "") -> TestClient:
        app = create_app(workspace, clock=lambda: NOW, identify=lambda r: PUBLIC, api=ApiSettings(rate=rate))
        return TestClient(app, base_url="http://127.0.0.1")

    return made


@pytest.fixture(scope="session")
def ask(api: TestClient) -> Ask:
    """``ask("Things", top=1)``: the answer to a question, which must be answered; ``status=400`` expects that."""

    def asked(path: str, *, status: int = 200, **options: Any) -> Any:
        given = {f"${name}": str(value) for name, value in options.items()}
        answer = api.get(f"{ROOT}/{path}", params=given)
        assert answer.status_code == status, answer.text
        return answer.json()

    return asked


@pytest.fixture(scope="session")
def pages(api: TestClient) -> Callable[..., Iterator[dict[str, Any]]]:
    """Every entity of a collection, following the links to further pages."""

    def walked(path: str, **options: Any) -> Iterator[dict[str, Any]]:
        given = {f"${name}": str(value) for name, value in options.items()}
        answer = api.get(f"{ROOT}/{path}", params=given)
        while True:
            assert answer.status_code == 200, answer.text
            body = answer.json()
            yield from body["value"]
            if "@iot.nextLink" not in body:
                return
            link = urlsplit(body["@iot.nextLink"])
            answer = api.get(f"{link.path}?{link.query}")

    return walked
