"""A workspace: one home folder with its settings, its lake and its registry."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from qinglan.core.errors import NotFound, StoreError, UnknownName, UsageError
from qinglan.plan.places import AmbiguousName, Places, load_places
from qinglan.store import loads as load_book
from qinglan.store.engine import EngineSettings
from qinglan.store.engine_sql import registry_url
from qinglan.store.lake import Lake
from qinglan.store.registry import Registry
from qinglan.store.station_day import station_day
from qinglan.store.stations import RegisteredStations, register_stations, station_lookup

SETTINGS_FILE = "qinglan.toml"
REGISTRY_FILE = "registry.sqlite"
REGISTRY_VARIABLE = "QINGLAN_REGISTRY"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What `qinglan.toml` holds.

    plan : id of the plan pack. place : division code of the office. timezone : declared zone of the office's
    clock. memory_limit : of the embedded engine. threads : 0 for all cores. simulated : the data are invented.
    registry : where the registry lies, ``postgresql://USER@HOST/DATABASE`` without a password (that comes from
    PGPASSWORD or the password file); empty: SQLite in the home. QINGLAN_REGISTRY in the environment goes first.
    licence : what open data are published under (``content/open_data/licences.yaml``).
    oidc_issuer, oidc_client_id : the identity provider at which people may sign in, and who we are to it (empty:
    none); its secret comes from QINGLAN_OIDC_SECRET or the file that QINGLAN_OIDC_SECRET_FILE names.
    oidc_label : its name on the button. oidc_link_by : claim by which an account is linked at the first sign-in;
    empty: by an administrator only. oidc_trust_second : no second factor of ours where the provider asked one.
    """

    plan: str = "qinghai-2024"
    place: str = "630000"
    timezone: str = "Asia/Shanghai"
    memory_limit: str = "2GB"
    threads: int = 0
    simulated: bool = False
    registry: str = ""
    licence: str = "CC-BY-4.0"
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_label: str = ""
    oidc_link_by: str = ""
    oidc_trust_second: bool = False


@dataclass(frozen=True)
class Workspace:
    """An initialised home folder. `lake` and `registry` open when they are first used."""

    home: Path
    settings: Settings

    @cached_property
    def lake(self) -> Lake:
        """Observations."""
        engine = EngineSettings(self.settings.memory_limit, self.settings.threads or None)
        return Lake(self.home / "lake", settings=engine)

    @cached_property
    def registry(self) -> Registry:
        """Everything else."""
        return Registry(self.registry_place)

    @property
    def registry_place(self) -> Path | str:
        """Where the registry lies: the environment's word, else the setting's, else a SQLite file in the home."""
        return os.environ.get(REGISTRY_VARIABLE) or self.settings.registry or self.home / REGISTRY_FILE

    @cached_property
    def places(self) -> Places:
        """The tree of places."""
        return load_places()

    @property
    def results(self) -> Path:
        """Folder of the runs' results."""
        return self.home / "results"

    def place_of(self, name: str) -> str | None:
        """Division code that a code, name or alias means: first a city, then any place, near home if in doubt."""
        province = self.settings.place[:2] + "0000"
        for narrowed in (
            {"level": "prefecture"},
            {"level": "prefecture", "within": province},
            {},
            {"within": province},
        ):
            try:
                return self.places.find(name, **narrowed).place
            except (UnknownName, AmbiguousName):
                continue
        return None

    def named(self, code: str) -> dict[str, str]:
        """`name`, `name_en` and `level` of a place; the code itself for one that nobody registered."""
        if code not in self.places:
            return {"name": code, "name_en": code, "level": ""}
        place = self.places[code]
        return {"name": place.name, "name_en": place.name_en, "level": place.level}

    def station_lookup(self) -> RegisteredStations:
        """The register as a lookup, as it stands now."""
        return station_lookup(self.registry, self.place_of)

    def loads(self) -> list[Row]:
        """Loads, newest first."""
        return load_book.loads(self.registry)

    def rejects(self) -> list[Row]:
        """Rows set aside, counted by load, code, field and status."""
        return load_book.reject_counts(self.registry)

    def station_hours(self, dataset: str, station: str, day: date) -> list[Row]:
        """Rows of `hours`, `published`, `weather`, `checked` or `flags` of a station's statistical day."""
        return station_day(self.lake, dataset, station, day)


def init(
    home: Path | str,
    settings: Settings | None = None,
    *,
    stations: Iterable[Mapping[str, Any]] = (),
    who: str = "system",
) -> Workspace:
    """Make a home folder with its settings, lake, registry and first stations, and open it.

    stations : rows of the station register. Running it again with the same settings changes nothing; other
    settings raise UsageError. A workspace of invented data can never become one of real data.
    """
    home, wanted = Path(home), settings or Settings()
    _refuse_password(wanted.registry)
    file = home / SETTINGS_FILE
    if file.exists():
        found = read_settings(file)
        if found != wanted:
            raise UsageError(
                f"{home} is already a workspace with other settings ({_difference(found, wanted)}).",
                remedy=f"Choose another folder, or edit {file} (plan, memory_limit, threads).",
            )
    elif home.exists() and any(home.iterdir()):
        raise UsageError(f"{home} is not empty and not a workspace.", remedy="Choose an empty or a new folder.")
    home.mkdir(parents=True, exist_ok=True)
    (home / "results").mkdir(exist_ok=True)
    workspace = Workspace(home, wanted)
    _ = workspace.lake
    register_stations(workspace.registry, stations, who=who)
    if not file.exists():  # last, so that a half-made home is not taken for a whole one
        write_settings(file, wanted)
    return workspace


def open_workspace(home: Path | str) -> Workspace:
    """Open a home folder; NotFound says how to make one."""
    home = Path(home)
    file = home / SETTINGS_FILE
    if not file.is_file():
        raise NotFound(
            f"{home} is not a workspace (no {SETTINGS_FILE}).", remedy=f"Run `qinglan init --home {home}`."
        )
    return Workspace(home, read_settings(file))


def read_settings(file: Path) -> Settings:
    """Read `qinglan.toml`; StoreError names every key that is unknown or of the wrong kind."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise StoreError(f"{file} cannot be read: {cause}.", remedy="Correct it by hand.") from cause
    kinds = {f.name: type(f.default) for f in fields(Settings)}
    faults = [f"unknown key {key!r}" for key in raw if key not in kinds]
    faults += [
        f"{key} is {value!r}, not {kinds[key].__name__}"
        for key, value in raw.items()
        if key in kinds and type(value) is not kinds[key]
    ]
    if faults:
        raise StoreError(f"{file}: {'; '.join(faults)}.", remedy=f"Known keys: {', '.join(kinds)}.")
    _refuse_password(raw.get("registry", ""))
    return Settings(**raw)


def _refuse_password(registry: str) -> None:
    """Settings are read, copied and backed up: no secret may stand in them."""
    if registry and registry_url(registry).password is not None:
        raise UsageError(
            "the setting registry holds a password.",
            remedy="Leave it out; give it by PGPASSWORD or the password file (PGPASSFILE, ~/.pgpass).",
        )


def write_settings(file: Path, settings: Settings) -> None:
    """Write `qinglan.toml`, whole or not at all."""
    lines = ["# Settings of this Qinglan workspace. 本工作区的设置。"]
    for key, value in asdict(settings).items():
        shown = (
            str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else _quoted(value)
        )
        lines.append(f"{key} = {shown}")
    draft = file.with_suffix(".draft")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.replace(file)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _difference(found: Settings, wanted: Settings) -> str:
    old, new = asdict(found), asdict(wanted)
    return ", ".join(f"{k}: {old[k]!r}, asked {new[k]!r}" for k in old if old[k] != new[k])
