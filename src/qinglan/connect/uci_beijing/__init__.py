"""Beijing Multi-Site Air Quality (UCI 501): twelve stations, hourly with weather, 2013-03 to 2017-02.

Columns ``No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station``.

- Clock: China Standard Time; the label is taken as the hour's **beginning**. The data's description is silent.
  What speaks for it: daily means of labels 0..23 fit the city's reported days (layout city_daily) three times
  closer than means shifted by an hour, and those reported days are natural days: their ozone leaves the evening
  before out, although a window that ended at label 0 would carry it in. Certainty medium: ``label=end`` overrules.
- Units: µg/m³ for **all** six, CO too: it is divided by 1000. Weather: °C, hPa, mm, m/s; `wd` in 16 sectors.
- Missing: NA. Stations are declared here with their national codes, because the file only has names in pinyin.
"""

from qinglan.connect.uci_beijing.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "read", "sniff"]
