"""Plan pages: addresses, tasks by filter, evidence handed in, values reported.

Sources: docs/design/0006-console.md (addresses, permissions), content/access/permissions.yaml, the plan pack.
"""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.core.errors import UsageError
from qinglan.flow import evidence
from qinglan.flow.workspace import open_workspace
from qinglan.store import decisions, registry
from qinglan.store.files import Files

#: The task of the fixture `office_home`: ecology leads it, energy supports it.
TASK = "a11-heating-plan"
PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"
FORM = {"item": "0", "on": "2025-11-02", "source": "Energy Administration", "reference": "No. 12"}


def office_file(part: str, *more: str) -> bytes:
    """A ZIP with the parts that make it an Office file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("[Content_Types].xml", part, *more):
            archive.writestr(name, "<x/>")
    return out.getvalue()


def send(office: TestClient, who: str, data: bytes = PDF, name: str = "plan.pdf", **more: str) -> int:
    """Hand in a file; the status of the answer."""
    answer = office.post(
        f"/plan/tasks/{TASK}/evidence", data=FORM | more, files={"file": (name, data)}, headers={"x-who": who}
    )
    return answer.status_code


def test_old_addresses_lead_on(client: TestClient) -> None:
    answer = client.get("/plan/10", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/plan/articles/10")
    assert client.get("/plan").text.count('aria-current="page"') >= 2


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_answer(client: TestClient, language: str) -> None:
    for path in ("/plan", "/plan/articles", "/plan/articles/10", "/plan/tasks", "/plan/tasks?status=overdue",
                 "/plan/tasks?department=energy&due=overdue&q=a1", "/plan/tasks?article=10&page=9",
                 "/plan/tasks/a10-first"):  # fmt: skip
        answer = client.get(path, headers={"cookie": f"qinglan_lang={language}"})
        assert answer.status_code == 200, (path, answer.text[:300])
    for path in ("/plan/tasks/none", "/plan/tasks?status=asleep", "/plan/tasks?department=none"):
        assert client.get(path).status_code == 404
    assert client.get("/plan/tasks?article=x").status_code == 422


def test_overdue_tasks_come_first_and_filters_hold(client: TestClient) -> None:
    lines = client.get("/plan/tasks.csv", headers={"cookie": "qinglan_lang=en"}).content.decode("utf-8-sig")
    states = [line.split(",")[3].lower() for line in lines.splitlines()[1:]]
    assert len(states) == 35
    late = states.count(states[0])
    assert states[:late] == [states[0]] * late, "one block, at the head"
    assert states[0] == "overdue"
    found = client.get("/plan/tasks.csv?q=a10").content.decode("utf-8-sig").splitlines()
    assert [line.split(",")[1] for line in found[1:]] == ["a10-first"]


def test_the_path_leads_from_the_article_to_the_numbers(client: TestClient) -> None:
    page = client.get("/plan/tasks/a10-first").text
    for href in ("/plan/articles/10", "#evidence", "#numbers", "/making/target/pm2_5-2025"):
        assert f'href="{href}"' in page


def test_evidence_is_kept_by_its_digest_with_who_handed_it_in(office: TestClient, office_home: Path) -> None:
    assert send(office, "energy") == 303
    workspace = open_workspace(office_home)
    row = decisions.task_evidence(workspace.registry, task_id=TASK)[-1]
    assert (row["hash"], row["by"], row["reference"]) == (sha256(PDF).hexdigest(), "u-energy", "No. 12")
    assert Files(office_home).open(row["hash"]) == PDF
    event = registry.events(workspace.registry, what="task.evidence", subject=TASK)[-1]
    assert event["who"] == "u-energy"
    page = office.get(f"/plan/tasks/{TASK}?done=evidence", headers={"x-who": "province"}).text
    assert "下一次运算" in page
    assert 'action="/data/run"' in page
    assert "u-energy" in page
    got = office.get(f"/plan/tasks/{TASK}/evidence/{row['id']}")
    assert (got.content, got.headers["content-type"]) == (PDF, "application/pdf")
    assert got.headers["content-disposition"].startswith("attachment")
    assert send(office, "energy") == 422, "sent twice is handed in once"
    assert len(decisions.task_evidence(workspace.registry, task_id=TASK)) == 1


def test_only_those_concerned_hand_in(office: TestClient, office_home: Path) -> None:
    workspace = open_workspace(office_home)
    before = len(decisions.task_evidence(workspace.registry))
    assert (send(office, "health"), send(office, "nobody")) == (403, 401)
    assert len(decisions.task_evidence(workspace.registry)) == before
    assert (
        f'action="/plan/tasks/{TASK}/evidence"'
        not in office.get(f"/plan/tasks/{TASK}", headers={"x-who": "health"}).text
    )
    task = {"lead": ["ecology"], "supporting": ["energy"], "places": ["630100"], "local": False}
    people = {
        "its place": Principal("a", "a", (Grant("prefecture", place="630100"),)),
        "above": Principal("b", "b", (Grant("province", place="630000"),)),
        "another": Principal("c", "c", (Grant("prefecture", place="630200"),)),
        "operator": Principal("d", "d", (Grant("operator", place="630100"),)),
    }
    assert {name: evidence.may_hand_in(me, task) for name, me in people.items()} == {
        "its place": True, "above": True, "another": False, "operator": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data"),
    [("run.exe", b"MZ\x90\x00" + b"\0" * 60), ("plan.pdf", b"MZ\x90\x00" + b"\0" * 60), ("plan.pdf", b"<html/>"),
     ("plan.docx", b"PK\x03\x04 broken"), ("plan.docx", office_file("xl/workbook.xml")),
     ("plan.xlsx", office_file("xl/workbook.xml", "xl/vbaProject.bin")), ("a.csv", b"<script>"),
     ("a.csv", b"a\0b"), ("plan.pdf.html", PDF)],
)  # fmt: skip
def test_files_are_what_they_say_they_are(office: TestClient, office_home: Path, name: str, data: bytes) -> None:
    kept = list(Files(office_home).digests())
    with pytest.raises(UsageError):
        evidence.kind_of(data, name)
    assert send(office, "province", data, name) == 422
    assert list(Files(office_home).digests()) == kept


def test_all_kinds_are_recognised() -> None:
    samples = {
        "pdf": PDF, "docx": office_file("word/document.xml"), "xlsx": office_file("xl/workbook.xml"),
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        "csv": "地区,值\n".encode("gb18030"),
    }  # fmt: skip
    assert {kind: evidence.kind_of(data, f"x.{kind}") for kind, data in samples.items()} == {k: k for k in samples}


def test_evidence_from_the_future_or_without_source_is_refused(office: TestClient) -> None:
    assert send(office, "province", on="2030-01-01") == 422
    assert send(office, "province", source=" ") == 422
    assert send(office, "province", item="7") == 422
