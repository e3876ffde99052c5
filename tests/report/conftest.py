"""A workspace of real days of Qinghai (2014-12-31 to 2016-06-30), judged as of the end of June 2016."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from qinglan.flow.ingest import ingest
from qinglan.flow.run import run
from qinglan.flow.workspace import Settings, Workspace, init

NOW = datetime(2016, 7, 5, 2, tzinfo=UTC)


@pytest.fixture(scope="session")
def real(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = init(tmp_path_factory.mktemp("bulletins"), Settings())
    folder = test_data / "cn_city_daily_aqistudy_2013_2017"
    ingest(workspace, "city_daily", [folder / "qinghai_8_prefectures_daily.csv.gz"])
    run(workspace, now=NOW, as_of=date(2016, 6, 30))
    return workspace
