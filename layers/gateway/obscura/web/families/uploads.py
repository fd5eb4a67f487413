"""Uploads in parts, each small enough for Lambda's door."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from obscura.errors import RequestTooLarge
from obscura.pipeline.files import check_known, check_may_store
from obscura.pipeline.gateway import Gateway
from obscura.pipeline.read import read_body
from obscura.pipeline.read_form import read_form
from obscura.pipeline.uploads import add_part, begin_upload, cancel_upload, complete_upload, find_pending
from obscura.web.admitted import admitted
from obscura.web.door import ClosingRoute
from obscura.web.families.files_schema import COMPLETION, PART_FORM, UPLOAD
from obscura.web.families.shown_files import shown_upload
from obscura.web.inbound import inbound
from obscura.web.json_answer import json_answer
from obscura.wire.file_objects import PartObject
from obscura.wire.file_requests import read_completion, read_upload
from obscura.wire.multipart import FileField

PATH = "/uploads"
MOST_JSON_BYTES = 64 * 1024
PART = FileField("data", 6 * 1024 * 1024, RequestTooLarge, "Send smaller parts: 4 MB go through every door.")

routes = APIRouter(route_class=ClosingRoute)


@routes.post(PATH, openapi_extra=UPLOAD)
async def create_upload(request: Request) -> Response:
    """Begin an upload."""
    gateway, caller = _gateway(request), await admitted(request)
    check_may_store(caller)
    ask = read_upload(await read_body(inbound(request), MOST_JSON_BYTES), gateway.limits.image.raw_bytes)
    return json_answer(request, shown_upload(await begin_upload(ask, caller, gateway.storeroom, datetime.now(UTC))))


@routes.post(PATH + "/{upload_id}/parts", openapi_extra=PART_FORM)
async def create_part(request: Request, upload_id: str) -> Response:
    """Add a part, sent as the form field ``data``."""
    storeroom, caller = _gateway(request).storeroom, await admitted(request)
    check_may_store(caller)
    upload = await find_pending(upload_id, caller, storeroom, datetime.now(UTC))
    form = await read_form(inbound(request), PART)
    now = datetime.now(UTC)
    part_id = await add_part(upload, bytes(form.file.content), storeroom, now)
    return json_answer(request, PartObject(part_id, int(now.timestamp()), upload.id))


@routes.post(PATH + "/{upload_id}/complete", openapi_extra=COMPLETION)
async def complete(request: Request, upload_id: str) -> Response:
    """Make a file of the parts."""
    gateway, caller = _gateway(request), await admitted(request)
    check_may_store(caller)
    upload = await find_pending(upload_id, caller, gateway.storeroom, datetime.now(UTC))
    ask = read_completion(await read_body(inbound(request), MOST_JSON_BYTES))
    return json_answer(request, shown_upload(*await complete_upload(upload, ask, caller, gateway, datetime.now(UTC))))


@routes.post(PATH + "/{upload_id}/cancel")
async def cancel(request: Request, upload_id: str) -> Response:
    """Give an upload up."""
    storeroom, caller = _gateway(request).storeroom, await admitted(request)
    check_known(caller)
    upload = await find_pending(upload_id, caller, storeroom, datetime.now(UTC))
    return json_answer(request, shown_upload(await cancel_upload(upload, storeroom, datetime.now(UTC))))


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway
