"""The bulletins that the public may read: issued versions only, their frozen files only."""

from __future__ import annotations

from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound
from qinglan.plan import content
from qinglan.plan.places import load_places
from qinglan.store import publications as store
from qinglan.store.files import Files

Row = dict[str, Any]

ISSUED = "issued"
MEDIA = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def issued(workspace: Any, limit: int = 60) -> list[Row]:
    """Issued bulletins, newest period first: ``id, version, kind, name, place_name, period, moved_at, files``."""
    registry = getattr(workspace, "registry", None)
    if registry is None:
        return []
    kinds = content.read("publications", "kinds")["kinds"]
    return [
        {
            **{name: row[name] for name in ("id", "version", "kind", "place", "moved_at", "pending")},
            **_named(row["place"]),
            "title": kinds.get(row["kind"], {}).get("name", row["kind"]),
            "period": Period.parse(row["period"]),
            "files": store.frozen(registry, row["id"], row["version"]),
        }
        for row in [r for r in store.listed(registry) if r["state"] == ISSUED][:limit]
    ]


def _named(code: str) -> Row:
    """A place's names; its code when nobody registered it."""
    places = load_places()
    if code not in places:
        return {"name": code, "name_en": code}
    return {"name": places[code].name, "name_en": places[code].name_en}


def document(workspace: Any, publication: str, version: int, language: str, form: str) -> tuple[bytes, str]:
    """The frozen file of an issued bulletin and its digest; NotFound for anything that was not issued."""
    for row in issued(workspace, limit=10_000):
        if (row["id"], row["version"]) != (publication, version):
            continue
        for kept in row["files"]:
            if (kept["language"], kept["form"]) == (language, form):
                return Files(workspace.home).open(kept["digest"]), str(kept["digest"])
    raise NotFound("there is no such bulletin.", remedy="/public/bulletins lists them.")
