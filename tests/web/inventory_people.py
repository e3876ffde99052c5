"""Who asks for the inventory's pages in tests: a name in the header ``x-who``; the province by default."""

from __future__ import annotations

from starlette.requests import Request

from qinglan.access import Grant, Principal

PEOPLE = {
    "province": Principal("sheng", "省厅", (Grant("province", "630000"),), via="session"),
    "haixi": Principal("haixi", "海西", (Grant("prefecture", "632800"),), via="session"),
    "public": Principal("", "", (Grant("public"),)),
}


def identify(request: Request) -> Principal:
    return PEOPLE[request.headers.get("x-who", "province")]
