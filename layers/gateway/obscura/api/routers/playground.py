"""The playground: one page that sends requests to this gateway from a browser, and shows what the model sees.

The guide to images is beside it. Both are open to all callers and use no service: the page's own requests carry the
credential that its user enters.
"""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from obscura import pages
from obscura.api import vision_guide
from obscura.api.routers import Family, FamilyRoute
from obscura.errors import NotFound
from obscura.pages.assets import read_assets
from obscura.pages.local_checks import local_checks

ASSETS = read_assets(Path(pages.__path__[0]) / "playground")
_REVALIDATE = {"cache-control": "no-cache"}
_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}

router = APIRouter(route_class=FamilyRoute)


@router.get("/", response_class=HTMLResponse)
async def playground(request: Request) -> Response:
    """Return the page; 304 for the version that the browser already has."""
    headers = {**ASSETS.headers, **_REVALIDATE, "etag": ASSETS.etag}
    if request.headers.get("if-none-match") == ASSETS.etag:
        return Response(status_code=304, headers=headers)
    return Response(ASSETS.document.data, headers=headers, media_type=ASSETS.document.media_type)


@router.get("/playground/limits.json")
async def limits(request: Request) -> dict[str, Any]:
    """Return the limits that the page checks before it sends, and the messages of the errors past them."""
    return local_checks(request.app.state.settings)


@router.get("/playground/{version}/{name}", response_class=HTMLResponse)
async def asset(version: str, name: str) -> Response:
    """Return a file of the page; a path never changes its content."""
    found = ASSETS.files.get(name)
    if found is None or version != ASSETS.version:
        raise NotFound("No such file of the playground. Load the page again: it may have a new version.")
    return Response(found.data, headers={**ASSETS.headers, **_IMMUTABLE}, media_type=found.media_type)


router.include_router(vision_guide.router)

FAMILY = Family(name="playground", scope=None, free_tier=False, streams=True, router=router)
