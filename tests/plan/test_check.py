"""A corrupted copy of a pack: every fault is listed at once, with its file and place."""

import shutil

import pytest

from qinglan.core.errors import ContentError, NotFound
from qinglan.plan.check import check_plan
from qinglan.plan.pack import load_plan, plan_folder

# file, what is replaced (once), by what, and what the listing must say
FAULTS = [
    ("departments.yaml", "{id: water,", "{id: wather,", "names unknown department 'water'"),
    ("targets.yaml", "regions: [key-region]", "regions: [key-regions]", "scope.regions: 'key-regions'"),
    ("regions.yaml", '"632521"', '"632520"', "regions[key-region].places: '632520'"),
    ("tasks/09-mechanism.yaml", "id: border-consultation}", "id: border-talks}", "unknown target 'border-talks'"),
    ("tasks/05-energy.yaml", "id: furnaces,", "id: ovens,", "unknown ledger 'ovens'"),
    ("articles.yaml", "number: 17\n", "number: 39\n", "articles[17]: is missing"),
    ("tasks/07-area.yaml", "id: a18-prefab", "id: a18-sections", "tasks[a18-sections]: is a duplicate id"),
    ("tasks/12-duty.yaml", "deadline: 2024-08-31", "deadline: 2024-08-32", "Write a date as YYYY-MM-DD"),
    ("targets.yaml", "value: 1500,", "valeu: 1500,", "valeu: is an unknown key"),
    ("targets.yaml", ", source: 青政〔2024〕31号 (四)}", "}", "source: is missing"),
    ("articles.yaml", "en: Dust of streets and sites", "en: ''", "articles[18].title.en"),
    ("targets.yaml", "    judged_by: reported\n", "", "judged_by: is missing"),
    ("plan.yaml", 'place: "630000"', "place: 630000", "plan.yaml: place: 630000"),
    ("tasks/10-capacity.yaml", "        due_each: \"12-31\"\n", "", "cadence 'annual' and due_each None"),
    ("tasks/08-reduction.yaml", "kind: prohibit", "kind: forbid", "'forbid'"),
    ("CHANGES.md", "## 1", "## 0", "have no '## 1'"),
    ("evidence.yaml", "unit: g/kWh", "unit: g/MWh", "has unit 'g/kWh'"),
    ("targets.yaml", "      unit: 个百分点\n", "", "tolerance.unit: is missing"),
    ("targets.yaml", "unit: µg/m³, period", "unit: mg/m³, period", "values.2025-12-31.unit: 'mg/m³'"),
]  # fmt: skip


# The same for the references between files, which the grammar of one file cannot see.
LINKS = [
    ("tasks/07-area.yaml", "[ecology, transport, water]", "[ecology, ecology, water]", "names 'ecology' 2 times"),
    ("tasks/07-area.yaml", "id: straw-use}", "id: site-video}", "targets[straw-use]: is proved by no task"),
    ("targets.yaml", "2024-08-31: {value: 8", "2024-05-31: {value: 8", "is before the issue 2024-06-28"),
    ("targets.yaml", "    better: higher\n", "", "compares 'about' without tolerance and better"),
    ("targets.yaml", "    ledger: boilers\n", "", "judged_by 'ledger' without ledger"),
    ("targets.yaml", "    ledger: coal-use\n", "    ledger: coal\n", "names unknown ledger 'coal'"),
    ("targets.yaml", 'comparison: "<="\n    unit: 个', 'comparison: "increase"\n    unit: 个', "without baseline"),
    ("targets.yaml", 'scope: {places: ["630223"], ', "scope: {", "targets[bridge-power-xining].scope: is empty"),
    ("targets.yaml", "- name: pooled", "- name: dust_out", "has variant 'dust_out' twice"),
    ("targets.yaml", "      item: pm2_5\n", "", "has statistic 'mean' and item None"),
    ("targets.yaml", "    judged_by: reported\n", "    judged_by: air\n", "judged_by 'air' without air"),
    ("targets.yaml", "article: 30\n", "article: 40\n", "targets[inventories-2025].article: 40"),
    ("tasks/08-reduction.yaml", "done_when: {zh: 储罐部件登记, en: tank parts registered}", "", "no done_when"),
    ("tasks/07-area.yaml", ", value: 0, unit: \"%\"", "", "belong to a reported_value, all three"),
    ("tasks/06-transport.yaml", "        cadence: once\n", "", "cadence 'continuous' and deadline '2025"),
    ("tasks/12-duty.yaml", 'due_each: "12-31"', 'due_each: "31"', "has cadence 'annual' and due_each '31'"),
    ("tasks/12-duty.yaml", "article: 38\n", "article: 83\n", "names unknown article 83"),
    ("articles.yaml", "    chapter: 10\n", "    chapter: 11\n", "articles[34]: is in unknown chapter 11"),
    ("plan.yaml", "end: 2025-12-31}", "end: 2023-12-31}", "ends 2023-12-31 before it starts 2024-06-28"),
    ("evidence.yaml", "{id: hours,", "{id: fire-points,", "datasets[fire-points]: occurs 2 times"),
]  # fmt: skip


def test_every_broken_reference_is_listed_at_once(tmp_path):
    copy = tmp_path / "pack"
    shutil.copytree(plan_folder("qinghai-2024"), copy)
    for name, old, new, _ in LINKS:
        file = copy / name
        text = file.read_text(encoding="utf-8")
        assert old in text, (name, old)
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
    listed = "\n".join(str(p) for p in check_plan(copy))
    assert [expected for *_, expected in LINKS if expected not in listed] == []
    assert "articles[38]: has no task" in listed  # its duty went to article 83


def _corrupt(tmp_path):
    copy = tmp_path / "pack"
    shutil.copytree(plan_folder("qinghai-2024"), copy)
    for name, old, new, _ in FAULTS:
        file = copy / name
        text = file.read_text(encoding="utf-8")
        assert old in text, (name, old)
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
    tasks = copy / "tasks" / "11-law.yaml"
    text = tasks.read_text(encoding="utf-8")
    start = text.index("        evidence:\n", text.index("a33-bonds"))
    tasks.write_text(text[:start], encoding="utf-8")  # a task without evidence
    (copy / "notes.yaml").write_text("x: 1\n", encoding="utf-8")  # an unknown file
    regions = copy / "regions.yaml"
    regions.write_text(regions.read_text(encoding="utf-8") + "regions: []\n", encoding="utf-8")  # a repeated key
    return copy


def test_every_fault_of_a_corrupted_pack_is_listed_at_once(tmp_path):
    copy = _corrupt(tmp_path)
    (copy / "regions.yaml").write_text(
        (copy / "regions.yaml").read_text(encoding="utf-8").replace("regions: []\n", ""), encoding="utf-8"
    )
    listed = "\n".join(str(p) for p in check_plan(copy))
    for name, _, _, expected in FAULTS:
        assert expected in listed, (name, expected)
    assert "a33-bonds].evidence: is missing" in listed
    assert "notes.yaml: file: is an unknown file" in listed
    with pytest.raises(ContentError) as caught:
        load_plan(copy)
    assert len(caught.value.problems) == len(check_plan(copy)) >= len(FAULTS) + 1


def test_a_repeated_key_and_a_file_that_is_not_utf8_are_faults(tmp_path):
    copy = _corrupt(tmp_path)
    (copy / "plan.yaml").write_bytes("id: 青海".encode("gbk"))
    listed = "\n".join(str(p) for p in check_plan(copy))
    assert "key 'regions' is repeated" in listed
    assert "plan.yaml: file: is not UTF-8" in listed


def test_a_problem_names_file_place_value_and_remedy(tmp_path):
    copy = tmp_path / "pack"
    shutil.copytree(plan_folder("national-2023"), copy)
    file = copy / "targets.yaml"
    text = file.read_text(encoding="utf-8").replace('comparison: "<="', 'comparison: "<"', 1)
    file.write_text(text, encoding="utf-8")
    (problem,) = check_plan(copy)
    assert (problem.file, problem.where) == ("targets.yaml", "targets[pm2_5-change-2025].comparison")
    assert problem.value == "'<'"
    assert problem.remedy == "Known: >=, <=, =, about, increase, decrease."


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(NotFound, match="Give the folder"):
        check_plan(tmp_path / "nowhere")
