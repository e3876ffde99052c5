"""Reports of pollution from the form to the last move. Sources: docs/design/0006-console.md §4 and issue 2 (the
public page); ISO 7064 for the check digit; GB/T 2260 for the scope of a place."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow import complaints, photos
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.store import complaints as store
from qinglan.store import registry as registry_of
from qinglan.store.files import Files

NOW = datetime(2026, 4, 12, 16, 20, tzinfo=UTC)  # in Beijing the 13th has begun
FORM = {"category": "smoke", "place": "630100", "spot": "长江路1号", "text": "冒黑烟", "contact": "13900000000"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init(tmp_path / "home", Settings())


def send(workspace: Workspace, image: bytes | None = None, once: str = "a", **fields: str) -> complaints.Receipt:
    return complaints.submit(workspace, FORM | fields, image, once=once, language="zh", now=NOW)


def picture(size: tuple[int, int] = (60, 40), kind: str = "JPEG", **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind, **more)
    return out.getvalue()


def test_the_check_digit_is_that_of_iso_7064() -> None:
    """ISO 7064 MOD 11,10: "0794" gets 5; the whole checks to 1, and every single wrong digit is found."""
    assert complaints.check_digit("0794") == 5
    number = complaints._numbered("20260413", 17)
    for place in (k for k, digit in enumerate(number) if digit.isdigit()):
        for other in set("0123456789") - {number[place]}:
            with pytest.raises(UsageError):
                complaints.number_of(number[:place] + other + number[place + 1 :])


def test_a_report_gets_a_number_and_a_code_and_its_event(workspace: Workspace) -> None:
    first, second = send(workspace), send(workspace, once="b")
    assert (first.number[:13], second.number[:13]) == ("20260413-0001", "20260413-0002")
    assert first.code != second.code
    log = registry_of.events(workspace.registry, what="complaint.received")
    assert [event["subject"] for event in log] == [first.number, second.number]
    assert "13900000000" not in str(log)
    assert first.code.replace("-", "") not in str(store.get(workspace.registry, first.number))


def test_the_same_form_counts_once(workspace: Workspace) -> None:
    first = send(workspace)
    with pytest.raises(complaints.AlreadySent) as told:
        send(workspace)
    assert told.value.number == first.number
    assert len(complaints.listed(workspace, ("*",))[0]) == 1


def test_a_report_is_followed_by_its_code_and_shows_nobody(workspace: Workspace) -> None:
    receipt = send(workspace)
    found = complaints.follow(workspace, receipt.number.replace("-", ""), receipt.code.lower().replace("-", " "))
    assert found["status"] == "received"
    assert not {"contact", "text", "spot", "photo", "lat", "code_hash", "handler"} & found.keys()
    wrong = [
        ("20260413-0001-" + receipt.number[-1], "AAAAA-AAAAA"),
        (complaints._numbered("20260413", 9), receipt.code),
    ]
    told = set()
    for number, code in wrong:
        with pytest.raises(NotFound) as refused:
            complaints.follow(workspace, number, code)
        told.add(str(refused.value))
    assert len(told) == 1  # who guesses numbers learns nothing


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("category", "war", "missing"), ("place", "110100", "missing"), ("text", " ", "missing"),
        ("text", "x" * 2001, "long"), ("lat", "north", "number"), ("lat", "nan", "number"), ("lat", "36.6", None),
        ("seen", "2026-04-13T09:00", "time"), ("seen", "2025-01-01T00:00", "time"), ("seen", "soon", "time"),
    ],
)  # fmt: skip
def test_each_wrong_field_is_named(workspace: Workspace, field: str, value: str, fault: str | None) -> None:
    with pytest.raises(complaints.Faulty) as told:
        send(workspace, **{field: value})
    assert told.value.faults == ({field: fault} if fault else {"lon": "both"})
    assert complaints.listed(workspace, ("*",)) == ([], {})


def test_seen_is_beijing_time(workspace: Workspace) -> None:
    number = send(workspace, seen="2026-04-12T08:30").number
    assert complaints.one(workspace, number)["seen_at"] == datetime(2026, 4, 12, 0, 30, tzinfo=UTC)


def test_a_photo_keeps_nothing_but_the_picture(workspace: Workspace) -> None:
    """EXIF 2.32: GPS position and camera are gone, the turn that it asks for is made, the size is bounded."""
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Orientation] = "SecretCam", 6
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (36.0, 37.0, 12.0)
    number = send(workspace, picture((3000, 1000), exif=exif.tobytes())).number
    kept = complaints.photo(workspace, number)
    image = Image.open(io.BytesIO(kept))
    assert (image.format, image.size) == ("JPEG", (683, 2048))
    assert not image.getexif()
    assert b"SecretCam" not in kept
    assert Files(workspace.home).verify(complaints.one(workspace, number)["photo"])


def bomb() -> bytes:
    """A PNG of some kilobytes that unpacks to 400 million pixels: only its head is honest about it."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"<svg onload=alert(1)>", b"GIF89a" + b"\0" * 20, picture()[:300], picture(kind="BMP"), bomb()],
    ids=["svg", "gif", "cut", "bmp", "bomb"],
)
def test_what_is_no_photo_is_refused(workspace: Workspace, data: bytes) -> None:
    with pytest.raises(complaints.Faulty) as told:
        send(workspace, data)
    assert told.value.faults == {"photo": "photo"}
    assert list(Files(workspace.home).digests()) == []


def test_a_photo_may_have_so_many_bytes() -> None:
    with pytest.raises(UsageError, match="bytes"):
        photos.clean(picture(), most_bytes=100, most_pixels=10**6, side=100)


def test_moves_are_those_of_the_table(workspace: Workspace) -> None:
    """content/public/complaints.yaml: every pair of states is tried; only the legal ones pass."""
    rules = complaints.rules()
    legal = {(m["from"], m["to"]) for m in rules["moves"]}
    told = {"handler": "执法队", "note": "n", "answer": "已查处"}
    for n, before in enumerate(rules["states"]):
        for after in rules["states"]:
            number = send(workspace, once=f"{n}{after}").number
            table = store.complaints
            with workspace.registry.begin() as con:
                con.execute(table.update().where(table.c.number == number).values(status=before))
            if (before, after) in legal:
                complaints.answer(workspace, number, after, **told, who="wang", now=NOW)
                assert complaints.one(workspace, number)["status"] == after
            else:
                with pytest.raises(UsageError, match="cannot become"):
                    complaints.answer(workspace, number, after, **told, who="wang", now=NOW)


def test_a_report_is_handled_and_the_sender_reads_the_answer(workspace: Workspace) -> None:
    receipt = send(workspace)
    with pytest.raises(UsageError, match="handler must be given"):
        complaints.answer(workspace, receipt.number, "assigned", who="wang", now=NOW)
    later = NOW + timedelta(hours=1)
    complaints.answer(workspace, receipt.number, "assigned", handler="执法队", note="急", who="wang", now=NOW)
    complaints.answer(workspace, receipt.number, "answered", answer="已停工", who="li", now=later)
    found = complaints.follow(workspace, receipt.number, receipt.code)
    assert (found["status"], found["answer"], found["changed_at"]) == ("answered", "已停工", later)
    assert [m["after"] for m in found["moves"]] == ["assigned", "answered"]
    assert "急" not in str(found)
    log = registry_of.events(workspace.registry, subject=receipt.number)
    assert [(e["what"], e["who"]) for e in log] == [
        ("complaint.received", "public"), ("complaint.assigned", "wang"), ("complaint.answered", "li")
    ]  # fmt: skip


def test_two_who_decide_at_once_do_not_overwrite_each_other(workspace: Workspace) -> None:
    number = send(workspace).number
    store.move(workspace.registry, number, "received", "assigned", handler="a", who="a", at=NOW)
    with pytest.raises(UsageError, match="no longer received"):
        store.move(workspace.registry, number, "received", "closed", answer="b", who="b", at=NOW)
    assert len(complaints.one(workspace, number)["moves"]) == 1


def test_an_event_that_cannot_be_written_leaves_no_report(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction: no report without its event."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("full")

    monkeypatch.setattr(store, "append_event", fail)
    with pytest.raises(RuntimeError):
        send(workspace)
    assert complaints.listed(workspace, ("*",)) == ([], {})


def test_scope_is_the_place_and_all_inside_it(workspace: Workspace) -> None:
    send(workspace, once="a", place="630100")
    send(workspace, once="b", place="630102")
    send(workspace, once="c", place="630200")

    def seen(*places: str) -> int:
        rows, counts = complaints.listed(workspace, places)
        assert sum(counts.values()) == len(rows)
        return len(rows)

    assert (seen("*"), seen("630000"), seen("630100"), seen("630102"), seen("632800"), seen()) == (
        3,
        3,
        2,
        1,
        0,
        0,
    )
    with pytest.raises(UnknownName):
        complaints.listed(workspace, ("*",), status="lost")


def test_who_sent_it_stands_apart(workspace: Workspace) -> None:
    number = send(workspace).number
    assert "13900000000" not in str(complaints.one(workspace, number))
    assert complaints.contact(workspace, number) == "13900000000"


def test_the_contact_of_a_closed_report_is_erased_and_nothing_else(workspace: Workspace) -> None:
    """Personal Information Protection Law, article 47; the audit log says that it was done, not what it was."""
    number, other = send(workspace).number, send(workspace, once="b").number
    with pytest.raises(UsageError, match="Close it first"):
        complaints.erase_contact(workspace, number, who="li", now=NOW)
    assert complaints.contact(workspace, number) == "13900000000"
    complaints.answer(workspace, number, "closed", answer="已停工", who="li", now=NOW)
    before = complaints.one(workspace, number)
    assert complaints.erase_contact(workspace, number, who="li", now=NOW)
    assert complaints.contact(workspace, number) == ""
    assert complaints.contact(workspace, other) == "13900000000"
    assert complaints.one(workspace, number) == before
    [event] = registry_of.events(workspace.registry, what="complaint.contact_erased")
    assert (event["subject"], event["detail"], event["who"]) == (number, {"status": "closed"}, "li")
    assert not complaints.erase_contact(workspace, number, who="li", now=NOW)
    assert len(registry_of.events(workspace.registry, what="complaint.contact_erased")) == 1


def test_erased_bytes_do_not_stay_in_the_file(workspace: Workspace) -> None:
    """SQLite keeps deleted bytes in its file unless it is told not to (PRAGMA secure_delete)."""
    number = send(workspace, contact="unmistakable-4711").number
    complaints.answer(workspace, number, "closed", answer="好", who="li", now=NOW)
    complaints.erase_contact(workspace, number, who="li", now=NOW)
    with workspace.registry.engine.connect() as con:
        con.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"unmistakable-4711" not in (workspace.home / "registry.sqlite").read_bytes()
