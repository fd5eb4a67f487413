"""Whether the process serves: for load balancers and for who has just started it."""

from fastapi import APIRouter

from obscura.web.openapi import Json

router = APIRouter()
openapi: Json = {}


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "ok"}
