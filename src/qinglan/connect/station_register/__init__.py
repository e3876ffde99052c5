"""Registers of stations: our own CSV (columns of the register's contract) and the national list.

- Own: ``station, name, place, county, lon, lat, altitude, kind, control_point, valid_from, valid_to, aliases``;
  `station`, `name` and `place` are needed, the others may be left out. `place` is a division code or a city's
  name, aliases are separated by ``;``.
- National list: ``ID,stations_name,stations_en_name,area,area_en_name,lon,lat`` (2015-18 network). A name that
  ends in (对照点) marks a control point; the English name becomes an alias.
"""

from qinglan.connect.station_register.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "read", "sniff"]
