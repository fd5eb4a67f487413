"""Files by id, and uploads in parts."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from obscura.errors import ImageTooLarge, InvalidRequest
from obscura.pipeline.files import check_known, check_may_store, delete_file, find_file, read_original, store_file
from obscura.pipeline.gateway import Gateway
from obscura.pipeline.read_form import read_form
from obscura.ports import FilePage, StoredFile
from obscura.web.admitted import admitted
from obscura.web.door import ClosingRoute
from obscura.web.families import uploads
from obscura.web.families.files_schema import FILE_FORM, LISTING
from obscura.web.families.shown_files import shown
from obscura.web.inbound import inbound
from obscura.web.json_answer import json_answer
from obscura.web.openapi import Json
from obscura.wire.file_ids import is_file_id
from obscura.wire.file_objects import DeletedFile, file_list
from obscura.wire.file_pages import read_page
from obscura.wire.file_requests import FORM_FIELDS, terms_of_form
from obscura.wire.multipart import FileField

PATH = "/files"
WAY_OUT = "Shrink it, or save it as JPEG."

routes = APIRouter(route_class=ClosingRoute)
routes.include_router(uploads.routes)


@routes.post(PATH, openapi_extra=FILE_FORM)
async def create_file(request: Request) -> Response:
    """Store a picture, sent as the form field ``file``."""
    gateway, caller = _gateway(request), await admitted(request)
    check_may_store(caller)
    file_field = FileField("file", gateway.limits.image.raw_bytes, ImageTooLarge, WAY_OUT)
    form = await read_form(inbound(request), file_field, FORM_FIELDS)
    terms = terms_of_form(form)
    file = await store_file(form.file.content, terms, caller, gateway, datetime.now(UTC))
    return json_answer(request, shown(file))


@routes.get(PATH, openapi_extra=LISTING)
async def list_files(request: Request) -> Response:
    """List the project's files, newest first unless asked otherwise."""
    gateway, caller = _gateway(request), await admitted(request)
    check_known(caller)
    asked = read_page(request.query_params)
    if asked.after is not None and not is_file_id(asked.after):
        raise InvalidRequest("'after' must be a file's id: the last one of the page before.", param="after")
    # One more than asked for tells whether there are more.
    page = FilePage(asked.limit + 1, asked.after, asked.newest_first, asked.purpose)
    found = await gateway.storeroom.files.page(caller.project, page, datetime.now(UTC))
    return json_answer(request, file_list([shown(file) for file in found[: asked.limit]], len(found) > asked.limit))


@routes.get(PATH + "/{file_id}")
async def get_file(request: Request, file_id: str) -> Response:
    """Give what is known of a file."""
    return json_answer(request, shown(await _found(request, file_id)))


@routes.get(PATH + "/{file_id}/content")
async def get_content(request: Request, file_id: str) -> Response:
    """Give a file's bytes as they were sent."""
    file = await _found(request, file_id, to_use=True)
    original = await read_original(file, _gateway(request).storeroom)
    # Bytes from strangers: a browser shall neither guess at them nor show them as a page of this origin.
    headers = {"x-content-type-options": "nosniff", "content-disposition": "attachment", "cache-control": "no-store"}
    return Response(original, media_type=file.media_type, headers=headers)


@routes.delete(PATH + "/{file_id}")
async def remove_file(request: Request, file_id: str) -> Response:
    """Delete a file for real."""
    caller = await admitted(request)
    check_known(caller)
    await delete_file(file_id, caller, _gateway(request).storeroom, datetime.now(UTC))
    return json_answer(request, DeletedFile(file_id))


async def _found(request: Request, file_id: str, *, to_use: bool = False) -> StoredFile:
    caller = await admitted(request)
    (check_may_store if to_use else check_known)(caller)
    return await find_file(file_id, caller, _gateway(request).storeroom, datetime.now(UTC))


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


# An SDK's base URL may end in /v1 or not; each call takes up the routes as they are by then.
openapi: Json = {}
router = APIRouter()
router.include_router(routes, prefix="/v1")
router.include_router(routes, include_in_schema=False)
