"""Daily values of cities, one row for each city and day, as a public archive collected them for 2013-2017.

Columns ``city,date,AQI,AQI_range,level,PM2.5,PM10,SO2,CO,NO2,O3,rank``; files without a header line are read too.

- Units: µg/m³, CO mg/m³. `O3` behaves as the day's maximum 8-h mean and is taken as `mda8`: it lies about
  34 µg/m³ above the daily mean of another archive, and after a high evening it leaves that evening out.
- **Zero means missing** in this source: every 0 in AQI or an item is emptied and noted among the rejects, while
  the row lives on. `rank` is 0 in the last months likewise and is not kept, nor are `AQI_range` and `level`.
- `AQI` is kept as reported: it is the mean of hourly indices, not the index of the daily values.
"""

from qinglan.connect.city_daily.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "read", "sniff"]
