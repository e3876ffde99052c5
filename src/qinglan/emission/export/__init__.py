"""The hourly field and the year's tonnes in the layouts of others: CF, IOAPI, WRF-Chem, HEMCO, GeoParquet, XLSX.

Every writer writes to the target that it is given and to nothing else; `now` is an argument.
"""
