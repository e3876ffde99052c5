"""The national hourly archive: one wide CSV a day, ``china_sites_YYYYMMDD.csv``.

First columns `date` (YYYYMMDD), `hour` (0..23) and `type`, then one column for each station code. A line holds one
`type` (AQI, PM2.5, PM10, SO2, NO2, O3, O3_8h, CO, and running means such as PM2.5_24h) of one hour.

- Clock: China Standard Time; the label is the hour's **end**, so hour 0 closes the day before the file's date.
  What shows it: the feed that the archive copies starts its 8-h ozone means afresh at label 01:00, where the 8-h
  mean equals the 1-h mean; the natural day thus begins with label 01:00 and ends with 00:00.
- Units: µg/m³, CO mg/m³. Missing: empty, NaN.
- Kept: the six items (`hours`), AQI and the 8-h ozone mean (`published`). Running 24-h means and the day's
  maxima so far are not kept: they follow from the hours.
"""

from qinglan.connect.national_hourly.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "read", "sniff"]
