"""A run in the data model of the OGC SensorThings API 1.1 (18-088 clause 8): entities, and their observations."""

from qinglan.flow.sensorthings.model import (
    ENTITY_SETS,
    NAVIGATION,
    OBSERVATIONS,
    Model,
    column,
    model,
    observation_parts,
)
from qinglan.flow.sensorthings.observations import Hits, Order, Where, find, frame, state_flags, streams_with

__all__ = [
    "ENTITY_SETS",
    "NAVIGATION",
    "OBSERVATIONS",
    "Hits",
    "Model",
    "Order",
    "Where",
    "column",
    "find",
    "frame",
    "model",
    "observation_parts",
    "state_flags",
    "streams_with",
]
