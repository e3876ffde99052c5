"""OpenAQ API v3: hourly means of a location's sensors, from recorded answers on disk.

`fetch` asks ``GET /v3/locations/{id}`` and ``GET /v3/sensors/{id}/hours`` page by page through a function that the
caller supplies, and records each answer with what it was asked; `read` turns such records into hours.

- Clock: UTC; ``period.datetimeTo.utc`` is the hour's end (OpenAQ harmonises to time-ending stamps).
- Units as each answer says; ppb and ppm need the options `temperature` and `pressure`.
- `flagInfo.hasFlags` and `coverage.percentComplete` are heeded by the options `flagged` and `coverage`.
"""

from qinglan.connect.openaq_v3.fetch import Answer, fetch
from qinglan.connect.openaq_v3.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "Answer", "fetch", "read", "sniff"]
