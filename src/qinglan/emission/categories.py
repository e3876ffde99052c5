"""The four levels of T/CSES 144-2024 with their crosswalk to other systems (content/factors/categories.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from qinglan.core.errors import ContentError, UnknownName
from qinglan.plan.content import read

#: What an inventory is made of. `nox` is counted as NO2; `nmvoc` is the guide's VOCs; two greenhouse gases beside.
SPECIES = ("so2", "nox", "co", "nmvoc", "nh3", "pm10", "pm2_5", "bc", "oc", "co2", "ch4")

#: A factor's `sector` may be a sector, its class, or this: any sector.
ANY = "any"
#: Level 3 or 4 that is not told apart.
NONE = "none"

_WHERE = "factors/categories.yaml"
_SYSTEMS = ("handbook", "nfr", "gnfr", "edgar", "ipcc")


@dataclass(frozen=True, slots=True)
class Categories:
    """Names by level; each maps to its entry of the file (`zh`, `en` and what the level adds)."""

    classes: Mapping[str, Mapping[str, Any]]
    sectors: Mapping[str, Mapping[str, Any]]
    fuels: Mapping[str, Mapping[str, Any]]
    technologies: Mapping[str, Mapping[str, Any]]
    handbook: Mapping[str, Mapping[str, Any]]
    crosswalks: Mapping[str, Mapping[str, Any]]

    def class_of(self, sector: str) -> str:
        """Level 1 of a sector; UnknownName when there is no such sector.

        >>> categories().class_of("cement")
        'industry'
        """
        return str(self._entry("sector", self.sectors, sector)["class"])

    def kind_of(self, fuel: str) -> str:
        """What a name of level 3 is: fuel, biofuel, product, solvent, voc_item, animal, land, waste, activity."""
        return str(self._entry("fuel", self.fuels, fuel)["kind"])

    def boxes(self, sector: str, fuel: str) -> tuple[Mapping[str, Any], ...]:
        """Boxes of the other systems that a sector's fuel falls into; sums take the first.

        >>> [box["nfr"] for box in categories().boxes("cement", "clinker")]
        [['2A1']]
        >>> [box["handbook"] for box in categories().boxes("cement", "coal")]
        ['fixed_combustion']
        """
        ways = self._entry("sector", self.sectors, sector)["boxes"]
        return tuple(self.crosswalks[box] for box in ways.get(self.kind_of(fuel), ways["any"]))

    def crosswalk(self) -> pl.DataFrame:
        """Every sector and kind with its first box: sector, kind, and the five systems (lists joined by `,`)."""
        kinds = sorted({str(entry["kind"]) for entry in self.fuels.values()})
        rows = []
        for sector, entry in self.sectors.items():
            for kind in kinds:
                box = self.crosswalks[entry["boxes"].get(kind, entry["boxes"]["any"])[0]]
                joined = {k: ",".join(box[k]) if isinstance(box[k], list) else box[k] for k in _SYSTEMS}
                rows.append({"sector": sector, "kind": kind, **joined})
        return pl.DataFrame(rows, schema=dict.fromkeys(("sector", "kind", *_SYSTEMS), pl.String))

    def ladder(self) -> pl.DataFrame:
        """For each sector the names under which a factor may stand, own first: sector, asked, rung 0 to 2."""
        rows = [
            (sector, asked, rung)
            for sector, entry in self.sectors.items()
            for rung, asked in enumerate((sector, entry["class"], ANY))
        ]
        return pl.DataFrame(rows, schema={"sector": pl.String, "asked": pl.String, "rung": pl.Int8}, orient="row")

    def kinds(self) -> pl.DataFrame:
        """fuel, kind."""
        rows = [(name, entry["kind"]) for name, entry in self.fuels.items()]
        return pl.DataFrame(rows, schema={"fuel": pl.String, "kind": pl.String}, orient="row")

    def with_boxes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame with `sector` and `fuel`, and beside them `class`, `handbook`, `nfr`, `gnfr`, `edgar`, `ipcc`.

        Rows keep their number and order, so that a sum by any system is the sum of all; a name that is not in the
        categories has nulls.
        """
        classes = pl.DataFrame(
            [(name, entry["class"]) for name, entry in self.sectors.items()],
            schema={"sector": pl.String, "class": pl.String},
            orient="row",
        )
        kinds = frame.join(self.kinds(), on="fuel", how="left", maintain_order="left")
        boxed = kinds.join(self.crosswalk(), on=["sector", "kind"], how="left", maintain_order="left").drop("kind")
        return boxed.join(classes, on="sector", how="left", maintain_order="left")

    @staticmethod
    def _entry(what: str, among: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
        try:
            return among[name]
        except KeyError:
            raise UnknownName(what, name, tuple(among)) from None


@cache
def categories() -> Categories:
    """The categories, checked once; ContentError lists every fault of the file."""
    return parse_categories(read("factors", "categories"))


def parse_categories(raw: Mapping[str, Any]) -> Categories:
    """Check the parsed file: names in both languages, references that exist, no box left unused."""
    levels = ("classes", "sectors", "fuels", "technologies", "handbook", "crosswalks")
    problems = [f"{level}: is missing." for level in levels if not isinstance(raw.get(level), dict)]
    if problems:
        raise ContentError(_WHERE, problems)
    for level in levels[:-1]:
        for name, entry in raw[level].items():
            if not all(isinstance(entry.get(tongue), str) and entry[tongue] for tongue in ("zh", "en")):
                problems.append(f"{level}.{name}: needs zh and en.")
    used: set[str] = set()
    for name, entry in raw["sectors"].items():
        if entry.get("class") not in raw["classes"]:
            problems.append(f"sectors.{name}.class: {entry.get('class')!r} is not a class.")
        if name in (*raw["classes"], ANY):
            problems.append(
                f"sectors.{name}: is also the name of a class, so that a factor's sector is not clear."
            )
        if not entry.get("boxes", {}).get("any"):
            problems.append(f"sectors.{name}.boxes.any: is missing.")
        named = [box for boxes in entry.get("boxes", {}).values() for box in boxes]
        problems += [
            f"sectors.{name}.boxes: {b!r} is not a crosswalk." for b in named if b not in raw["crosswalks"]
        ]
        used.update(named)
    for name, entry in raw["crosswalks"].items():
        problems += [
            f"crosswalks.{name}: {key} is missing." for key in (*_SYSTEMS, "certainty") if key not in entry
        ]
        if entry.get("handbook") not in raw["handbook"]:
            problems.append(
                f"crosswalks.{name}.handbook: {entry.get('handbook')!r} is not a class of the handbook."
            )
        if name not in used:
            problems.append(f"crosswalks.{name}: no sector uses it.")
    problems += [f"{level}.{NONE}: is missing." for level in ("fuels", "technologies") if NONE not in raw[level]]
    if problems:
        raise ContentError(_WHERE, problems)
    return Categories(**{level: raw[level] for level in levels})
