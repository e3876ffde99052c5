"""Write the reference pages from the data and the code they describe: ``python docs/generate_reference.py``.

With ``--check`` nothing is written; the exit code says whether the pages are in step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import typer

from qinglan.air import qc
from qinglan.cli.app import app
from qinglan.connect.reference import page as layouts_page
from qinglan.core.batch import REJECT_CODES
from qinglan.core.names import QUANTITIES
from qinglan.core.tables import DATASETS, PLACES, STATIONS, Column, superseded_schema
from qinglan.emission.reference import page as inventory_page
from qinglan.flow.sources import layouts
from qinglan.plan import content
from qinglan.plan.pack import Evidence, Plan, Target, Task, load_plan, plan_ids
from qinglan.plan.places import load_places
from qinglan.plan.rules import Suite, document, families
from qinglan.plan.schema import Document
from qinglan.web.routes import ROUTERS

FOLDER = Path(__file__).resolve().parent / "reference"

#: Families in reading order; others follow by name.
ORDER = ("gb3095", "hj633", "hj663", "ranking", "dust", "gbt8170", "qc", "who2021", "eu2024", "usepa2024")

HEAD = """\
# Rule books 规则库

<!-- Written by docs/generate_reference.py from src/qinglan/content/standards; do not edit. -->

Every legal number that Qinglan uses stands here with its date, unit, source and certainty. A value holds from its
date until the next one; a dash means that the text has no such rule from then on. Where the sources are silent or
at odds, the book has a named **option** with a default; every result names the choice in force.
Certainty: *high* was read in the text or is common ground; *medium* and *low* must be checked against the official
text before a legal decision rests on them. Keys in square brackets are explained at the end; "fact sheet" is the
project's compiled technical fact sheet with its section.

青蓝所用的每一个法定数值均列于此：生效日期、单位、出处与可靠程度。数值自所列日期起有效，至下一日期止；
“–”表示自该日起不再有此规定。出处未载或相互矛盾之处设为**选项**并给出默认值，每个结果都注明所用选项。
"""


def cell(value: Any) -> str:
    """One value as a table cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        parts = (f"{key} {cell(item)}" for key, item in value.items() if key != "note")
        return "; ".join(parts)
    if isinstance(value, tuple):
        return ", ".join(cell(item) for item in value)
    return " ".join(str(value).split()).replace("|", "\\|")


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def editions(book: Document) -> list[str]:
    """When which text holds."""
    rows = [
        [
            str(e.valid_from),
            str(e.valid_to or "…"),
            e.label,
            " ".join(e.note.values()),
            e.source,
            e.certainty,
        ]
        for e in book.editions
    ]
    return table(["from", "to", "edition", "note", "source", "certainty"], rows)


def parameters(book: Document) -> list[str]:
    """One row per key, one column per date on which any value of the book changes."""
    plain = {key: p for key, p in book.parameters.items() if key != "levels"}
    dates: list[date] = sorted({value.valid_from for p in plain.values() for value in p.values})
    rows = []
    for key, parameter in plain.items():
        dated = {value.valid_from: value for value in parameter.values}
        sources = list(dict.fromkeys(f"{v.source} ({v.certainty})" for v in parameter.values))
        values = [cell(dated[day].value) if day in dated else "" for day in dates]
        rows.append([f"`{key}`", parameter.unit, *values, "<br>".join(s.replace("|", "\\|") for s in sources)])
    return table(["key", "unit", *map(str, dates), "source (certainty)"], rows)


def levels(book: Document) -> list[str]:
    """The six levels of the index with their texts, of the newest edition."""
    if "levels" not in book.parameters:
        return []
    newest = book.parameters["levels"].values[-1]
    rows = [
        [
            str(row["level"]),
            f"{row['aqi_low']}–{row['aqi_high'] or '…'}",
            f"{row['zh']} {row['en']}",
            f"{row['colour_zh']} {row['rgb']}",
            f"{row['health_zh']}<br>{row['health_en']}",
            f"{row['advice_zh']}<br>{row['advice_en']}",
        ]
        for row in newest.value
    ]
    return [
        f"### Levels from {newest.valid_from}",
        "",
        *table(["level", "AQI", "name", "colour", "health", "advice"], rows),
    ]


def options(book: Document) -> list[str]:
    """Open points: choices, the default in bold, and why."""
    if not book.options:
        return []
    rows = []
    for name, option in book.options.items():
        choices = [
            f"**`{choice}`** (default): {text}" if choice == option.default else f"`{choice}`: {text}"
            for choice, text in option.choices.items()
        ]
        rows.append([f"`{name}`", "<br>".join(choices), option.why.replace("|", "\\|")])
    return ["### Options", "", *table(["option", "choices", "why"], rows)]


def sources() -> list[str]:
    """What the keys in square brackets mean."""
    rows = [[f"`{key}`", entry["en"], entry["read"]] for key, entry in content.read("sources").items()]
    return ["## Sources 出处", "", *table(["key", "is", "read as"], rows)]


def standards_page() -> str:
    """Every legal number."""
    ordered = [f for f in ORDER if f in families()] + [f for f in families() if f not in ORDER]
    lines = [HEAD]
    lines += ["Items: " + ", ".join(f"`{q.name}` {q.symbol} {q.zh} {q.en}" for q in QUANTITIES.values()) + ".", ""]
    for family in ordered:
        book = document(family)
        lines += [
            f"## `{family}` {book.title['zh']}",
            "",
            f"{book.title['en']}. Content hash `{book.content_hash[:16]}`.",
            "",
        ]
        lines += editions(book)
        lines += [f"Examples that a test runs: {len(book.examples)}.", "", "### Values", "", *parameters(book)]
        lines += levels(book) + options(book)
    lines += sources()
    return finished(lines)


def finished(lines: Iterable[str]) -> str:
    """The lines as a file."""
    return "\n".join(lines).rstrip() + "\n"


def head(title: str, zh: str, en: str, source: str) -> list[str]:
    """Title, the note that the page is made, and what it is."""
    made = f"<!-- Written by docs/generate_reference.py from {source}; do not edit. -->"
    return [f"# {title}", "", made, "", zh, "", en, ""]


def options_page() -> str:
    """Every named option of every rule book, and how it is chosen."""
    settable = list(Suite().families().values())
    lines = head(
        "规则选项 / Options of the rule books",
        "标准未规定或说法不一之处，规则书设为**选项**并给出默认值。前七部书的选项可在命令行用 "
        "`--set 书.选项=取值` 选择，每次运行的结果都写明所用取值；其余的书目前只能在程序库中选择。",
        "Where the sources are silent or at odds, a rule book has a named **option** with a default. Those of the "
        "seven books of the air are chosen with `--set BOOK.OPTION=CHOICE`, and a run writes down the choice in "
        "force; those of the other books can so far only be chosen when Qinglan is used as a library.",
        "src/qinglan/content/standards",
    )
    for family in [*settable, *(f for f in families() if f not in settable)]:
        book = document(family)
        if not book.options:
            continue
        how = "--set" if family in settable else "程序库 / library"
        lines += [f"## `{family}` {book.title['zh']} ({how})", "", f"{book.title['en']}.", ""]
        rows = []
        for name, option in book.options.items():
            texts = book.option_texts[name]
            choices = [
                f"{'**' if choice == option.default else ''}`{choice}`{'**' if choice == option.default else ''} "
                f"{cell(text['zh'])} / {cell(text['en'])}"
                for choice, text in texts.items()
            ]
            rows.append([f"`{family}.{name}`", "<br>".join(choices), cell(option.why)])
        lines += table(["选项 option", "取值（默认加粗） choices (default in bold)", "缘由 why"], rows)
    return finished(lines)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups first."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for child, found in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {child}", found)

    yield from walk("qinglan", typer.main.get_command(app))


def cli_page() -> str:
    """Every command with its arguments and options."""
    lines = head(
        "命令 / Commands",
        "总选项可写在任何位置：`qinglan run --json` 即 `qinglan --json run`。"
        "退出码：0 成功；1 未能完成；2 用法或名称有误。",
        "Common options may stand anywhere: `qinglan run --json` is `qinglan --json run`. Exit codes: 0 done, 1 "
        "not done, 2 wrong usage or name.",
        "the commands of src/qinglan/cli",
    )
    for name, command in commands():
        words = [
            f"<{p.name}>" if p.required else f"[{p.name}]"
            for p in command.params
            if p.param_type_name == "argument"
        ]
        lines += [f"## `{name}`", "", cell(command.help), "", "```console"]
        rest = "COMMAND ..." if getattr(command, "commands", None) else "[OPTIONS]"
        lines += [" ".join(["$", name, *words, rest]).rstrip(), "```", ""]
        rows = [_parameter(p) for p in command.params if p.name not in _SHELL_ONLY]
        if rows:
            lines += table(["参数 parameter", "含义 meaning", "默认 default"], rows)
    return finished(lines)


#: Parameters that every command line tool has.
_SHELL_ONLY = ("install_completion", "show_completion", "help")


def _parameter(parameter: Any) -> list[str]:
    """One argument or option as a row."""
    spelled = [f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts)]
    meaning = cell(parameter.help) if parameter.help else ""
    if parameter.envvar:
        meaning += f" (`{parameter.envvar}`)"
    if parameter.required:
        default = "必填 / required"
    elif parameter.default in (None, "", False):
        default = ""
    else:
        chosen = parameter.opts[0] if parameter.default is True else parameter.default
        default = f"`{chosen}`"
    return [", ".join(spelled), meaning, default]


def console_page() -> str:
    """Every address of the console."""
    lines = head(
        "控制台的页面 / Pages of the console",
        "地址接在 `http://127.0.0.1:8000` 之后；加 `?lang=en` 为英文。大括号内为要填写的代码、日期或编号。"
        "页面只读取最近一次运行的结果，不作任何计算。",
        "Addresses follow `http://127.0.0.1:8000`; `?lang=en` gives English. Braces stand for a code, a day or an "
        "id. Pages read the results of the current run and compute nothing.",
        "the routes of src/qinglan/web",
    )
    routes = [r for router in ROUTERS for r in router.routes if getattr(r, "include_in_schema", True)]
    rows = [[f"`{r.path}`", cell((r.endpoint.__doc__ or "").split("\n\n")[0])] for r in routes]  # type: ignore[attr-defined]
    return finished([*lines, *table(["地址 address", "内容 what it shows"], rows)])


def _columns(columns: Iterable[Column]) -> list[str]:
    kinds = {
        "float": "double",
        "hour": "int8",
        "int": "int32",
        "time": "timestamp[us, UTC]",
        "strings": "list of str",
    }
    rows = []
    for c in columns:
        bounds = "" if c.low is None or c.high is None else f"{c.low:g} … {c.high:g}"
        if c.choices:
            bounds = ", ".join(f"`{x}`" for x in c.choices)
        null = "" if c.nullable else "否 / no"
        rows.append([f"`{c.name}`", kinds.get(c.kind, c.kind), c.unit, f"{c.zh} / {c.en}", bounds, null])
    heads = ["列 column", "类型 type", "单位 unit", "含义 meaning", "入库限 limits of the door", "可空 null"]
    return table(heads, rows)


def tables_page() -> str:
    """The column contracts of the lake and of the registers."""
    lines = head(
        "数据表 / Tables of the lake",
        "数据湖中的表为 Parquet 文件，任何工具都可读。“入库限”只挡住不可能的数值；数值是否有效由质控判断。"
        "被更新的行移入 `<表>_superseded`，不删除。",
        "Tables of the lake are Parquet files that any tool reads. The limits of the door keep out what no "
        "instrument can have meant; whether a value is valid is for quality control to say. A row that a later "
        "load replaces moves to `<table>_superseded`; nothing is deleted.",
        "src/qinglan/core/tables.py",
    )
    for each in DATASETS.values():
        kind = "由系统生成 / derived" if each.derived else "由 ingest 装入 / loaded by ingest"
        keys = ", ".join(f"`{k}`" for k in each.key)
        lines += [f"## `{each.name}` {each.zh} / {each.en}", ""]
        lines += [
            f"键 key: {keys}; {kind}; 一个文件夹 a folder per {each.partition}.",
            "",
            *_columns(each.columns),
        ]
    extra = [n for n in superseded_schema("hours").names if n not in DATASETS["hours"].names]
    lines += ["## `<name>_superseded`", "", "原表各列，另加 / the columns of its table, and "]
    lines[-1] += ", ".join(f"`{n}`" for n in extra) + "."
    lines += ["", "## `stations` 站点登记 / station register", ""]
    lines += ["存于 registry，也可由布局交来。/ Kept in the registry; a layout may hand it over.", ""]
    lines += [*_columns(STATIONS), "## `places` 地区 / places", "", *_columns(PLACES)]
    return finished(lines)


def rejects_page() -> str:
    """The closed vocabulary of what can be wrong with a row."""
    lines = head(
        "搁置代码 / Reject codes",
        "装入时不合格的行或单元格不会丢弃，而是连同原文搁置，附原因与处理办法：`qinglan rejects`。",
        "Rows and cells that cannot enter are set aside with their text, reason and remedy: `qinglan rejects`.",
        "src/qinglan/core/batch.py",
    )
    rows = [[f"`{c.code}`", f"{c.zh} / {c.en}", f"{c.remedy_zh} / {c.remedy_en}"] for c in REJECT_CODES.values()]
    return finished([*lines, *table(["代码 code", "含义 meaning", "办法 remedy"], rows)])


#: What each rule of quality control finds: Chinese, English, the first words of its keys in the rule book.
CONTROL_RULES: Mapping[str, tuple[str, str, str]] = {
    "range": ("超出仪器量程：无效", "above the instrument's range: invalid", "range"),
    "negative": (
        "负值：在零点漂移内为低于检出限，更低为无效",
        "negative: below detection within the zero drift, invalid further down",
        "zero_drift",
    ),
    "zero": (
        "零值：不可能为零的项目，或同一小时多项为零，视为缺测；否则为低于检出限",
        "zero: missing where the item cannot be zero or several items are; else below detection",
        "zero",
    ),
    "pm_order": (
        "细颗粒物明显高于可吸入颗粒物：按选项判何者无效",
        "PM2.5 clearly above PM10: the option says which is invalid",
        "pm_order",
    ),
    "stuck": ("连续若干小时数值不变：无效", "the same value for too many hours: invalid", "stuck"),
    "zero_run": ("连续为零：视为缺测", "zeros in a row: missing", "zero"),
    "frozen": ("整行各项同时不变：无效", "all items unchanged together: invalid", "frozen"),
    "spike": (
        "单小时突变后复原：无效（可选仅提示）",
        "one hour far from its neighbours: invalid or a remark",
        "spike",
    ),
    "duplicate": (
        "原始表中同一小时出现两次且数值不同：无效",
        "one hour twice with different values, in raw tables: invalid",
        "duplicate",
    ),
}


def control_page() -> str:
    """The rules of quality control with their thresholds."""
    lines = head(
        "质控规则 / Rules of quality control",
        "`qinglan qc` 按下列规则标记小时值，原报数据不改动；人工可用 `qinglan overrule` 推翻。"
        "阈值见[规则库 `qc`](standards.md#qc)。四种状态分开：有效、无效、缺测、低于检出限。",
        "`qinglan qc` flags hours by these rules; what was reported is never edited, and a person may overrule a "
        "flag with `qinglan overrule`. Thresholds: [rule book `qc`](standards.md#qc). Four states are kept apart: "
        "valid, invalid, missing, below detection.",
        "src/qinglan/air/qc and the rule book qc",
    )
    keys = document("qc").parameters
    rows = []
    for rule in qc.ALL_RULES:
        zh, en, word = CONTROL_RULES[rule]
        own = [f"`{k}`" for k in keys if k.split(".")[0] == word]
        always = "是 / yes" if rule in qc.RULES else "仅原始表 / raw tables only"
        rows.append([f"`{rule}`", f"{zh} / {en}", always, ", ".join(own)])
    heads = ["规则 rule", "发现什么、判为什么 finds, and judges", "自动运行 runs by itself", "阈值 thresholds"]
    return finished([*lines, *table(heads, rows)])


def _both(text: Any) -> str:
    return f"{cell(text.zh)} / {cell(text.en)}"


def _where(plan: Plan, one: Target | Task) -> str:
    places = load_places()
    found = [places[code].name for code in one.scope.places]
    found += [plan.regions[r].title.zh for r in one.scope.regions]
    return cell("、".join([*found, *([one.scope.enterprise] if one.scope.enterprise else [])]))


def _target_row(plan: Plan, target: Target) -> list[str]:
    due = "<br>".join(
        f"{v.due} {target.comparison} {v.value:g} {v.unit} ({v.period.label})" for v in target.values
    )
    by = target.judged_by
    if target.air is not None:
        by += f"<br>{target.air.statistic} {target.air.item} {target.air.combine}, dust {target.air.dust}"
        by += "".join(f"<br>+ `{v.name}`" for v in target.air.variants)
    elif target.ledger:
        by += f"<br>{plan.catalogue['ledgers'][target.ledger].title.zh}"
    reading = _both(target.reading) if target.reading else ""
    named = [f"`{target.id}`", str(target.article), _both(target.title), _where(plan, target)]
    return [*named, cell(due), target.strength, cell(by), reading]


def _proof(plan: Plan, item: Evidence) -> str:
    if item.type == "target":
        return f"`{item.id}`"
    kind = {
        "ledger": "ledgers",
        "document": "documents",
        "reported_value": "indicators",
        "dataset": "datasets",
        "run": "runs",
    }
    return cell(plan.catalogue[kind[item.type]][item.id].title.zh)


def _task_row(plan: Plan, task: Task) -> list[str]:
    def names(ids: Iterable[str]) -> str:
        return "、".join(plan.departments[d].title.zh for d in ids)

    due = str(task.deadline or "") or f"{task.cadence} {task.due_each}".strip()
    supporting = names(task.supporting) + ("等" if task.and_others else "") + ("；地方政府" if task.local else "")
    proof = "<br>".join(_proof(plan, e) for e in task.evidence)
    return [f"`{task.id}`", _both(task.title), cell(due), names(task.lead), supporting, proof]


def plan_page(plan: Plan) -> str:
    """A plan pack: its targets, and its tasks by article."""
    lines = head(
        f"`{plan.id}` {plan.title.zh}",
        f"{plan.number}，{plan.issuer.zh}，{plan.issued} 印发。指标 {len(plan.targets)} 项，"
        f"任务 {len(plan.tasks)} 项，{len(plan.articles)} 条。内容为自拟摘要，以原文为准。",
        f"{plan.title.en}, issued {plan.issued}: {len(plan.targets)} targets and {len(plan.tasks)} tasks in "
        f"{len(plan.articles)} articles. The words are ours; the text itself decides.",
        f"src/qinglan/content/plans/{plan.id}",
    )
    heads = [
        "id",
        "条 art.",
        "指标 target",
        "范围 scope",
        "到期与目标值 due",
        "约束 strength",
        "判定 judged by",
        "读法 reading",
    ]
    lines += ["## 指标 / Targets", "", *table(heads, [_target_row(plan, t) for t in plan.targets])]
    lines += ["## 条款与任务 / Articles and tasks", ""]
    heads = ["id", "任务 task", "期限 due", "牵头 lead", "配合 supporting", "证据 evidence"]
    for article in plan.articles:
        lines += [f"### {article.number}. {_both(article.title)}", "", _both(article.summary), ""]
        tasks = [_task_row(plan, t) for t in plan.tasks_of(article.number)]
        lines += table(heads, tasks) if tasks else []
        lines += [_both(article.no_tasks), ""] if article.no_tasks else []
    return finished(lines)


def pages() -> dict[str, Callable[[], str]]:
    """Every generated page by file name."""
    made: dict[str, Callable[[], str]] = {
        "standards.md": standards_page,
        "options.md": options_page,
        "cli.md": cli_page,
        "console.md": console_page,
        "layouts.md": lambda: layouts_page(layout.LAYOUT for layout in layouts().values()),
        "tables.md": tables_page,
        "reject-codes.md": rejects_page,
        "quality-control.md": control_page,
        "inventory.md": inventory_page,
    }
    for name in plan_ids():
        made[f"plan-{name}.md"] = lambda name=name: plan_page(load_plan(name))  # type: ignore[misc]
    return made


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare; 0 when all pages on disk are (now) in step."""
    if "--check" in arguments:
        return int(any(not _same(FOLDER / name, make()) for name, make in pages().items()))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in pages().items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
    return 0


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
