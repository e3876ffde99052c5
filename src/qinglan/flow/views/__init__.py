"""What the pages and ``--json`` read: the results of the current run, by name, and nothing computed.

A view opens the current run's folder (``verdict.json`` and Parquet tables, contract 0002 §2 and §4) and, for the
last step down to the hours, the lake.
"""

from qinglan.flow.views.making import day_making, hours_making, loads, rejects, stations, target_places
from qinglan.flow.views.places import (
    SORTABLE,
    by_month,
    calendar,
    coverage,
    dust_days,
    editions,
    editions_of,
    evaluation,
    last_hours,
    leading_statistics,
    now,
    periods,
    pick_period,
    place,
    place_days,
    places,
    prefectures,
    summary,
    year_limits,
    years,
)
from qinglan.flow.views.result import DUST, NoRun, Result, Row, Workspace, current
from qinglan.flow.views.verdict import article, articles_of, board, plan_page, rule_books, target, targets_of
from qinglan.flow.views.warm import warm

__all__ = [
    "DUST",
    "SORTABLE",
    "NoRun",
    "Result",
    "Row",
    "Workspace",
    "article",
    "articles_of",
    "board",
    "by_month",
    "calendar",
    "coverage",
    "current",
    "day_making",
    "dust_days",
    "editions",
    "editions_of",
    "evaluation",
    "hours_making",
    "last_hours",
    "leading_statistics",
    "loads",
    "now",
    "periods",
    "pick_period",
    "place",
    "place_days",
    "places",
    "plan_page",
    "prefectures",
    "rejects",
    "rule_books",
    "stations",
    "summary",
    "target",
    "target_places",
    "targets_of",
    "warm",
    "year_limits",
    "years",
]
