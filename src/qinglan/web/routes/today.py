"""Today: the map, the hour, and what is wrong now."""

from fastapi import APIRouter

router = APIRouter()
