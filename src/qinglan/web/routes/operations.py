"""Health, readiness and metrics."""

from fastapi import APIRouter

router = APIRouter()
