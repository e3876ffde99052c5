"""Signing in and out, second factor, own account, keys."""

from fastapi import APIRouter

router = APIRouter()
