"""One simulation of the national stations for all tests of the room (about a second)."""

from __future__ import annotations

from datetime import date

import pytest

from qinglan.plan.places import load_stations
from qinglan.plan.simulation import load_parameters
from qinglan.sim.province import simulate

START, END = date(2023, 1, 1), date(2025, 12, 31)


@pytest.fixture(scope="session")
def parameters():
    return load_parameters()


@pytest.fixture(scope="session")
def national():
    return load_stations("qinghai")


@pytest.fixture(scope="session")
def province(parameters, national):
    return simulate(national, parameters, START, END)
