"""What the first readers would otherwise wait for, done behind a server that already listens."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import date

from qinglan.access import DEMO
from qinglan.core import clock
from qinglan.core.errors import QinglanError
from qinglan.flow import inventory_checks, ledgers, views
from qinglan.flow.views import forecast, inventory, inventory_versions, sources
from qinglan.flow.workspace import Workspace
from qinglan.web.site import Site, environment
from qinglan.web.text import LANGUAGES, Text

log = logging.getLogger(__name__)


def warm_up(site: Site) -> threading.Thread:
    """Begin to warm up in a thread of its own, and give it."""
    thread = threading.Thread(target=_warm, args=(site,), name="warm-up", daemon=True)
    thread.start()
    return thread


def _warm(site: Site) -> None:
    """Read the run's tables, map its hours, compile templates, read words, watch, fuse and check the ledgers,
    join the forecast to the targets.

    What fails, a page will say.
    """
    with suppress(QinglanError):
        views.warm(site.workspace)
    if isinstance(site.workspace, Workspace):
        with suppress(QinglanError):
            ledgers.watch_all(site.workspace, clock.today(site.clock()))
    made = environment()
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    for language in LANGUAGES:
        Text(language)("brand")
    if isinstance(site.workspace, Workspace):
        with suppress(QinglanError):
            forecast.chances(site.workspace)
        with suppress(QinglanError):
            _warm_sources(site.workspace, clock.today(site.clock()))
        with suppress(QinglanError):
            _warm_inventory(site.workspace)


def _warm_sources(workspace: Workspace, today: date) -> None:
    """Fuse the ledgers for those who see all of them, and compute what each ledger's rows emit."""
    office = ledgers.local_office(workspace, "warm-up")
    for who in (office, DEMO) if workspace.settings.simulated else (office,):
        sources.found(workspace, who, today.year)
    inventory.draft(workspace, today)


def _warm_inventory(workspace: Workspace) -> None:
    """Check the newest year, and draw how sure the newest frozen inventory is."""
    inventory_checks.check(workspace)
    inventory_versions.sure(workspace, ledgers.local_office(workspace, "warm-up"))
