"""Review of data: queue, decisions, instruments, months."""

from fastapi import APIRouter

router = APIRouter()
