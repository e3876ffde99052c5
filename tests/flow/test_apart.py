"""A server's long computations run in a process apart and give what a plain call gives; a killed one is made good.

Source: docs/design/0009-api-and-speed.md, 7.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest

from qinglan.emission.units import UnitMismatch, scale
from qinglan.flow import apart


@pytest.fixture
def serving() -> Iterator[None]:
    apart.begin()
    yield
    apart.end()


def test_without_a_server_it_is_a_plain_call() -> None:
    assert apart.run(os.getpid) == os.getpid()


def test_a_server_computes_in_one_process_apart(serving: None) -> None:
    first = apart.run(os.getpid)
    assert first != os.getpid()
    assert apart.run(os.getpid) == first
    assert apart.run(os.nice, 0) == 10 + os.nice(0)


def test_an_error_arrives_as_it_was_raised(serving: None) -> None:
    with pytest.raises(ZeroDivisionError):
        apart.run(divmod, 1, 0)
    with pytest.raises(UnitMismatch, match="not a") as told:
        apart.run(scale, "t", "m3")
    assert told.value.remedy


def test_a_process_that_was_killed_costs_nobody_an_answer(serving: None) -> None:
    killed = apart.run(os.getpid)
    os.kill(killed, signal.SIGKILL)
    for child in multiprocessing.active_children():
        child.join(10)
    assert apart.run(sum, [1, 2]) == 3
    assert apart.run(os.getpid) not in (killed, os.getpid())
