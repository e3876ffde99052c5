"""Time, height, species and the factored field: conservation, clauses of T/CSES 144-2024, the guide of ISC3."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from qinglan.core.errors import LayoutError, UnknownName, UsageError
from qinglan.emission.categories import SPECIES
from qinglan.emission.shape import height, species, time
from qinglan.emission.shape.factored import Factored, Shape, factored
from qinglan.emission.space.grid import Grid
from qinglan.emission.space.spread import Spread

GRID = Grid.of_degrees(100.0, 36.0, 0.1, 0.1, nx=5, ny=4)
SECTORS = ("power", "cement", "road", "household", "surface_coating", "straw_burning", "livestock", "soil_dust")


def made_up(seed: int = 1, units: int = 12) -> tuple[pl.DataFrame, Spread]:
    """Random emissions of every sector of the list; PM nested as in nature; some of each unit lies outside."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(units):
        pm10 = rng.uniform(10, 100)
        fine = pm10 * rng.uniform(0.3, 0.9)
        mass = {s: rng.uniform(1, 100) for s in SPECIES} | {"pm10": pm10, "pm2_5": fine}
        mass |= {"bc": 0.1 * fine, "oc": 0.3 * fine}
        rows += [
            ("led", f"r{number}", "a", f"s{number}", SECTORS[number % len(SECTORS)], name, value, 2024)
            for name, value in mass.items()
        ]
    schema = ["ledger", "row_key", "activity", "source_id", "sector", "species", "emission_t", "year"]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    dense = rng.uniform(0, 1, (units, 20)) * (rng.uniform(0, 1, (units, 20)) < 0.4)
    beyond = rng.uniform(0, 1, units)
    whole = dense.sum(axis=1) + beyond
    held = frame.select("ledger", "row_key", "activity").unique(maintain_order=True)
    return frame, Spread(GRID, held, sparse.csr_array(dense / whole[:, None]), beyond / whole)


def made(mechanism: str = "inventory", **options: Any) -> tuple[pl.DataFrame, Spread, Factored]:
    frame, placed = made_up()
    return frame, placed, factored(frame, placed, 2024, Shape(splits=species.splits(mechanism), **options))


@pytest.mark.parametrize("year", [2023, 2024])
@pytest.mark.parametrize("name", sorted(time.time_profiles().profiles))
def test_a_year_of_hours_is_whole_and_months_keep_their_share(year: int, name: str) -> None:
    profile = time.time_profiles().profile(name)
    hours = time.weights(year, profile, holidays=[date(year, 10, day) for day in range(1, 8)])
    assert hours.shape == (time.hours_of(year),)
    assert abs(hours.sum() - 1) < 1e-12
    month = np.array([time.utc_end(year, h).astimezone(time_zone()).month for h in range(hours.size - 1)] + [12])
    begins = np.concatenate([[1], month[:-1]])
    shares = np.bincount(begins, weights=hours, minlength=13)[1:]
    assert shares == pytest.approx(profile.months, abs=1e-12)


def time_zone() -> Any:
    from qinglan.core.clock import CST

    return CST


def test_straw_and_weekdays_are_those_of_tcses_144() -> None:
    book = time.time_profiles()
    straw = [0.16, 0.14, 0.12, 0.06, 0.03, 0.03, 0.03, 0.03, 0.03, 0.06, 0.15, 0.16]
    assert book.profile(book.of_sector["straw_burning"]).months == pytest.approx(straw)
    assert book.profile("industry").weekdays == pytest.approx([0.162] * 5 + [0.112, 0.078])
    hours = time.weights(2024, book.profile("industry")).reshape(-1, 24).sum(axis=1)
    monday = (date(2024, 3, 4) - date(2024, 1, 1)).days
    assert hours[monday + 6] / hours[monday] == pytest.approx(0.078 / 0.162)


def test_a_holiday_is_emitted_as_the_weekday_that_is_named() -> None:
    profile = time.time_profiles().profile("industry")
    day = date(2024, 10, 2)  # a Wednesday
    daily = time.weights(2024, profile, holidays=[day]).reshape(-1, 24).sum(axis=1)
    number = (day - date(2024, 1, 1)).days
    assert daily[number] / daily[number + 14] == pytest.approx(0.078 / 0.162)


def test_own_hours_replace_the_profile_and_gaps_are_counted() -> None:
    profile = time.weights(2023, time.time_profiles().profile("power"))
    series = profile * 500.0
    series[100:200] = np.nan
    series[300] = -1.0
    own = time.own_hours(series, profile)
    assert own.filled == 101
    assert own.shares == pytest.approx(profile, rel=1e-12)
    with pytest.raises(UsageError, match="8760"):
        time.own_hours(series[:5], profile)
    with pytest.raises(UsageError, match="above zero"):
        time.own_hours(np.full(8760, np.nan), profile)


def test_layers_hold_every_share_whatever_their_interfaces() -> None:
    for sector in SECTORS:
        for layers in (height.default_layers(), (0, 50), (0, 10, 20, 30), tuple(range(0, 3000, 100))):
            assert height.sector_layers(sector, layers).sum() == pytest.approx(1, abs=1e-12)
    with pytest.raises(UsageError, match="do not rise"):
        height.sector_layers("road", (10, 20))


def test_plume_rise_is_that_of_briggs_worked_by_hand() -> None:
    """F = 9.80665 x 15 x 25 x 120 / (4 x 398) = 277.19; rise 38.71 F^0.6 / 5; below 55: 21.425 F^0.75 / u."""
    tall = height.Stack(150.0, 5.0, 398.0, 15.0)
    assert height.plume_rise(tall, wind=5.0, air=278.0) == pytest.approx(38.71 * 277.2**0.6 / 5, rel=1e-3)
    small = height.Stack(20.0, 0.5, 398.0, 10.0)
    flux = 9.80665 * 10 * 0.25 * 120 / (4 * 398)
    assert height.plume_rise(small, wind=2.0, air=278.0) == pytest.approx(21.425 * flux**0.75 / 2)
    cold = height.Stack(20.0, 0.5, 270.0, 10.0)
    assert height.plume_rise(cold, wind=3.0, air=278.0) == pytest.approx(3 * 0.5 * 10 / 3)
    shares = height.plume_layers(tall, height.default_layers())
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares[0] == 0
    with pytest.raises(UsageError, match="no stack"):
        height.plume_rise(height.Stack(20.0, 0.0, 300.0, 1.0))


@pytest.mark.parametrize("mechanism", species.MECHANISMS)
@pytest.mark.parametrize("carbon", species.CARBON)
def test_no_split_loses_mass(mechanism: str, carbon: str) -> None:
    made = species.splits(mechanism, carbon=carbon)
    for key, shares in made.shares.items():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-12), key
    gases = {"NO", "NO2", "SO2", "CO", "NH3"} & set(made.names)
    assert all(np.isfinite(made.basis[made.names.index(name)]) for name in gases)
    aerosols = [name for name in made.names if name.startswith("P") and name not in ("PAR", "PRPA")]
    assert all(np.isnan(made.molar[made.names.index(name)]) for name in aerosols)


def test_moles_of_nitrogen_are_those_of_nox_as_no2() -> None:
    made = species.splits("cb6_ae7")
    nox = made.shares["power", "nox"]
    assert sum(share / made.basis[made.names.index(n)] for n, share in nox.items()) == pytest.approx(1 / 46.01)


def test_every_lumped_species_has_a_weight() -> None:
    for mechanism in ("cb6_ae7", "saprc07_ae7"):
        made = species.splits(mechanism)
        voc = {name for (_, s), shares in made.shares.items() if s == "nmvoc" for name in shares}
        assert voc
        assert all(made.molar[made.names.index(name)] > 0 for name in voc)


def test_profiles_of_speciate_form_replace_the_content() -> None:
    given = pl.DataFrame(
        {
            "PROFILE_CODE": ["1", "1", "2", "2"],
            "SPECIES_NAME": ["TOL", "PAR", "TOL", "PAR"],
            "WEIGHT_PERCENT": [40.0, 30.0, 60.0, 40.5],
        }
    )
    profiles, aside = species.speciate(given)
    assert aside.is_empty()
    assert profiles["2"]["TOL"] == pytest.approx(60 / 100.5)
    made = species.splits("cb6_ae7", profiles={("solvent", "nmvoc"): profiles["1"]})
    assert made.shares["solvent", "nmvoc"] == pytest.approx({"TOL": 0.4, "PAR": 0.3, "UNR": 0.3})
    heavy = pl.when(PROFILE_CODE="1").then(80.0).otherwise("WEIGHT_PERCENT")
    profiles, aside = species.speciate(given.with_columns(WEIGHT_PERCENT=heavy))
    assert list(profiles) == ["2"]
    assert aside.select("profile_code", "total").rows() == [("1", 160.0)]
    with pytest.raises(LayoutError, match="species_name"):
        species.speciate(given.drop("SPECIES_NAME"))


def test_the_profiles_of_speciate_5_4_are_read_whole(test_data: Path) -> None:
    """(b) EPA SPECIATE 5.4, 3,733 PM2.5 profiles in AE6 species: what is read is the file's share of its sum."""
    path = test_data / "speciation" / "speciate54_pm25_ae6_profiles_wide.csv.gz"
    if not path.exists():
        pytest.skip(f"no {path.name} among the real data")
    wide = pl.read_csv(path, schema_overrides={"speciate_pm25_profile": pl.String})
    kinds = [name for name in wide.columns if name.startswith("P") and name.isupper() and name != "PROFILE_TYPE"]
    long = wide.unpivot(kinds, index="speciate_pm25_profile", variable_name="SPECIES_NAME").select(
        "SPECIES_NAME", PROFILE_CODE="speciate_pm25_profile", WEIGHT_PERCENT=pl.col("value") * 100
    )
    read, aside = species.speciate(long)
    assert len(read) > 3_000
    assert {*read, *aside["profile_code"]} == set(wide["speciate_pm25_profile"])
    sums = dict(zip(wide["speciate_pm25_profile"], wide.select(pl.sum_horizontal(kinds)).to_series(), strict=True))
    lows = dict(zip(wide["speciate_pm25_profile"], wide.select(pl.min_horizontal(kinds)).to_series(), strict=True))
    assert {code for code in sums if sums[code] > 1.01 or lows[code] < 0} == set(aside["profile_code"])
    paved = wide.filter(pl.col("speciate_pm25_profile") == "0000010").row(0, named=True)
    assert read["0000010"]["PSI"] == pytest.approx(paved["PSI"] / max(1.0, sum(paved[k] for k in kinds)))
    made = species.splits("cb6_ae7", profiles={("dust", "pm2_5"): read["0000010"]})
    assert sum(made.shares["dust", "pm2_5"].values()) == pytest.approx(1.0)


def test_particulate_matter_is_parted_without_overlap() -> None:
    frame, _ = made_up()
    for carbon in species.CARBON:
        parted, faults = species.parted(frame, carbon)
        assert faults.is_empty()
        parts = [species.COARSE, species.FINE_REST, "pm2_5", "bc", "oc"]
        sum_of_parts = parted.filter(pl.col("species").is_in(parts))["emission_t"].sum()
        assert sum_of_parts == pytest.approx(frame.filter(pl.col("species") == "pm10")["emission_t"].sum())
    strange = frame.with_columns(
        emission_t=pl.when(pl.col("species") == "pm10").then(1.0).otherwise(pl.col("emission_t"))
    )
    assert species.parted(strange)[1].height == 12


@pytest.mark.parametrize("mechanism", species.MECHANISMS)
def test_totals_are_exact_at_every_axis(mechanism: str) -> None:
    frame, _, field = made(mechanism)
    totals = field.totals()
    assert field.summed().sum(axis=(1, 2, 3)) == pytest.approx(list(totals.values()), rel=1e-9)
    by_cells = sum(field.cell(iy, ix).sum(axis=1) for iy in range(4) for ix in range(5))
    assert by_cells == pytest.approx(list(totals.values()), rel=1e-9)
    inside_and_out = sum(totals.values()) + sum(field.outside_t.values())
    nested = ["bc", "oc", "pm2_5"]
    whole = frame if mechanism == "inventory" else frame.filter(~pl.col("species").is_in(nested))
    assert inside_and_out == pytest.approx(whole["emission_t"].sum(), rel=1e-9)
    block = field.hours(500, 503)
    assert block.sum(axis=2).reshape(3, len(field.species), 20)[1, :, 7] == pytest.approx(
        field.cell(1, 2)[:, 501], rel=1e-12
    )
    assert np.array_equal(block[2], field.hour(502))
    assert field.summed(500, 503) == pytest.approx(block.sum(axis=0), rel=1e-12)


def test_the_field_is_the_product_written_out() -> None:
    """Truth: the plain sum over rows, units and layers, of one hour."""
    frame, placed, field = made()
    book, hour = time.time_profiles(), 4000
    truth = np.zeros(field.shape)
    dense = placed.matrix.toarray()
    for row in frame.iter_rows(named=True):
        share = time.weights(2024, book.profile(book.of_sector[row["sector"]]))[hour]
        layers = height.sector_layers(row["sector"], field.interfaces)
        cells = dense[int(row["row_key"][1:])].reshape(4, 5)
        truth[SPECIES.index(row["species"])] += row["emission_t"] * share * layers[:, None, None] * cells
    assert field.hour(hour) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("mechanism", species.MECHANISMS)
def test_a_number_leads_to_the_rows_that_make_it(mechanism: str) -> None:
    _, _, field = made(mechanism)
    for iy, ix, hour in ((0, 0, 0), (1, 2, 501), (3, 4, 8783)):
        numbers = field.cell(iy, ix)[:, hour]
        for name, number in zip(field.species, numbers, strict=True):
            rows = field.trace(iy, ix, hour, name)
            assert rows["tonnes"].sum() == pytest.approx(number, rel=1e-12, abs=1e-300)
            if rows.height:
                assert rows["share"].sum() == pytest.approx(1, rel=1e-12)
                assert rows.columns[:3] == ["ledger", "row_key", "activity"]
    with pytest.raises(UnknownName):
        field.trace(0, 0, 0, "plutonium")
    with pytest.raises(UsageError, match="cell"):
        field.trace(9, 0, 0, field.species[0])


def test_a_source_with_monitoring_and_a_stack_has_its_own_hours_and_layers() -> None:
    series = np.zeros(8784)
    series[10] = 7.0
    stack = height.Stack(200.0, 6.0, 400.0, 20.0)
    _, _, field = made(own_hours={"s0": series}, stacks={"s0": stack})
    assert field.filled == {"s0": 0}
    so2 = SPECIES.index("so2")
    others = made()[2]
    assert field.summed()[so2].sum() == pytest.approx(others.summed()[so2].sum())
    rows = pl.concat(field.trace(iy, ix, 10, "so2") for iy in range(4) for ix in range(5))
    mine = rows.filter(pl.col("source_id") == "s0")
    assert mine["in_hour"].to_list() == [1.0] * mine.height
    plain = made(own_hours={"s0": series}, stacks={"s0": stack}, plume=False)[2]
    assert not np.allclose(plain.hour(10), field.hour(10))


def test_stacks_come_from_activities_and_half_ones_are_left_out() -> None:
    nothing = {"height": None, "diameter": None, "temperature": None, "velocity": None, "flow": None}
    frame = pl.DataFrame(
        {
            "source_id": ["a", "a", "b", "c", "d"],
            "stack": [
                nothing | {"height": 60.0, "diameter": 2.0, "temperature": 120.0, "velocity": 15.0},
                nothing | {"height": 90.0, "diameter": 2.0, "temperature": 120.0, "flow": 36_000 * np.pi},
                nothing | {"height": 60.0},
                nothing,
                nothing | {"height": 60.0, "diameter": 0.0, "temperature": 120.0, "velocity": 15.0},
            ],
        }
    )
    found = height.stacks_of(frame)
    assert list(found) == ["a"]
    assert (found["a"].height, found["a"].temperature) == (90.0, 393.15)
    assert found["a"].velocity == pytest.approx(10.0)
    assert height.stacks_of(frame.drop("stack")) == {}


@pytest.mark.data
def test_hours_and_fine_dust_are_the_figures_that_were_published(test_data: Path) -> None:
    """Beside MEIAT-CMAQ's files (fa9f1a9): its hours, its layers of power, its PM2.5 of four groups."""
    folder = test_data / "temporal_profiles" / "meiat_cmaq"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    hours = pl.read_csv(folder / "temporal" / "hourly.csv")
    book = time.time_profiles()
    for column, name in {"power": "power", "industry": "industry", "transportation": "traffic"}.items():
        given = hours[column].to_numpy()
        assert book.profile(name).hours == pytest.approx(given / given.sum(), abs=1e-12)
    layers = pl.read_csv(folder / "profile.csv")["power"].to_list()
    assert height.sector_layers("power", (0, 20, 92, 184, 324, 522, 781, 1106)) == pytest.approx(layers)
    made = species.splits("cb6_ae7", carbon="inventory")
    for file, group in {"power": "power", "industry": "industry", "transportation": "mobile"}.items():
        given = pl.read_csv(folder / "species" / f"MEIC-CB05_CB06_speciate_{file}.csv")
        fine = dict(
            given.filter(pl.col("pollutant") == "PM25").select("emission_species", "split_factor").iter_rows()
        )
        assert made.shares[group, species.FINE_REST] == pytest.approx(fine, abs=1e-3)


def test_what_has_no_place_is_told_and_wrong_frames_are_refused() -> None:
    frame, placed = made_up()
    short = Spread(GRID, placed.units[:-1], placed.matrix[:-1], placed.outside[:-1])
    assert factored(frame, short, 2024).unplaced["row_key"].unique().to_list() == ["r11"]
    with pytest.raises(UsageError, match="2024"):
        factored(frame, placed, 2023)
    with pytest.raises(LayoutError, match="sector"):
        factored(frame.drop("sector"), placed, 2024)
    with pytest.raises(UnknownName, match="moon"):
        factored(frame.with_columns(sector=pl.lit("moon")), placed, 2024)
    with pytest.raises(UsageError, match="no tonnes"):
        factored(frame.with_columns(emission_t=pl.lit(-1.0)), placed, 2024)
    nothing = factored(frame[:0], placed, 2024)
    assert nothing.hour(0).sum() == 0
