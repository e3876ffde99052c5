"""Administration: users, roles, audit log, settings."""

from fastapi import APIRouter

router = APIRouter()
