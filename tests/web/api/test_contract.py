"""schemathesis over the OpenAPI document: no 5xx, no status, content type or body that it does not tell."""

from __future__ import annotations

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: Names that exist, tried as often as drawn ones: else nearly every answer would be 404.
KNOWN = {"station": "1480A", "place": "630100", "target": "pm2_5-2025", "number": 7, "ledger": "boilers"}
HOST = {"Host": "127.0.0.1"}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_answers_are_as_the_document_says(api: TestClient, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_asgi("/api/v1/openapi.json", api.app, headers=HOST)
    met: dict[int, int] = {}
    operations = [found.ok() for found in document.get_all_operations()]
    for operation in operations:

        @settings(
            max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
        def holds(case: schemathesis.Case, known: bool) -> None:
            if known:
                case.path_parameters |= {k: v for k, v in KNOWN.items() if k in (case.path_parameters or {})}
            answer = case.call(headers=HOST)
            case.validate_response(answer, checks=CHECKS)
            met[answer.status_code] = met.get(answer.status_code, 0) + 1

        with suppress(Unsatisfiable):  # what takes no parameters cannot be asked wrongly
            holds()
    assert len(operations) >= 18
    wanted = {200, 404} if mode is GenerationMode.POSITIVE else {422}
    assert wanted <= set(met), met
