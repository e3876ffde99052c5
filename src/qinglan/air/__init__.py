"""The air: hours -> quality control -> averages -> AQI -> attainment -> ranking -> trend. Tables in, tables out.

Every function over tables takes and returns Ibis expressions, so the same code runs embedded on DuckDB and
on a cluster engine. Nothing here reads a file, a clock or a setting.
"""
