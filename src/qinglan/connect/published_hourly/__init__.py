"""What the publishing platform showed for each station and hour, as collected by the hour.

Columns ``file,Date,Hour,WatchPoint,AQI,Level,PrimaryPollution,PM2.5,PM10,CO,NO2,O3_1h,O3_8h,SO2``: a city (`file`,
in Chinese or pinyin), a date (YYYYMMDD), an hour and a station by its *name*.

- Clock: China Standard Time; the label is the hour's **end**. What shows it: at label 01 the 8-h ozone mean equals
  the 1-h value, because the day's means start afresh there; at 00 it still runs on.
- Units: µg/m³, CO mg/m³. Missing: empty, NaN.
- Traps met here: primary pollutants over several lines of one quoted cell; a station that stands twice, under its
  name and under its name with a note in brackets, one of the two frozen for weeks; rows dated years away.
"""

from qinglan.connect.published_hourly.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "read", "sniff"]
