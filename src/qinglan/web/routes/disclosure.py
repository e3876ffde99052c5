"""Disclosure watch: were the hours, the days and the forecast out in time?"""

from fastapi import APIRouter

router = APIRouter()
