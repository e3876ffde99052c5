"""Evaluation: any period, any rule book, dust in or out, places and periods compared, ranking."""

from fastapi import APIRouter

router = APIRouter()
