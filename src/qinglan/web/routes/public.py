"""The public page, its places, bulletins, open data and the form to report pollution."""

from fastapi import APIRouter

router = APIRouter()
