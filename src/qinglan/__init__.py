"""Qinglan: the open system for running an air-quality action plan."""

__version__ = "0.1.0"
