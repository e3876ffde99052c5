"""The frame around every page of the console: where one can go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Door:
    """An entry of the main navigation: shown to those who hold `permission`; current below any of `below`."""

    name: str
    href: str
    permission: str
    below: tuple[str, ...]

    def here(self, path: str) -> bool:
        """Whether a page belongs under this entry."""
        return any(path == stem or path.startswith(f"{stem}/") for stem in self.below)


NAV = (
    Door("today", "/today", "air.view", ("/today", "/now")),
    Door("places", "/places", "air.view", ("/places", "/stations")),
    Door("evaluation", "/evaluation", "air.view", ("/evaluation", "/compare", "/ranking")),
    Door("forecast", "/forecast", "forecast.view", ("/forecast",)),
    Door("desk", "/desk", "forecast.view", ("/desk",)),
    Door("plan", "/plan", "plan.view", ("/plan", "/targets", "/articles", "/tasks")),
    Door("ledgers", "/ledgers", "ledger.view", ("/ledgers",)),
    Door("sources", "/sources", "ledger.view", ("/sources",)),
    Door("inventory", "/inventory", "inventory.view", ("/inventory",)),
    Door("response", "/warnings", "warning.view", ("/warnings", "/emergency-list", "/grades")),
    Door("orders", "/orders", "order.answer", ("/orders",)),
    Door("review", "/review", "review.view", ("/review", "/disclosure")),
    Door("publications", "/publications", "publication.view", ("/publications",)),
    Door("complaints", "/complaints", "complaint.view", ("/complaints",)),
    Door("data", "/data", "data.view", ("/data", "/rules", "/making")),
    Door("admin", "/admin", "admin.view", ("/admin",)),
)
