"""The reference page of the layouts."""

from __future__ import annotations

from collections.abc import Iterable

from qinglan.core.batch import LayoutInfo


def page(layouts: Iterable[LayoutInfo]) -> str:
    """docs/reference/layouts.md, made from what the layouts declare; a test holds the file to it."""
    parts = [
        "# 数据布局 / Layouts\n",
        "本页由 `qinglan.connect.reference.page` 生成，测试保证其与代码一致。  ",
        "Made by `qinglan.connect.reference.page`; a test keeps it true.\n",
    ]
    for info in layouts:
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
