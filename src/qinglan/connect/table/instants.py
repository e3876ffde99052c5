"""Dates and hours as people write them in tables."""

from __future__ import annotations

from datetime import datetime

import polars as pl

#: What instants look like once :func:`_plain` has made their spelling one.
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d%H%M")
_TRIAL = datetime(2024, 3, 25, 19)  # noqa: DTZ001  a label, which has no zone until the mapping gives one


def formatted(text: pl.Series, form: str) -> pl.Series:
    """Datetimes by a strptime format; one that has an hour but no minute is read as the full hour."""
    plain = text.str.strip_chars()
    if "%H" in form and "%M" not in form:
        form, plain = form + ":%M", plain + ":00"
    return plain.str.to_datetime(form, strict=False, time_unit="us", exact=True)


def _plain(text: pl.Series) -> pl.Series:
    """One spelling for ``2024/4/1 8:00``, ``2024-04-01T08``, ``2024年4月1日8时`` and ``2024040108``."""
    return (
        text.str.replace_many({"/": "-", "年": "-", "月": "-", "日": " ", "T": " ", "时": ":00"})
        .str.replace_all(r"\s+", " ")
        .str.replace(r"^(\d{10})$", "${1}00")
        .str.replace(r"^(\S+ \d{1,2})$", "${1}:00")
    )


def instants(text: pl.Series, form: str | None) -> pl.Series:
    """Naive labels; ``24:00`` is the end of its date. Each distinct text is read once."""
    distinct = text.drop_nulls().unique()
    plain = distinct.str.strip_chars() if form else _plain(distinct.str.strip_chars())
    midnight = plain.str.contains(r"[ T]24(:00){0,2}$")
    plain = plain.str.replace(r"([ T])24((:00){0,2})$", "${1}00${2}")
    read_as = pl.DataFrame([formatted(plain, f).alias(f) for f in ([form] if form else _FORMATS)])
    late = pl.when(midnight).then(pl.duration(days=1)).otherwise(pl.duration(days=0))
    known = read_as.select(pl.coalesce(pl.all()).alias("instant") + late).with_columns(distinct.alias("text"))
    return pl.DataFrame({"text": text}).join(known, on="text", how="left", maintain_order="left")["instant"]


def format_works(form: str) -> bool:
    """Whether a strptime format reads back what it writes.

    >>> format_works("%d.%m.%Y %H:%M"), format_works("%Y%m%d"), format_works("%I o'clock")
    (True, True, False)
    """
    try:
        read = formatted(pl.Series([_TRIAL.strftime(form)]), form).item()
    except pl.exceptions.PolarsError:
        return False
    return read in (_TRIAL, _TRIAL.replace(hour=0))
