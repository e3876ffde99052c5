"""The list of layouts, and which of them a file looks like."""

from __future__ import annotations

from pathlib import Path

from qinglan.connect import (
    city_daily,
    national_hourly,
    openaq_v3,
    published_hourly,
    station_register,
    table,
    uci_beijing,
)
from qinglan.core.batch import Layout, LayoutInfo
from qinglan.core.errors import LayoutError, UnknownName

#: Every layout by name, in the order in which `sniff` asks them.
LAYOUTS: dict[str, Layout] = {
    module.LAYOUT.name: module
    for module in (
        national_hourly,
        published_hourly,
        city_daily,
        uci_beijing,
        openaq_v3,
        station_register,
        table,
    )
}


def layout(name: str) -> Layout:
    """A layout by name; UnknownName lists the known ones."""
    try:
        return LAYOUTS[name]
    except KeyError:
        raise UnknownName("layout", name, tuple(LAYOUTS)) from None


def infos() -> tuple[LayoutInfo, ...]:
    """What each layout says of itself."""
    return tuple(module.LAYOUT for module in LAYOUTS.values())


def sniff(path: Path) -> Layout:
    """The one layout a file looks like; LayoutError when there is none, or more than one."""
    found = [module for module in LAYOUTS.values() if module.sniff(path)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(m.LAYOUT.name for m in found) or "none"
    raise LayoutError(
        f"{path.name} looks like {len(found)} layouts ({names}).",
        remedy=f"Name one: {', '.join(LAYOUTS)}; or describe the file in a mapping and use table.",
    )


def reference() -> str:
    """The reference page of the layouts (docs/reference/layouts.md), made from what they declare."""
    parts = [
        "# 数据布局 / Layouts\n",
        "本页由 `qinglan.connect.register.reference()` 生成，测试保证其与代码一致。  ",
        "Made by `qinglan.connect.register.reference()`; a test keeps it true.\n",
    ]
    for info in infos():
        label = f"{info.convention.label.value}, UTC{info.convention.utc_offset:+g}"
        units = ", ".join(f"`{k}` {v}" for k, v in info.units.items()) or "—"
        parts += [
            f"## `{info.name}`\n",
            f"{info.title_zh} / {info.title_en}\n",
            f"{info.description_zh}\n",
            f"{info.description_en}\n",
            "| | |\n|---|---|",
            f"| 数据集 / data sets | {', '.join(f'`{d}`' for d in info.datasets)} |",
            f"| 文件 / files | {', '.join(f'`{e}`' for e in info.extensions)} |",
            f"| 小时标签与时区 / hour label and zone | {label} |",
            f"| 源文件单位 / units in the source | {units} |",
        ]
        parts += [f"| 选项 / option `{name}` | {meaning} |" for name, meaning in info.options.items()]
        parts.append("")
    return "\n".join(parts)
