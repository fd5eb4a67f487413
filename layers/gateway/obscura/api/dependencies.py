"""Dependencies of the endpoints whose requests FastAPI routes: the principal, the services, the body."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from obscura.api.access_log import ACCESS_RECORD
from obscura.api.client_address import client_address, headers_of
from obscura.api.error_handlers import invalid_request
from obscura.auth.access import AccessRequest, Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import RequestHead
from obscura.errors import ClientDisconnected, InvalidJson, UnsupportedField
from obscura.files.multipart import FileField, Form
from obscura.files.service import require_project
from obscura.pipeline.read_body import read_body, read_form
from obscura.pipeline.request import GatewayRequest
from obscura.pipeline.services import Services

MAX_JSON_BYTES = 64 * 1024


@cache
def principal(scope: KeyScope | None, *, free_tier: bool) -> Callable[[Request], Awaitable[Principal]]:
    """Return the dependency that admits a caller to the endpoints of ``scope``; counted by the rate alone.

    None admits the keys of every scope.

    ``free_tier`` says whether anonymous callers are admitted. It raises what ``obscura.auth.access.authenticate``
    raises. Every family has it, with the family's own scope. There is one for each scope, which FastAPI calls once a
    request, however many dependencies need it.
    """

    async def admit(request: Request) -> Principal:
        address = client_address(request.scope, request.app.state.trusted_proxies)
        access = AccessRequest(headers_of(request.scope), address, scope, request.scope[ACCESS_RECORD])
        async with admission(access, request.app.state.services.access_control) as admitted:
            if not free_tier:
                require_project(admitted)
            return admitted

    return admit


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


RequestServices = Annotated[Services, Depends(_services)]


@dataclass(frozen=True, slots=True)
class JsonBody[M: BaseModel]:
    """The dependency that reads a JSON body and validates it; its model is also the schema of the body."""

    model: type[M]

    async def __call__(self, request: Request) -> M:
        """Raise what ``read_body`` raises, UnsupportedField for a field that is not known, InvalidRequest."""
        body = await read_body(gateway_request(request), MAX_JSON_BYTES)
        for name in body.root:
            if name not in self.model.model_fields:
                fields = ", ".join(sorted(self.model.model_fields))
                raise UnsupportedField(f"'{name[:100]}' is not known here. Known fields: {fields}.", param=name[:100])
        return validate(self.model.model_validate_json, body.render())


@dataclass(frozen=True, slots=True)
class FormBody:
    """The dependency that reads a form with one file, whose limit may be the deployment's.

    ``known_fields`` may stand beside the file, and ``schema`` returns their schemas; they are not yet validated.
    """

    name: str
    file_field: Callable[[Services], FileField]
    known_fields: frozenset[str] = frozenset()
    schema: Callable[[], dict[str, object]] = dict
    rules: Callable[[], dict[str, object]] = dict
    """What the schema says of the fields together."""

    async def __call__(self, request: Request, services: RequestServices) -> Form:
        """Raise what ``read_form`` raises."""
        return await read_form(gateway_request(request), self.file_field(services), self.known_fields)


def validate[A, M: BaseModel](model: Callable[[A], M], fields: A, *, in_form: bool = False) -> M:
    """Validate a request's fields; raises InvalidRequest, its param written as in a form if the fields are of one.

    Raises InvalidJson for JSON with text that is not Unicode, such as half of a surrogate pair.
    """
    try:
        return model(fields)
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_context=False, include_input=False)
        if errors[0]["type"] == "json_invalid":
            raise InvalidJson(f"The body is not valid JSON: {errors[0]['msg']}.") from None
        raise invalid_request(errors, in_form=in_form) from None


class _Body:
    """A body as FastAPI receives it."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks; raises ClientDisconnected."""
        try:
            async for chunk in self._request.stream():
                yield chunk
        except ClientDisconnect:
            raise ClientDisconnected from None


def gateway_request(request: Request) -> GatewayRequest:
    """Return the request, its body not yet read."""
    head = RequestHead(request.url.path, request.url.query, request.headers)
    return GatewayRequest(head, _Body(request), request.scope[ACCESS_RECORD])
