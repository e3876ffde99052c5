"""Every route x every role x own and foreign place, held against the permission table (content/access).

The table is read here as plain YAML and judged by a second, simpler rule than the program's, so that a slip in
either shows. What a route does behind its door is taken out: the walk is about the door.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import fastapi.routing
import pytest
import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from qinglan.access import DEMO, PUBLIC, Grant, Principal
from qinglan.web import create_app
from qinglan.web.access import doors
from qinglan.web.api import ApiSettings

TABLE: dict[str, Any] = yaml.safe_load((files("qinglan.content") / "access/permissions.yaml").read_text("utf-8"))
ROLES, PERMISSIONS = TABLE["roles"], TABLE["permissions"]

#: Which permissions may stand at a door of each part: a route of no part, or with a foreign permission, fails.
PARTS = {
    r"/$|/public(/|$)|/sign-in|/sign-out|/first-run|/open|/favicon.ico": r"public\.",
    r"/healthz|/readyz|/metrics": r"public\.view|admin\.",
    r"/today|/now|/places|/evaluation|/compare|/ranking|/series|/making": r"air\.|plan\.view|data\.view",
    r"/plan|/targets|/articles|/tasks": r"plan\.",
    r"/data|/rules|/stations\.csv|/rejects|/loads": r"data\.|air\.view|instrument\.",
    r"/stations": r"air\.view|data\.view",
    r"/review|/disclosure|/dust": r"review\.|flag\.|instrument\.|month\.|dust\.|data\.view|air\.view",
    r"/publications": r"publication\.",
    r"/warnings|/orders": r"warning\.|order\.",
    r"/complaints": r"complaint\.",
    r"/ledgers": r"ledger\.",
    r"/sources": r"ledger\.",
    r"/inventory": r"inventory\.",
    r"/emergency-list|/grades": r"emergency\.",
    r"/forecast|/desk": r"forecast\.",
    r"/admin/users|/admin/roles": r"admin\.users",
    r"/admin/audit": r"admin\.audit",
    r"/admin/settings": r"admin\.settings",
    r"/admin": r"admin\.|complaint\.|data\.",
    r"/account": r"account\.self",
    r"/api/v1|/sensorthings": r"api\.read|(public|air|plan|data|publication|review|ledger)\.view",
}

SIGNING = {"/sign-in", "/sign-in/second", "/sign-out", "/first-run"}
#: Each act behind these has a permission of its own, which the route asks for once it knows the act and the place.
DECIDED_INSIDE = {"/review/sign", "/publications/{publication}/{version}/moves", "/warnings/{warning}/moves"}

OWN, INSIDE, FOREIGN, ABOVE = "630100", "630105", "632800", "630000"


def granted(role: str, place: str = OWN) -> Principal:
    """Somebody with one role, bound as the table asks; a visitor for the roles of visitors."""
    if role in ("public", "demo"):
        return PUBLIC if role == "public" else DEMO
    scope = ROLES[role]["scope"]
    grant = {
        "none": Grant(role),
        "place": Grant(role, place=place),
        "department": Grant(role, department="住房城乡建设厅"),
        "sources": Grant(role, sources=("s1",)),
    }[scope]
    return Principal("somebody", "某人", (grant,), "session")


@pytest.fixture(scope="module")
def walk(home: Any) -> Iterator[tuple[TestClient, dict[str, Principal]]]:
    """A console whose routes do nothing, and a seat in which to put who asks."""

    class Bare:
        def __init__(self) -> None:
            self.home = home

    seat: dict[str, Principal] = {}

    def identify(request: Request) -> Principal:
        return seat["me"]

    async def idle(**_: Any) -> Response:
        return Response(status_code=204)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastapi.routing, "run_endpoint_function", idle)
        app = create_app(Bare(), identify=identify, api=ApiSettings(rate=""))  # type: ignore[arg-type]
        yield TestClient(app, base_url="http://127.0.0.1", follow_redirects=False), seat


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", "1", path)


def test_every_route_belongs_to_a_part_and_asks_for_a_permission_of_it(walk: Any) -> None:
    client, _ = walk
    found = doors(client.app)
    assert len(found) > 60
    lost = []
    for door in found:
        part = next((want for stem, want in PARTS.items() if re.match(stem, door.path)), None)
        if part is None or not re.match(part, door.permission or ""):
            lost.append((door.path, door.permission))
    assert lost == []


def test_every_door_opens_to_those_whom_the_table_names_and_to_nobody_else(
    walk: Any, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    client, seat = walk
    wrong, count, met = [], 0, set()
    for door in doors(client.app):
        rule = PERMISSIONS[door.permission]
        for method, role in itertools.product(sorted(door.methods - {"HEAD", "OPTIONS"}), ROLES):
            for place in (OWN, FOREIGN) if ROLES[role]["scope"] == "place" else (OWN,):
                seat["me"] = granted(role, place)
                status = client.request(method, filled(door.path)).status_code
                closed = (403 if seat["me"].signed_in else 401) if role not in rule["roles"] else None
                count += 1
                met.add(status)
                if (status != closed) if closed else status in (401, 403, 404, 405, 500):
                    wrong.append((method, door.path, role, place, status, closed))
    routes = len(doors(client.app))
    record_property("walked", count)
    with capsys.disabled():
        print(f"\npermission walk: {routes} routes x {len(ROLES)} roles x places = {count} doors tried")  # noqa: T201
    assert wrong == []
    assert {204, 401, 403} <= met
    assert count > 600


def oracle(permission: str, role: str, place: str) -> bool:
    """What the table says of somebody with a role for OWN, at a place: written without the program's rule."""
    rule = PERMISSIONS[permission]
    if role not in rule["roles"]:
        return False
    if rule.get("anywhere") or ROLES[role]["scope"] == "none":
        return True
    return ROLES[role]["scope"] == "place" and place in (OWN, INSIDE)


def test_every_permission_holds_for_every_role_in_its_own_places_only() -> None:
    count = 0
    for permission, role, place in itertools.product(PERMISSIONS, ROLES, (OWN, INSIDE, FOREIGN, ABOVE)):
        assert granted(role).may(permission, place) is oracle(permission, role, place), (permission, role, place)
        count += 1
    assert count == len(PERMISSIONS) * len(ROLES) * 4


def test_a_key_has_its_scopes_of_what_its_owner_has_and_nothing_else() -> None:
    for permission, role in itertools.product(PERMISSIONS, ROLES):
        owner = granted(role)
        for scopes in (frozenset(), frozenset({permission}), frozenset(PERMISSIONS) - {permission}):
            key = Principal(owner.id, owner.name, owner.grants, "key", scopes)
            assert key.may(permission) is (permission in scopes and owner.may(permission))


def test_two_grants_are_both_places_and_no_more() -> None:
    grants = (Grant("prefecture", place=OWN), Grant("operator", place=FOREIGN))
    me = Principal("a", "a", grants, "session")
    assert me.may("review.prefecture", OWN)
    assert not me.may("review.prefecture", FOREIGN)
    assert me.may("review.operator", FOREIGN)
    assert not me.may("review.operator", OWN)
    assert not me.may("month.lock", OWN)


def test_no_visitor_may_change_anything_but_report_pollution_and_sign_in(walk: Any) -> None:
    client, _ = walk
    unsafe = [d for d in doors(client.app) if d.methods & {"POST", "PUT", "PATCH", "DELETE"}]
    opened = {d.path for d in unsafe if {"public", "demo"} & set(PERMISSIONS[d.permission]["roles"])}
    assert {p for p in opened if not p.startswith("/public/")} <= SIGNING | DECIDED_INSIDE
