"""The sheet of one plant as a file, made of the list as it stands."""

from __future__ import annotations

from datetime import date

from qinglan.access import Principal
from qinglan.core.errors import NotFound, UnknownName
from qinglan.episode.completion import LEVELS, SPECIES
from qinglan.episode.requirement import reachable
from qinglan.flow.emergency.checking import LEDGER
from qinglan.flow.emergency.gathering import books_on
from qinglan.flow.emergency.seeing import Plant, Row, plant
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger
from qinglan.report import write
from qinglan.report.plant_sheet import PlantSheet, SheetLine, plant_sheet

#: Forms in which a sheet is given.
SHEETS = ("docx", "pdf")


def sheet(
    workspace: Workspace, me: Principal, today: date, uscc: str, *, language: str = "zh", form: str = "docx",
    year: int | None = None,
) -> tuple[bytes, str]:  # fmt: skip
    """The bytes and the name of an enterprise's sheet, of its listed rows.

    NotFound when nothing of it is listed, UnknownName for another form than :data:`SHEETS`.
    """
    if form not in SHEETS:
        raise UnknownName("form of a sheet", form, SHEETS)
    found = plant(workspace, me, today, uscc, year)
    if not any(r["status"] == "listed" for r in found.rows):
        raise NotFound(
            f"nothing of {found.enterprise} is listed for {found.year}.",
            remedy="List its lines first: qinglan emergency complete.",
        )
    document = plant_sheet(_told(workspace, found, today), language)
    return write(document, form), f"emergency-{found.year}-{uscc}.{form}"


def _told(workspace: Workspace, found: Plant, today: date) -> PlantSheet:
    place, office = workspace.named(found.county), workspace.named(workspace.settings.place)
    change = frame(workspace, LEDGER).change
    cuts = books_on(today).cuts

    def line(row: Row) -> SheetLine:
        ledger = load_ledger(LEDGER)

        def words(column: str) -> dict[str, str]:
            code = ledger.column(column).codes.get(row[column])
            return dict(code.words) if code else {"zh": row[column], "en": row[column]}

        return SheetLine(
            row["line_no"], row["line"], words("sector"), words("grade"), bool(row["guaranteed"]),
            {s: row[f"{s}_day"] or 0.0 for s in SPECIES},
            {n: (words(n), row[f"{n}_cut"] or 0.0) for n in LEVELS}, row["lead_hours"],
            100 * reachable(cuts, row["lead_hours"] or 0.0), row["verified_by"],
        )  # fmt: skip

    names = {"zh": str(place.get("name") or found.county), "en": str(place.get("name_en") or found.county)}
    issuer = {"zh": f"{office['name']}生态环境部门", "en": f"Ecology office, {office['name_en']}"}
    return PlantSheet(
        found.uscc, found.enterprise, names, issuer, found.year, today,
        cuts.number("notice"), found.contacts, tuple(line(r) for r in found.rows if r["status"] == "listed"),
        str(change), workspace.settings.simulated,
    )  # fmt: skip
