"""Files by id, and uploads in parts."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from obscura.api.deadline import DeadlineRoute
from obscura.api.dependencies import gateway_request, json_response, principal
from obscura.api.openapi import Json
from obscura.dialects.base import is_file_id
from obscura.errors import ImageTooLarge, InvalidRequest, RequestTooLarge
from obscura.files.base import FileQuery, StoredFile
from obscura.files.multipart import FileField
from obscura.files.objects import DeletedFile, PartObject, file_list, file_object, upload_object
from obscura.files.requests import (
    FORM_FIELDS,
    MAX_TTL_S,
    MIN_TTL_S,
    PURPOSES,
    parse_complete_upload,
    parse_create_upload,
    parse_file_form,
    parse_list_query,
)
from obscura.files.service import (
    delete_file,
    find_file,
    read_original,
    require_project,
    require_storage_allowed,
    store_file,
)
from obscura.files.uploads import add_part, begin_upload, cancel_upload, complete_upload, find_pending
from obscura.pipeline.read_body import read_body, read_form
from obscura.pipeline.services import Services

_PURPOSE: Json = {"enum": list(PURPOSES), "default": PURPOSES[0]}
_SECONDS: Json = {"type": "integer", "minimum": MIN_TTL_S, "maximum": MAX_TTL_S}
_ANCHOR: Json = {"enum": ["created_at"]}


def _body(media_type: str, required: list[str], **properties: Json) -> Json:
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


FILE_FORM = _body(
    "multipart/form-data",
    ["file"],
    file={"type": "string", "format": "binary", "description": "PNG, JPEG, WEBP or GIF."},
    purpose=_PURPOSE,
    **{"expires_after[anchor]": _ANCHOR, "expires_after[seconds]": _SECONDS},
)
LISTING: Json = {
    "parameters": [
        _query("after", {"type": "string"}),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10_000}),
        _query("order", {"enum": ["asc", "desc"], "default": "desc"}),
        _query("purpose", _PURPOSE),
    ]
}
UPLOAD = _body(
    "application/json",
    ["filename", "bytes", "mime_type"],
    filename={"type": "string"},
    bytes={"type": "integer", "minimum": 1},
    mime_type={"type": "string", "description": "Not believed: the bytes decide."},
    purpose=_PURPOSE,
    expires_after={"type": "object", "properties": {"anchor": _ANCHOR, "seconds": _SECONDS}},
)
PART_FORM = _body("multipart/form-data", ["data"], data={"type": "string", "format": "binary"})
COMPLETION = _body(
    "application/json",
    ["part_ids"],
    part_ids={"type": "array", "minItems": 1, "items": {"type": "string"}},
    md5={"type": "string", "description": "Of the whole file, in hexadecimal digits."},
)


PATH = "/files"
WAY_OUT = "Shrink it, or save it as JPEG."

routes = APIRouter(route_class=DeadlineRoute)


@routes.post(PATH, openapi_extra=FILE_FORM)
async def create_file(request: Request) -> Response:
    """Store an image, sent as the form field ``file``."""
    gateway, caller = _gateway(request), await principal(request)
    require_storage_allowed(caller)
    file_field = FileField("file", gateway.limits.image.raw_bytes, ImageTooLarge, WAY_OUT)
    form = await read_form(gateway_request(request), file_field, FORM_FIELDS)
    terms = parse_file_form(form)
    file = await store_file(form.file.content, terms, caller, gateway.file_service, datetime.now(UTC))
    return json_response(request, file_object(file))


@routes.get(PATH, openapi_extra=LISTING)
async def list_files(request: Request) -> Response:
    """List the project's files, newest first unless asked otherwise."""
    gateway, caller = _gateway(request), await principal(request)
    require_project(caller)
    asked = parse_list_query(request.query_params)
    if asked.after is not None and not is_file_id(asked.after):
        raise InvalidRequest("'after' must be a file's id: the last one of the page before.", param="after")
    # One more than asked for tells whether there are more.
    page = FileQuery(asked.limit + 1, asked.after, asked.newest_first, asked.purpose)
    found = await gateway.storage.files.page(caller.project, page, datetime.now(UTC))
    return json_response(
        request, file_list([file_object(file) for file in found[: asked.limit]], len(found) > asked.limit)
    )


@routes.get(PATH + "/{file_id}")
async def get_file(request: Request, file_id: str) -> Response:
    """Return what is known of a file."""
    return json_response(request, file_object(await _found(request, file_id)))


@routes.get(PATH + "/{file_id}/content")
async def get_content(request: Request, file_id: str) -> Response:
    """Return a file's bytes as they were sent."""
    file = await _found(request, file_id, to_use=True)
    original = await read_original(file, _gateway(request).storage)
    # Bytes from strangers: a browser shall neither guess at them nor show them as a page of this origin.
    headers = {"x-content-type-options": "nosniff", "content-disposition": "attachment", "cache-control": "no-store"}
    return Response(original, media_type=file.media_type, headers=headers)


@routes.delete(PATH + "/{file_id}")
async def remove_file(request: Request, file_id: str) -> Response:
    """Delete a file for real."""
    caller = await principal(request)
    require_project(caller)
    await delete_file(file_id, caller, _gateway(request).storage, datetime.now(UTC))
    return json_response(request, DeletedFile(file_id))


UPLOADS_PATH = "/uploads"
MOST_JSON_BYTES = 64 * 1024
PART = FileField("data", 6 * 1024 * 1024, RequestTooLarge, "Send smaller parts: 4 MB go through every door.")


@routes.post(UPLOADS_PATH, openapi_extra=UPLOAD)
async def create_upload(request: Request) -> Response:
    """Begin an upload."""
    gateway, caller = _gateway(request), await principal(request)
    require_storage_allowed(caller)
    ask = parse_create_upload(
        await read_body(gateway_request(request), MOST_JSON_BYTES), gateway.limits.image.raw_bytes
    )
    return json_response(request, upload_object(await begin_upload(ask, caller, gateway.storage, datetime.now(UTC))))


@routes.post(UPLOADS_PATH + "/{upload_id}/parts", openapi_extra=PART_FORM)
async def create_part(request: Request, upload_id: str) -> Response:
    """Add a part, sent as the form field ``data``."""
    storage, caller = _gateway(request).storage, await principal(request)
    require_storage_allowed(caller)
    upload = await find_pending(upload_id, caller, storage, datetime.now(UTC))
    form = await read_form(gateway_request(request), PART)
    now = datetime.now(UTC)
    part_id = await add_part(upload, bytes(form.file.content), storage, now)
    return json_response(request, PartObject(part_id, int(now.timestamp()), upload.id))


@routes.post(UPLOADS_PATH + "/{upload_id}/complete", openapi_extra=COMPLETION)
async def complete(request: Request, upload_id: str) -> Response:
    """Make a file of the parts."""
    gateway, caller = _gateway(request), await principal(request)
    require_storage_allowed(caller)
    upload = await find_pending(upload_id, caller, gateway.storage, datetime.now(UTC))
    ask = parse_complete_upload(await read_body(gateway_request(request), MOST_JSON_BYTES))
    return json_response(
        request, upload_object(*await complete_upload(upload, ask, caller, gateway.file_service, datetime.now(UTC)))
    )


@routes.post(UPLOADS_PATH + "/{upload_id}/cancel")
async def cancel(request: Request, upload_id: str) -> Response:
    """Return an upload up."""
    storage, caller = _gateway(request).storage, await principal(request)
    require_project(caller)
    upload = await find_pending(upload_id, caller, storage, datetime.now(UTC))
    return json_response(request, upload_object(await cancel_upload(upload, storage, datetime.now(UTC))))


async def _found(request: Request, file_id: str, *, to_use: bool = False) -> StoredFile:
    caller = await principal(request)
    (require_storage_allowed if to_use else require_project)(caller)
    return await find_file(file_id, caller, _gateway(request).storage, datetime.now(UTC))


def _gateway(request: Request) -> Services:
    gateway: Services = request.app.state.gateway
    return gateway


# An SDK's base URL may end in /v1 or not; each call takes up the routes as they are by then.
openapi: Json = {}
router = APIRouter()
router.include_router(routes, prefix="/v1")
router.include_router(routes, include_in_schema=False)
