"""Publications: drafts, approval, issue, correction, files."""

from fastapi import APIRouter

router = APIRouter()
