"""A typed client of the API, for scripts and notebooks.

from qinglan.client import Client

with Client("http://127.0.0.1:8000", key="...") as air:
    hours = air.hours("1480A", start, end, items=["pm2_5"]).to_polars()
"""

from qinglan.client.client import ApiError, Client, Hours, Latest, Place, Station

__all__ = ["ApiError", "Client", "Hours", "Latest", "Place", "Station"]
