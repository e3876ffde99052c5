"""Stations: series, patterns, roses, statistics, capture, flags."""

from fastapi import APIRouter

router = APIRouter()
