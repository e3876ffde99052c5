"""The SensorThings API over HTTP: query options, addresses, and entities as JSON."""
