"""Ledgers at work: workbooks in and out, rows edited and merged, deadlines and findings watched.

Who may see and change which rows is decided here (:mod:`qinglan.flow.ledgers.rights`), for pages, API and commands
alike. The pure rules are in :mod:`qinglan.ledger`, the rows in :mod:`qinglan.store.ledgers`.
"""

from qinglan.access import Forbidden
from qinglan.flow.ledgers.asking import Asked, asked_of, wanted
from qinglan.flow.ledgers.editing import (
    Bulk,
    RowRefused,
    bring_back,
    bulk_set,
    history,
    merge,
    move,
    one,
    save,
    set_rows,
    withdraw,
)
from qinglan.flow.ledgers.frames import Frame, frame
from qinglan.flow.ledgers.importing import (
    COUNTS,
    MOST_BYTES,
    ImportReport,
    again,
    confirm,
    import_workbook,
    marked_workbook,
)
from qinglan.flow.ledgers.repairing import aside, aside_line, dismiss, repair
from qinglan.flow.ledgers.rights import Scope, local_office, need, scope
from qinglan.flow.ledgers.sharing import (
    change_of,
    changes,
    declaration,
    export,
    likely_pairs,
    number_of,
    place_choices,
    readable_rows,
    recheck,
    typed_text,
)
from qinglan.flow.ledgers.watching import (
    STANDS,
    deadlines,
    departments,
    findings,
    indicators,
    overview,
    visible,
    watch,
    watch_all,
)
from qinglan.ledger.declare import load_ledger
from qinglan.store.ledgers import Overtaken

__all__ = [
    "COUNTS",
    "MOST_BYTES",
    "STANDS",
    "Asked",
    "Bulk",
    "Forbidden",
    "Frame",
    "ImportReport",
    "Overtaken",
    "RowRefused",
    "Scope",
    "again",
    "aside",
    "aside_line",
    "asked_of",
    "bring_back",
    "bulk_set",
    "change_of",
    "changes",
    "confirm",
    "deadlines",
    "declaration",
    "departments",
    "dismiss",
    "export",
    "findings",
    "frame",
    "history",
    "import_workbook",
    "indicators",
    "likely_pairs",
    "load_ledger",
    "local_office",
    "marked_workbook",
    "merge",
    "move",
    "need",
    "number_of",
    "one",
    "overview",
    "place_choices",
    "readable_rows",
    "recheck",
    "repair",
    "save",
    "scope",
    "set_rows",
    "typed_text",
    "visible",
    "wanted",
    "watch",
    "watch_all",
    "withdraw",
]
