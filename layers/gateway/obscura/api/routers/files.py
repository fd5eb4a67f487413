"""Files by id, and uploads in parts."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from obscura.api.dependencies import FormBody, JsonBody, RequestServices, principal, validate
from obscura.api.error_handlers import speaks_anthropic
from obscura.api.routers import Family, FamilyRoute
from obscura.auth.access import Principal
from obscura.auth.base import KeyScope
from obscura.documents.base import MEDIA_TYPE, is_pdf
from obscura.errors import DocumentTooLarge, ImageTooLarge, RequestTooLarge, UnsupportedField
from obscura.files.anthropic_objects import AnthropicDeletedFile, AnthropicFile, AnthropicFileList
from obscura.files.base import FileQuery, Upload
from obscura.files.multipart import FileField, Form
from obscura.files.objects import DeletedFile, FileList, FileObject, PartObject, UploadObject
from obscura.files.requests import (
    ANTHROPIC_LISTED,
    FORM_FIELDS,
    MAX_LISTED,
    CompleteUpload,
    CreateUpload,
    FileOptions,
    ListFilesQuery,
)
from obscura.files.service import (
    delete_file,
    find_file,
    read_original,
    require_storage_allowed,
    store_file,
)
from obscura.files.uploads import add_part, begin_upload, cancel_upload, complete_upload, find_pending
from obscura.pipeline.services import Services

_UNSUPPORTED_FILTERS = {"ids", "before_id", "scope_id"}
"""Of Anthropic's list: ignored, they would list other files than were asked for."""
MAX_PART_BYTES = 6 * 1024 * 1024
_BINARY = {"schema": {"type": "string", "format": "binary"}}


Owner = Annotated[Principal, Depends(principal(KeyScope.FILES, free_tier=False))]
"""A caller with a project, who may list, see and delete its files."""


async def _storing(owner: Owner) -> Principal:
    require_storage_allowed(owner)
    return owner


Storing = Annotated[Principal, Depends(_storing)]
"""A caller with a project, whose request may store something and use what is stored."""


def _file_field(services: Services) -> FileField:
    """Return the form's field: an image and a PDF have limits of their own, and the first bytes say which it is."""
    limits = services.limits
    image = FileField("file", limits.image.raw_bytes, ImageTooLarge, "Shrink it, or save it as JPEG.")
    document = FileField("file", limits.document.stored_bytes, DocumentTooLarge, "Send fewer pages, or compress it.")
    larger = max(image, document, key=lambda field: field.max_bytes)
    return replace(larger, narrowed=lambda content: document if is_pdf(content) else image)


file_form = FormBody(
    "file",
    _file_field,
    FORM_FIELDS,
    FileOptions.form_schema,
    FileOptions.form_rules,
)
part_form = FormBody(
    "data",
    lambda services: FileField("data", MAX_PART_BYTES, RequestTooLarge, "Send smaller parts, such as of 4 MB."),
)
routes = APIRouter(route_class=FamilyRoute)


@routes.post("/files")
async def create_file(
    request: Request, storing: Storing, form: Annotated[Form, Depends(file_form)], services: RequestServices
) -> FileObject | AnthropicFile:
    """Store an image or a PDF, sent as the form field ``file``."""
    options = validate(FileOptions.of_form, form.fields, in_form=True)
    attributes = options.attributes(form.file.filename)
    file = await store_file(form.file.content, attributes, storing, services.file_service, services.clock.now())
    return AnthropicFile.of(file) if speaks_anthropic(request) else FileObject.of(file)


@routes.get("/files")
async def list_files(
    request: Request, query: Annotated[ListFilesQuery, Query()], owner: Owner, services: RequestServices
) -> FileList | AnthropicFileList:
    """List the project's files, the newest first by default, in the format of the client's API."""
    for name in _UNSUPPORTED_FILTERS & request.query_params.keys():
        raise UnsupportedField(f"'{name}' is not supported here. List by pages: 'limit' and 'page'.", param=name)
    anthropic = speaks_anthropic(request)
    limit = query.limit or (ANTHROPIC_LISTED if anthropic else MAX_LISTED)
    # One more than requested shows whether another page follows.
    page = FileQuery(limit + 1, query.cursor, query.order == "desc", query.purpose)
    files = await services.storage.files.list(owner.project, page, services.clock.now())
    listed, has_more = files[:limit], len(files) > limit
    if anthropic:
        return AnthropicFileList.of(listed, has_more=has_more)
    return FileList.of(listed, has_more=has_more)


@routes.get("/files/{file_id}")
async def get_file(
    request: Request, file_id: str, owner: Owner, services: RequestServices
) -> FileObject | AnthropicFile:
    """Return a file's object."""
    file = await find_file(file_id, owner, services.storage, services.clock.now())
    return AnthropicFile.of(file) if speaks_anthropic(request) else FileObject.of(file)


@routes.get(
    "/files/{file_id}/content",
    response_class=Response,
    responses={200: {"content": {"image/*": _BINARY, MEDIA_TYPE: _BINARY}}},
)
async def get_content(file_id: str, storing: Storing, services: RequestServices) -> Response:
    """Return a file's bytes as they were sent."""
    file = await find_file(file_id, storing, services.storage, services.clock.now())
    original = await read_original(file, services.storage)
    # The bytes are not trusted: a browser must neither guess their type nor show them as a page of this origin.
    headers = {"x-content-type-options": "nosniff", "content-disposition": "attachment", "cache-control": "no-store"}
    return Response(original, media_type=file.media_type, headers=headers)


@routes.delete("/files/{file_id}")
async def remove_file(
    request: Request, file_id: str, owner: Owner, services: RequestServices
) -> DeletedFile | AnthropicDeletedFile:
    """Delete a file for good."""
    await delete_file(file_id, owner, services.storage, services.clock.now())
    return AnthropicDeletedFile(id=file_id) if speaks_anthropic(request) else DeletedFile(id=file_id)


async def _pending(upload_id: str, owner: Owner, services: RequestServices) -> Upload:
    return await find_pending(upload_id, owner, services.storage, services.clock.now())


Pending = Annotated[Upload, Depends(_pending)]
"""The open upload of the path."""


@routes.post("/uploads")
async def create_upload(
    storing: Storing, upload: Annotated[CreateUpload, Depends(JsonBody(CreateUpload))], services: RequestServices
) -> UploadObject:
    """Begin an upload."""
    is_document = upload.mime_type.partition(";")[0].strip().lower() == MEDIA_TYPE
    max_bytes = services.limits.document.stored_bytes if is_document else services.limits.image.raw_bytes
    if upload.bytes > max_bytes:
        too_large = DocumentTooLarge if is_document else ImageTooLarge
        raise too_large(
            f"The file would have {upload.bytes:,} bytes; {max_bytes:,} are allowed. Shrink it.", param="bytes"
        )
    return UploadObject.of(await begin_upload(upload, storing, services.file_service, services.clock.now()))


@routes.post("/uploads/{upload_id}/parts")
async def create_part(
    storing: Storing, upload: Pending, form: Annotated[Form, Depends(part_form)], services: RequestServices
) -> PartObject:
    """Add a part, sent as the form field ``data``."""
    now = services.clock.now()
    part_id = await add_part(upload, bytes(form.file.content), services.storage, now)
    return PartObject.of(part_id, upload, now)


@routes.post("/uploads/{upload_id}/complete")
async def complete(
    storing: Storing,
    upload: Pending,
    completion: Annotated[CompleteUpload, Depends(JsonBody(CompleteUpload))],
    services: RequestServices,
) -> UploadObject:
    """Make a file of the parts."""
    return UploadObject.of(
        *await complete_upload(upload, completion, storing, services.file_service, services.clock.now())
    )


@routes.post("/uploads/{upload_id}/cancel")
async def cancel(upload: Pending, services: RequestServices) -> UploadObject:
    """Cancel an upload and delete its parts."""
    return UploadObject.of(await cancel_upload(upload, services.storage, services.clock.now()))


# An SDK's base URL may end in /v1 or not. Each call takes the routes that exist by then.
router = APIRouter()
router.include_router(routes, prefix="/v1")
router.include_router(routes)

FAMILY = Family(name="files", scope=KeyScope.FILES, free_tier=False, streams=True, router=router)
