"""The packs against the text they stand for. Source: the plan itself, read from the shared mission folder."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from qinglan.core.errors import ContentError, NotFound, UnknownName
from qinglan.plan.check import check_plan
from qinglan.plan.pack import load_plan, plan_folder, plan_ids
from qinglan.plan.places import load_places

MISSION = Path(__file__).parents[3] / "shared" / "mission"
PLACES = load_places()
UNITS = {"%": "%", "微克/立方米": "µg/m³", "吨": "t", "万吨": "万吨", "蒸吨/小时": "蒸吨/小时"}
UNITS |= {"公里": "km", "平方米": "m²"}


@pytest.fixture(scope="module")
def plan():
    return load_plan("qinghai-2024")


@pytest.fixture(scope="module")
def mission():
    files = sorted(MISSION.glob("*.txt")) if MISSION.is_dir() else []
    if not files:
        pytest.skip(f"the plan's text is not at {MISSION}")
    return "\n".join(f.read_text(encoding="utf-8") for f in files)


@pytest.mark.parametrize("pack", plan_ids())
def test_packs_are_clean(pack):
    assert [str(p) for p in check_plan(plan_folder(pack), PLACES)] == []


def test_all_38_articles_are_there_each_with_tasks_or_the_reason_why_not(plan):
    assert [a.number for a in plan.articles] == list(range(1, 39))
    assert [a.number for a in plan.articles if a.no_tasks] == [1, 2]
    assert all(plan.tasks_of(a.number) for a in plan.articles if not a.no_tasks)
    assert {a.chapter for a in plan.articles} == set(range(1, 11))


def test_every_article_heading_of_the_text_is_an_article_of_the_pack(plan, mission):
    headings = re.findall(r"^[(（]([一二三四五六七八九十]+)[)）]", mission, re.MULTILINE)
    assert len(headings) == len(plan.articles) == 38


def test_every_department_of_the_text_is_declared_and_carries_the_right_articles(plan, mission):
    known = {n: d.id for d in plan.departments.values() for n in (d.title.zh, *d.aliases)}
    duties = re.findall(r"[(（]([^()（）]*?负责)(?:[,,][^()（）]*)?[)）]", mission)
    assert len(duties) >= 40
    named = set()
    for duty in duties:
        who = re.sub(r"(等)?(按职责分工)?负责$", "", duty.replace("牵头", ""))
        named |= {w for w in re.split(r"[、,,]", who) if w}
    named -= {"地方各级人民政府负责落实"}
    assert named <= set(known), sorted(named - set(known))
    used = {d for t in plan.tasks for d in (*t.lead, *t.supporting)}
    assert {known[n] for n in named} == used
    assert set(plan.departments) - used == {"local"}  # carried by every article through `local`
    assert all(t.local for t in plan.tasks)


def test_duties_of_each_paragraph_are_the_departments_of_the_text_in_its_order(plan, mission):
    known = {n: d.id for d in plan.departments.values() for n in (d.title.zh, *d.aliases)}
    in_text = []
    for duty in re.findall(r"[(（]([^()（）]*?负责)(?:[,,][^()（）]*)?[)）]", mission):
        who = re.sub(r"(等)?(按职责分工)?负责$", "", duty.replace("牵头", ""))
        in_text.append(tuple(known[w] for w in re.split(r"[、,,]", who) if w in known))
    in_pack = []
    for task in plan.tasks:
        duty = (*task.lead, *task.supporting)
        if task.lead_rule != "unstated" and (not in_pack or in_pack[-1] != (task.article, duty)):
            in_pack.append((task.article, duty))
    # Neighbouring paragraphs of one article with equal duties would fold into one: there is none.
    assert [duty for _, duty in in_pack] == [d for d in in_text if d]


def test_lead_rules_follow_the_wording(plan):
    assert {t.lead_rule for a in (34, 35, 38) for t in plan.tasks_of(a)} == {"named"}
    assert {t.lead_rule for a in (21, 25, 26) for t in plan.tasks_of(a)} == {"sole"}
    assert all(t.lead == ("ecology",) for a in (21, 25, 26, 34, 35, 38) for t in plan.tasks_of(a))
    assert plan.task("a13-loose-coal").lead == ("energy",)
    assert plan.task("a13-loose-coal").supporting[-1] == "market"


def _numbers(plan):
    found = set()
    for target in plan.targets:
        found |= {(float(v.value), v.unit) for v in target.values}
        found |= {(float(a.value), a.unit) for a in target.parameters.values()}
    for task in plan.tasks:
        found |= {(float(a.value), a.unit) for a in task.parameters.values()}
    return found


def test_every_number_of_the_text_is_a_target_or_listed_as_none(plan, mission):
    text = mission
    for skipped, why in plan.not_a_target:
        assert skipped in text, f"not_a_target {skipped!r} is not in the text"
        assert why.zh
        assert why.en
        text = text.replace(skipped, "")
    numbers, years = _numbers(plan), {v.due.year for t in plan.targets for v in t.values}
    years |= {t.baseline.period.start.year for t in plan.targets if t.baseline}
    months = {t.values[0].due.month for t in plan.targets if t.values[0].due.day >= 30}
    missing = []
    for match in re.finditer(r"(\d+(?:\.\d+)?)\s*(%|微克/立方米|万吨|吨|蒸吨/小时|公里|平方米|年|月)?", text):
        value, unit = float(match[1]), match[2]
        if unit == "年":
            ok = int(value) in years
        elif unit == "月":
            ok = int(value) in months
        else:
            ok = unit is not None and (value, UNITS[unit]) in numbers
        if not ok:
            missing.append(match[0])
    assert missing == []


def test_the_targets_printed_in_the_plan(plan):
    # The plan, articles 3, 4, 9, 15, 16, 18, 20; reference fact sheet, section 14.
    expected = {
        "good-day-rate-2025": (">=", 96.3, "%"),
        "pm2_5-2025": ("<=", 21, "µg/m³"),
        "heavy-days-2025": ("<=", 0, "天"),
        "voc-reduction-2025": (">=", 1500, "t"),
        "nox-reduction-2025": (">=", 6200, "t"),
        "short-process-steel-2025": (">=", 15, "%"),
        "non-fossil-share-2025": ("about", 52.2, "%"),
        "electricity-share-2025": ("about", 34, "%"),
        "fast-chargers-2025": (">=", 60, "%"),
        "bridge-power-xining": (">=", 95, "%"),
        "sweeping-city-2025": ("about", 80, "%"),
        "sweeping-county-2025": ("about", 70, "%"),
        "straw-use": (">=", 86, "%"),
    }
    for name, (comparison, value, unit) in expected.items():
        target = plan.target(name)
        assert (target.comparison, target.values[0].value, target.unit) == (comparison, value, unit), name
    assert plan.target("prefecture-plans-2024").values[0].due == date(2024, 8, 31)
    assert plan.target("voc-reduction-2025").values[0].period.label == "2021-01-01..2025-12-31"


def test_the_bases_of_the_air_targets(plan):
    air = {t.id: t.air for t in plan.targets if t.judged_by == "air"}
    assert set(air) == {"good-day-rate-2025", "pm2_5-2025", "heavy-days-2025"}
    rate, mean, heavy = (air[k] for k in ("good-day-rate-2025", "pm2_5-2025", "heavy-days-2025"))
    assert (rate.combine, rate.dust) == ("mean_of_places", "in")
    assert {(v.combine, v.dust) for v in rate.variants} == {
        *(("pooled", "in"), ("mean_of_places", "out"), ("pooled", "out"))
    }
    assert (mean.combine, mean.dust, mean.item) == ("mean_of_places", "out", "pm2_5")
    assert (heavy.combine, heavy.dust) == ("sum", "out")
    for target in air:
        assert len(plan.air_places(plan.target(target), PLACES)) == 8


def test_the_key_region_is_that_of_article_2(plan):
    names = [PLACES[code].name for code in plan.regions["key-region"].places]
    assert names == ["西宁市", "海东市", "德令哈市", "格尔木市", "共和县", "西海镇", "玉树市", "玛沁县", "同仁市"]


def test_words_are_our_own(plan, mission):
    # No title or summary repeats a passage of 18 or more characters of the text.
    plain = re.sub(r"\s", "", mission)
    ours = [t.title.zh for t in (*plan.tasks, *plan.targets)] + [a.summary.zh for a in plan.articles]
    long = [s for s in ours for i in range(len(s) - 17) if s[i : i + 18] in plain]
    assert long == []


def test_the_national_pack_judges_without_a_word_of_qinghai():
    national = load_plan("national-2023")
    assert national.place == "100000"
    cities = national.air_places(national.target("pm2_5-change-2025"), PLACES)
    assert {"110000", "630100", "652900"} <= set(cities)
    assert len(cities) == 333 + 4 + 3  # prefectures, municipalities, and Taiwan, Hong Kong, Macao (without data)
    assert len(national.regions["jingjinji"].places) == 39
    assert len(national.air_places(national.target("pm2_5-fenwei-2025"), PLACES)) == 13
    assert national.target("pm2_5-change-2025").baseline.value == 33


def test_no_province_is_in_the_code():
    import qinglan.plan

    folder = Path(qinglan.plan.__file__).parent
    for name in ("pack", "pack_schema", "check", "judge", "tasks"):
        code = re.sub(r'"""(.|\n)*?"""', "", (folder / f"{name}.py").read_text(encoding="utf-8"))
        assert not re.search(r"63\d{4}|qinghai|青海", code), name


def test_hash_names_exactly_this_text(tmp_path, plan):
    copy = tmp_path / "qinghai-2024"
    shutil.copytree(plan_folder("qinghai-2024"), copy)
    assert load_plan(copy).hash == plan.hash == load_plan("qinghai-2024").hash
    file = copy / "targets.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("value: 96.3", "value: 96.4"), encoding="utf-8")
    changed = load_plan(copy)
    assert changed.hash != plan.hash
    assert changed.target("good-day-rate-2025").values[0].value == 96.4


def test_asof_leaves_out_what_does_not_hold_yet(tmp_path):
    copy = tmp_path / "national-2023"
    shutil.copytree(plan_folder("national-2023"), copy)
    file = copy / "targets.yaml"
    text = file.read_text(encoding="utf-8")
    text = text.replace(
        "    indicator: heavy_day_rate", "    valid_from: 2025-01-01\n    indicator: heavy_day_rate"
    )
    file.write_text(text, encoding="utf-8")
    whole = load_plan(copy)
    assert len(whole.asof(date(2024, 12, 31)).targets) == len(whole.targets) - 1
    assert len(whole.asof(date(2025, 1, 1)).targets) == len(whole.targets)
    assert whole.in_force(date(2024, 1, 1))
    assert not whole.in_force(date(2026, 1, 1))


def test_unknown_packs_targets_and_tasks_say_what_there_is(plan, tmp_path):
    with pytest.raises(NotFound, match="national-2023, qinghai-2024"):
        load_plan("gansu-2024")
    with pytest.raises(UnknownName, match="pm2_5-2025"):
        plan.target("pm25")
    with pytest.raises(UnknownName, match="a18-sweeping-city"):
        plan.task("a18-sweep")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContentError, match=r"plan\.yaml: file: is missing"):
        load_plan(tmp_path / "empty")
