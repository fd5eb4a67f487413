"""``POST /v1/inspect``: what a request is, and what would become of it, without the model."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from msgspec import Raw
from starlette.types import Receive, Scope, Send

from obscura.api.client_address import headers_of
from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import Family
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ContentLimits, JsonSchema, ParsedRequest, RequestHead
from obscura.dialects.json.raw import Node, RawJson, is_array, is_string, open_array
from obscura.dialects.registry import PIVOT, load_dialect, names
from obscura.errors import InvalidRequest, ObscuraError
from obscura.pipeline.handle_stored import storing_nothing
from obscura.pipeline.inspect_policy import inspection
from obscura.pipeline.inspection import Wanted
from obscura.pipeline.inspection_views import InspectionView
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.services import Services

DIALECT_HEADER = "x-obscura-dialect"
_INCLUDED = ("images", "hashes")
_INCLUDE: JsonSchema = {
    "type": "array",
    "items": {"enum": list(_INCLUDED)},
    "description": "'images' adds the prepared images as data URLs, 'hashes' their SHA-256 and PDQ.",
}


class InspectDialect:
    """A caller dialect at ``/v1/inspect``; each request is parsed by one of its own, which keeps what it ``wanted``."""

    paths = ("/v1/inspect",)
    response_type = InspectionView

    def __init__(self, dialect: CallerDialect[Any]) -> None:
        """``dialect`` parses and renders."""
        self.dialect = dialect
        self.name = dialect.name
        self.credential_headers: Sequence[str] = dialect.credential_headers
        self.summary = "Inspect a request without asking the model"
        properties: Any = {"include": _INCLUDE, **dialect.request_schema["properties"]}  # type: ignore[dict-item]
        properties.pop("stream", None)
        self.request_schema: JsonSchema = dialect.request_schema | {"properties": properties}
        self.wanted = Wanted()

    @property
    def error_type(self) -> type[msgspec.Struct]:
        """The type of an error's body."""
        return self.dialect.error_type

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> ParsedRequest:
        """Parse a request as the dialect does, without what ``include`` asks of the inspection."""
        self.wanted = _take_wanted(body)
        parsed: ParsedRequest = self.dialect.parse(head, body, limits)
        return parsed

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return the headers of the dialect."""
        return self.dialect.response_headers(request_id)

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Render an error in the format of the dialect."""
        return self.dialect.render_error(error, request_id)


def _take_wanted(body: RawJson) -> Wanted:
    """Take ``images`` and ``hashes`` off the body's ``include``; Responses has values of its own there."""
    included = body.root.get("include")
    if included is None or not is_array(included):
        return Wanted()
    items = open_array(included, "include")
    named = [body.text(item) if is_string(item) else "" for item in items]
    left: list[Node] = [item for item, name in zip(items, named, strict=True) if name not in _INCLUDED]
    if left:
        body.root["include"] = Raw(body.render(left))
    else:
        del body.root["include"]
    return Wanted(images="images" in named, hashes="hashes" in named)


@asynccontextmanager
async def handle_inspection(
    request: GatewayRequest, dialect: CallerDialect[Any], services: Services
) -> AsyncIterator[GatewayResponse]:
    """Inspect a request; raises an ObscuraError for an error."""
    if _dialect_name(request.head.headers) not in names():
        raise InvalidRequest(f"The header X-Obscura-Dialect is one of {', '.join(names())}.", param="X-Obscura-Dialect")
    inner = dialect.dialect if isinstance(dialect, InspectDialect) else dialect
    reader = InspectDialect(inner)

    def inspect(
        request: GatewayRequest, dialect: CallerDialect[Any], services: Services
    ) -> AbstractAsyncContextManager[GatewayResponse]:
        return inspection(request, dialect, services, KeyScope.INSPECT, lambda: reader.wanted)

    async with storing_nothing(inspect, under_policy=False)(request, reader, services) as response:
        yield response


class InspectEndpoint(DialectEndpoint):
    """Serves an inspection in the dialect that ``X-Obscura-Dialect`` names; chat's without it."""

    def __init__(self) -> None:
        super().__init__(InspectDialect(load_dialect(PIVOT)), handle_inspection, KeyScope.INSPECT, handle_inspection)
        self._others = {
            name: DialectEndpoint(
                InspectDialect(load_dialect(name)), handle_inspection, KeyScope.INSPECT, handle_inspection
            )
            for name in names()
            if name != PIVOT
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        other = self._others.get(_dialect_name(headers_of(scope)))
        await (super().__call__ if other is None else other)(scope, receive, send)


def _dialect_name(headers: Mapping[str, str]) -> str:
    return headers.get(DIALECT_HEADER, PIVOT).strip().lower()


FAMILY = Family(
    name="inspect",
    scope=KeyScope.INSPECT,
    free_tier=False,
    streams=False,
    dialects=(InspectEndpoint(),),
)
