"""Whether the process serves: for load balancers and for who has just started it."""

from fastapi import APIRouter

from obscura.api.openapi import Json

PATH = "/healthz"

router = APIRouter()
openapi: Json = {}


@router.get(PATH)
async def healthz() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "ok"}
