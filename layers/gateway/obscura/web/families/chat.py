"""Chat completions, with and without ``/v1``."""

from fastapi import APIRouter
from starlette.routing import Route

from obscura.web.road_endpoint import RoadEndpoint
from obscura.wire.chat import ChatDialect

PATHS = ("/v1/chat/completions", "/chat/completions")

router = APIRouter()
router.routes += [Route(path, RoadEndpoint(ChatDialect()), methods=["POST"]) for path in PATHS]
