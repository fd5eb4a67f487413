"""An answer that is stored as it passes: whole, or a stream once it is complete.

The images of its request are stored first, as files of the project, so that nothing large is held while the answer
streams. A response is stored if it is completed or incomplete; one that failed or was given up is not, and its files
are deleted. ``store`` of the answer says whether it was stored: an answer is never withheld because a store failed.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import pybase64
from msgspec import Raw

from obscura.auth.access import Principal
from obscura.dialects.json.raw import FALSE, NULL, TRUE
from obscura.dialects.sse import LineSplitter
from obscura.errors import ObscuraError, StorageFull, StoreUnavailable
from obscura.execution import run_off_loop
from obscura.files.base import FileAttributes
from obscura.files.responses import ResponseStore, StoredBody, delete_files, store_response
from obscura.files.service import store_file
from obscura.pipeline.request import GatewayResponse, StreamingBody

_STORED_STATUS = frozenset({b'"completed"', b'"incomplete"'})
_UNDER_WAY = frozenset({b'"in_progress"', b'"queued"'})
_WITH_RESPONSE = tuple(
    b'"response.%b"' % name
    for name in (b"created", b"queued", b"in_progress", b"completed", b"incomplete", b"failed", b"cancelled")
)
OFF_LOOP_BYTES = 16 * 1024
MAX_NAME_CHARS = 200

_objects = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])


@dataclass(slots=True)
class KeptAnswer:
    """The answer to one request, whose ``input`` is the JSON of its items."""

    input: bytes
    previous_id: str | None
    principal: Principal
    store: ResponseStore
    file_ids: list[str] = field(default_factory=list)
    stored: bool = False
    failed: bool = False

    async def keep(self, response: GatewayResponse) -> GatewayResponse:
        """Return the response, which is stored before its caller has its end."""
        await self._store_images()
        if isinstance(response.body, bytes):
            return replace(response, body=await self._keep_object(response.body))
        body = response.body
        return replace(response, body=StreamingBody(self._keep_stream(body.chunks), body.fail, body.aclose))

    async def aclose(self) -> None:
        """Delete the files of an answer that was not stored."""
        if not self.stored and self.file_ids:
            await delete_files(self.file_ids, self.principal, self.store)

    async def _store_images(self) -> None:
        try:
            self.input = await store_media(self.input, self.principal, self.store, self.file_ids)
        except (StorageFull, StoreUnavailable):
            self.failed = True

    async def _keep_object(self, body: bytes) -> bytes:
        """Store a response as it is shown; one that is no object of JSON goes on as it is."""
        try:
            shown = _objects.decode(body)
        except msgspec.DecodeError:
            return body
        status = bytes(shown.get("status", NULL))
        shown["previous_response_id"] = NULL if self.previous_id is None else Raw(msgspec.json.encode(self.previous_id))
        shown["store"] = TRUE
        if status in _STORED_STATUS:
            self.stored = not self.failed and await self._store(shown)
        shown["store"] = TRUE if self.stored or (status in _UNDER_WAY and not self.failed) else FALSE
        return msgspec.json.encode(shown)

    async def _store(self, shown: dict[str, Raw]) -> bool:
        try:
            response_id = msgspec.json.decode(shown.get("id", b'""'))
            body = StoredBody(_items.decode(self.input), shown)
            return isinstance(response_id, str) and await store_response(
                body, response_id, self.file_ids, self.principal, self.store
            )
        except (StorageFull, StoreUnavailable, msgspec.DecodeError):
            return False

    async def _keep_stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        lines = LineSplitter()
        async for chunk in chunks:
            whole = lines.feed(chunk)
            if whole:
                yield await self._keep_lines(whole)
        if rest := lines.finish():
            yield await self._keep_lines(rest)

    async def _keep_lines(self, lines: bytes) -> bytes:
        if b'"response"' not in lines:
            return lines
        return b"".join([await self._keep_line(line) for line in lines.splitlines(keepends=True)])

    async def _keep_line(self, line: bytes) -> bytes:
        if not line.startswith(b"data:") or not any(name in line for name in _WITH_RESPONSE):
            return line
        data = line.removeprefix(b"data:")
        try:
            event = await run_off_loop(partial(_objects.decode, data), off_loop=len(data) > OFF_LOOP_BYTES)
        except msgspec.DecodeError:
            return line
        if "response" not in event:
            return line
        event["response"] = Raw(await self._keep_object(bytes(event["response"])))
        return b"data: %b%b" % (msgspec.json.encode(event), data[len(data.rstrip(b"\r\n")) :])


async def store_media(input_json: bytes, principal: Principal, store: ResponseStore, file_ids: list[str]) -> bytes:
    """Store the images and PDFs that stand in items, and return the items with the ids of files in their places.

    The ids are added to ``file_ids`` one by one. What is neither an image nor a PDF, such as a text file, stays where
    it is. Raises StorageFull, StoreUnavailable.
    """
    if b'"image_url"' not in input_json and b'"file_data"' not in input_json:
        return input_json
    items = await run_off_loop(partial(msgspec.json.decode, input_json))
    for part, key in _inline(items):
        content = await run_off_loop(partial(_decoded, part[key]))
        if content is None:
            continue
        name = part.get("filename")
        try:
            file = await store_file(
                content,
                FileAttributes(
                    name[:MAX_NAME_CHARS] if isinstance(name, str) and name else "image",
                    "user_data" if key == "file_data" else "vision",
                    store.ttl_s,
                ),
                principal,
                store.files,
                store.files.clock.now(),
            )
        except (StorageFull, StoreUnavailable):
            raise
        except ObscuraError:
            continue
        file_ids.append(file.id)
        del part[key]
        part["file_id"] = file.id
    return await run_off_loop(partial(msgspec.json.encode, items))


def _inline(node: Any) -> Sequence[tuple[dict[str, Any], str]]:
    """Return every object that has a data URL or a file's bytes, with the key of it."""
    found: list[tuple[dict[str, Any], str]] = []
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            url = current.get("image_url")
            if isinstance(url, str) and url[:5].lower() == "data:":
                found.append((current, "image_url"))
            elif isinstance(current.get("file_data"), str):
                found.append((current, "file_data"))
            pending += current.values()
        elif isinstance(current, list):
            pending += current
    return found


def _decoded(text: str) -> bytes | None:
    """Return the bytes of base64 or of a data URL of it, None of anything else."""
    encoded = text.partition(",")[2] if text[:5].lower() == "data:" else text
    try:
        return pybase64.b64decode(encoded, validate=True)
    except ValueError:
        return None
