"""The vocabulary: one name for each quantity, used as argument, column, JSON key and file key.

The field's terms win over invented ones. Units are the ones Chinese ambient standards print:
µg/m³ for everything but CO, which is mg/m³ (GB 3095 table 1).
"""

from __future__ import annotations

from dataclasses import dataclass

from qinglan.core.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measured or derived quantity.

    `decimals` is the number of decimals its concentration is rounded to before it is shown or indexed
    (GB/T 8170 applied as in HJ 633-2026 4.2.2: integers, CO one decimal).
    """

    name: str
    symbol: str
    zh: str
    en: str
    unit: str
    decimals: int
    gas: bool


_UG = "µg/m³"
_MG = "mg/m³"

QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("so2", "SO₂", "二氧化硫", "sulfur dioxide", _UG, 0, True),
        Quantity("no2", "NO₂", "二氧化氮", "nitrogen dioxide", _UG, 0, True),
        Quantity("co", "CO", "一氧化碳", "carbon monoxide", _MG, 1, True),
        Quantity("o3", "O₃", "臭氧", "ozone", _UG, 0, True),
        Quantity("o3_8h", "O₃-8h", "臭氧8小时滑动平均", "ozone, sliding 8-h mean", _UG, 0, True),
        Quantity("mda8", "O₃-8h", "臭氧日最大8小时平均", "ozone, daily maximum 8-h mean", _UG, 0, True),
        Quantity("pm10", "PM₁₀", "可吸入颗粒物", "particles of 10 µm and less", _UG, 0, False),
        Quantity("pm2_5", "PM₂.₅", "细颗粒物", "particles of 2.5 µm and less", _UG, 0, False),
        Quantity("tsp", "TSP", "总悬浮颗粒物", "total suspended particles", _UG, 0, False),
        Quantity("nox", "NOx", "氮氧化物", "nitrogen oxides as NO₂", _UG, 0, True),
        Quantity("pb", "Pb", "铅", "lead", _UG, 2, False),
        Quantity("bap", "BaP", "苯并[a]芘", "benzo[a]pyrene", _UG, 4, False),
    )
}

#: The six basic items of GB 3095 table 1, as hourly means.
HOURLY_ITEMS: tuple[str, ...] = ("so2", "no2", "co", "o3", "pm10", "pm2_5")

#: The six items of a day (HJ 633-2026 5.1): five daily means and the daily maximum 8-h mean of ozone.
DAILY_ITEMS: tuple[str, ...] = ("so2", "no2", "co", "mda8", "pm10", "pm2_5")

#: Items whose daily value is the mean of the day's hours.
MEAN_ITEMS: tuple[str, ...] = ("so2", "no2", "co", "pm10", "pm2_5")

#: The four states of a value, kept apart from the door to the bulletin.
VALID, INVALID, MISSING, BELOW_DETECTION = "valid", "invalid", "missing", "below_detection"
STATES: tuple[str, ...] = (VALID, INVALID, MISSING, BELOW_DETECTION)


def quantity(name: str) -> Quantity:
    """Look a quantity up by its name.

    Raises UnknownName with the known names.

    >>> quantity("co").unit
    'mg/m³'
    """
    try:
        return QUANTITIES[name]
    except KeyError:
        raise UnknownName("quantity", name, tuple(QUANTITIES)) from None


def daily_name(item: str) -> str:
    """Name of an hourly item's daily statistic: ozone becomes its daily maximum 8-h mean.

    >>> daily_name("o3"), daily_name("pm10")
    ('mda8', 'pm10')
    """
    return "mda8" if item == "o3" else quantity(item).name
