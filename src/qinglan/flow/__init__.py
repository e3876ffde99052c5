"""Flows: load, call something pure, save. The only way from the doors to the store and the sources."""
