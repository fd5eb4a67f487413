"""Whether the process serves: for load balancers, and for the operator who has just started it."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

PATH = "/healthz"

router = APIRouter()
"""Of every application, and open to all callers."""


class Health(BaseModel):
    """The process serves."""

    status: Literal["ok"] = "ok"


@router.get(PATH)
async def healthz() -> Health:
    """Show that the process serves."""
    return Health()
