"""The one reader of content files: strict YAML out of the installed package.

YAML 1.1 turns ``no`` into False, ``12:30`` into 750 and ``2026-03-01`` into a date, and lets a repeated key
win quietly. Here only ``true``/``false``, decimal numbers and ``null`` are more than text, and a repeated key
is a fault. Dates stay text until a schema asks for a date.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from importlib import resources
from typing import Any

import yaml

from qinglan.core.errors import ContentError, NotFound

_PACKAGE = "qinglan.content"
_SUFFIX = ".yaml"


def names(*folder: str) -> tuple[str, ...]:
    """Stems of the YAML files of a content folder, sorted."""
    files = resources.files(_PACKAGE).joinpath(*folder)
    if not files.is_dir():
        return ()
    return tuple(sorted(f.name.removesuffix(_SUFFIX) for f in files.iterdir() if f.name.endswith(_SUFFIX)))


def read(*path: str) -> Any:
    """Parsed content file; the last part is the stem without its suffix. NotFound when it is not there."""
    file = resources.files(_PACKAGE).joinpath(*path[:-1], path[-1] + _SUFFIX)
    where = "/".join(path) + _SUFFIX
    if not file.is_file():
        raise NotFound(
            f"content file {where} does not exist.", remedy=f"There are: {', '.join(names(*path[:-1]))}."
        )
    return parse(file.read_text(encoding="utf-8"), where)


def parse(text: str, where: str) -> Any:
    """Strict YAML to plain dicts, lists, str, int, float, bool and None; ContentError on bad syntax.

    >>> parse("{answer: no, time: 12:30, day: 2026-03-01, n: 1.5, yes: true}", "doc")
    {'answer': 'no', 'time': '12:30', 'day': '2026-03-01', 'n': 1.5, 'yes': True}
    """
    loader = _StrictLoader(text)
    try:
        value = loader.get_single_data()
    except yaml.YAMLError as cause:
        raise ContentError(where, [f"is not valid YAML: {cause}"]) from cause
    finally:
        loader.dispose()
    if loader.repeated:
        raise ContentError(where, loader.repeated)
    return value


#: The parser of libyaml where PyYAML was built with it: eight times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Loader):  # type: ignore[misc]
    """SafeLoader without the surprising resolvers, noting repeated keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own protocol)

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue
            if key in seen:
                self.repeated.append(f"line {key_node.start_mark.line + 1}: key {key!r} is repeated.")
            seen.add(key)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+]?[0-9]+)?$"),
    list("-+0123456789"),
)
