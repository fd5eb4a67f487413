"""Call an upstream with the ids of the images that it has as files (ADR 188).

The first two times an image is sent inline. After the second answer it is uploaded in the background, and from then on
named by its id, in requests of the same project. The key is the SHA-256 of the very bytes that were prepared and
moderated. Imported only for a model whose upstream has ``image_files``.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.base import ParsedRequest, UpstreamBody
from obscura.dialects.data_url import base64_of, decode_base64
from obscura.errors import ObscuraError
from obscura.execution import run_off_loop
from obscura.pipeline.call_upstream import call_model
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.image_file_memory import ImageFileKey
from obscura.upstreams.image_files import ImageFiles

if TYPE_CHECKING:
    from obscura.pipeline.handle import PreparedRequest, UpstreamCall


@dataclass(slots=True)
class _SeenImage:
    """An image of a request: its data URL, the id of its file, if it has one, and what writes the id in its places."""

    data_url: bytes
    file_id: str | None = None
    places: list[Callable[[str], None]] = field(default_factory=list)


async def call_with_files(
    prepared: "PreparedRequest[Any]",
    inline: UpstreamBody,
    request: GatewayRequest,
    principal: Principal,
    finish: Callable[[UpstreamBody], UpstreamBody] | None,
) -> "UpstreamCall":
    """Return the call of a model's upstream with a request that was rendered ``inline``, with ids if it has files.

    Never with zero retention, nor for the free tier, whose callers share a project and do not know each other.
    """
    model, files = prepared.model, prepared.model.image_files
    plain = partial(call_model, inline, model, prepared.image_tokens, request.record)
    excluded = principal.zero_retention or principal.anonymous or inline.counts_tokens
    if files is None or excluded or inline.dialect != files.dialect:
        return plain
    seen = await run_off_loop(lambda: _images_of(prepared, principal.project))
    for key, image in seen.items():
        image.file_id = files.see(key)
    if any(image.file_id for image in seen.values()):
        by_id = await run_off_loop(lambda: _with_ids(prepared, seen))
        by_id = finish(by_id) if finish else by_id
        by_id = replace(by_id, headers=files.with_beta(by_id))
    else:
        by_id = None
    ids = {key: image.file_id for key, image in seen.items() if image.file_id is not None}
    unknown = {key: image.data_url for key, image in seen.items() if image.file_id is None}
    return _FilesCall(files, inline, by_id, ids, unknown, model, prepared.image_tokens, request.record).response


@dataclass(slots=True)
class _FilesCall:
    """A request in both forms: ``by_id`` is None if the upstream has none of its images."""

    files: ImageFiles
    inline: UpstreamBody
    by_id: UpstreamBody | None
    ids: Mapping[ImageFileKey, str]
    unknown: Mapping[ImageFileKey, bytes]
    model: CatalogModel
    image_tokens: list[int]
    record: AccessRecord

    async def response(self) -> GatewayResponse:
        """Return the response; without one of the files, that to the same request sent inline, once."""
        response = await self._answer()
        for key, data_url in self.unknown.items():
            self.files.upload_soon(key, partial(_read, data_url))
        return response

    async def _answer(self) -> GatewayResponse:
        if self.by_id is not None:
            try:
                return await call_model(self.by_id, self.model, self.image_tokens, self.record)
            except ObscuraError as error:
                missing = self._missing(error)
                if not missing:
                    raise
            for key in missing:
                self.files.forget(key)
        return await call_model(self.inline, self.model, self.image_tokens, self.record)

    def _missing(self, error: ObscuraError) -> list[ImageFileKey]:
        """Return the images whose files an error says are missing: those that it names; of a 404 without one, all."""
        named = [key for key, file_id in self.ids.items() if file_id in error.message]
        if error.response_status == 404:
            return named or list(self.ids)
        return named if error.response_status == 400 else []


def _images_of(prepared: "PreparedRequest[Any]", project: str) -> dict[ImageFileKey, _SeenImage]:
    """Return the images that may be named by ids; not pages of documents, nor what stands where no id may."""
    seen: dict[ImageFileKey, _SeenImage] = {}
    for slot, image in zip(prepared.parsed.images, prepared.content.images, strict=True):
        if slot.refer is not None and image.description is None:
            key = ImageFileKey(project, hashlib.sha256(_read(image.data_url)[0]).digest())
            seen.setdefault(key, _SeenImage(image.data_url)).places.append(slot.refer)
    return seen


def _with_ids(prepared: "PreparedRequest[Any]", seen: Mapping[ImageFileKey, _SeenImage]) -> UpstreamBody:
    for image in seen.values():
        if image.file_id is not None:
            for refer in image.places:
                refer(image.file_id)
    parsed: ParsedRequest = prepared.parsed
    return parsed.to_upstream(prepared.model.dialects, prepared.model.chat_options())


def _read(data_url: bytes) -> tuple[bytes, str]:
    """Return the bytes and the media type of a prepared image."""
    encoded = base64_of(memoryview(data_url))
    media_type = bytes(data_url[len(b"data:") : data_url.index(b";")]).decode()
    return decode_base64(encoded, len(encoded)), media_type
