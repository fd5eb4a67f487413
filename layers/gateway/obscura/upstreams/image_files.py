"""The Files API of an upstream: images that callers repeat are uploaded once and named by their id (ADR 188).

    POST /files            multipart: file, and for OpenAI purpose=vision and expires_after
    DELETE /files/{id}

Sources: OpenAI's API reference, "Upload file" and "Delete file"; Anthropic's API reference, "Files" (beta
files-api-2025-04-14), whose files have no expiry: what is forgotten here is deleted there.

Imported only where an upstream of the catalog has ``image_files``.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar, Protocol

import httpx
import msgspec

from obscura.dialects.base import UpstreamBody
from obscura.errors import ObscuraError, UpstreamError
from obscura.execution import run_off_loop
from obscura.upstreams.anthropic import ANTHROPIC_VERSION
from obscura.upstreams.base import RawHeaders, UpstreamDialect, UpstreamRequest
from obscura.upstreams.http import MAX_ERROR_BYTES, HttpUpstream, UpstreamTimeouts
from obscura.upstreams.image_entries import FILES_DIALECTS
from obscura.upstreams.image_file_memory import KEPT_S, ImageFileKey, ImageFileMemory

FILES_PATH = "/files"
BETA = b"files-api-2025-04-14"
MARGIN_S = 600.0
"""How long before its expiry a file is used no more: longer than a request takes to arrive."""
MAX_UPLOADS = 4
"""At once; images that are due while so many are under way wait for their next sighting."""
UPLOAD_TIMEOUT_S = 60.0
PAUSE_S = 60.0
"""After an upload that failed."""
CLOSE_TIMEOUT_S = 2.0

_ID = re.compile(r"[A-Za-z0-9_\-]{1,200}")
_BETA_HEADER = b"anthropic-beta"
_PLAIN: RawHeaders = ((b"accept-encoding", b"identity"), (b"accept", b"application/json"))


class FilesApi(Protocol):
    """What differs between the Files APIs."""

    fields: ClassVar[Sequence[tuple[str, str]]]
    """The fields of an upload beside the file."""
    headers: ClassVar[RawHeaders]
    """What every request to the API carries."""

    def with_beta(self, body: UpstreamBody) -> RawHeaders:
        """Return the headers of a model's request that names files."""
        ...


class OpenAIFiles(FilesApi):
    """OpenAI's: a file expires by itself, ``KEPT_S`` after it was made."""

    fields = (("purpose", "vision"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", str(KEPT_S)))
    headers = ()

    def with_beta(self, body: UpstreamBody) -> RawHeaders:
        """Return the headers as they are."""
        return body.headers


class AnthropicFiles(FilesApi):
    """Anthropic's, a beta: each request says so, together with what the caller's own betas are."""

    fields = ()
    headers = ((_BETA_HEADER, BETA), (b"anthropic-version", ANTHROPIC_VERSION))

    def with_beta(self, body: UpstreamBody) -> RawHeaders:
        """Return the headers with the beta among the caller's."""
        betas = [value for name, value in body.headers if name == _BETA_HEADER]
        others = tuple(header for header in body.headers if header[0] != _BETA_HEADER)
        return (*others, (_BETA_HEADER, b",".join((*betas, BETA))))


FILES_APIS: dict[str, type[FilesApi]] = {"openai": OpenAIFiles, "anthropic": AnthropicFiles}


class _Uploaded(msgspec.Struct):
    id: str
    created_at: Any = None
    expires_at: Any = None


_uploaded = msgspec.json.Decoder(_Uploaded)


class ImageFilesUpstream(HttpUpstream):
    """An upstream over HTTP with a Files API."""

    def __init__(  # noqa: PLR0913 - those of an HttpUpstream, and the kind
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str,
        dialect: UpstreamDialect,
        timeouts: UpstreamTimeouts,
        retries: int,
        *,
        kind: str,
    ) -> None:
        super().__init__(transport, base_url, dialect, timeouts, retries)
        self.image_files = ImageFiles(kind, self.exchange)

    async def exchange(self, request: UpstreamRequest) -> bytes:
        """Send a request of the Files API and return its response; raises ObscuraError if it is no success."""
        response = await self._head(request)
        if response.status_code not in {200, 201}:
            await response.aclose()
            raise UpstreamError(f"The upstream refuses a file (status {response.status_code}).")
        return await self._whole_body(response, MAX_ERROR_BYTES)


class ImageFiles:
    """The images that one upstream has as files, and the uploads under way; on one event loop.

    No method raises, waits for the upstream or fails a request, but for ``aclose``, which waits for a bounded time.
    """

    def __init__(
        self,
        kind: str,
        exchange: Callable[[UpstreamRequest], Coroutine[Any, Any, bytes]],
        memory: ImageFileMemory | None = None,
    ) -> None:
        """``exchange`` sends a request of the Files API of this ``kind`` and returns the response."""
        self.dialect = FILES_DIALECTS[kind]
        self._api = FILES_APIS[kind]()
        self._exchange = exchange
        self._memory = memory or ImageFileMemory()
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused_until_s = 0.0
        self._closed = False

    def with_beta(self, body: UpstreamBody) -> RawHeaders:
        """Return the headers of a request that names files by their ids."""
        return self._api.with_beta(body)

    def see(self, key: ImageFileKey) -> str | None:
        """Count a sighting of an image, and return the id of its file, if it has one."""
        return self._memory.see(key)

    def forget(self, key: ImageFileKey) -> None:
        """Forget an image whose file the upstream does not have."""
        self._memory.forget(key)

    def upload_soon(self, key: ImageFileKey, read: Callable[[], tuple[bytes, str]]) -> None:
        """Upload an image in the background if it is due; ``read``, off the loop, returns its bytes and media type."""
        if not self._is_busy() and self._memory.begin_upload(key):
            self._start(self._upload(key, read))
        if self._memory.dropped and not self._is_busy():
            ids, self._memory.dropped = self._memory.dropped, []
            self._start(self._delete(ids))

    async def aclose(self) -> None:
        """Cancel what is under way, and delete the files, as many as can be in ``CLOSE_TIMEOUT_S``."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ids = self._memory.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.gather(*(self._delete(ids[first::MAX_UPLOADS]) for first in range(MAX_UPLOADS)))

    def _is_busy(self) -> bool:
        return self._closed or len(self._tasks) >= MAX_UPLOADS or monotonic() < self._paused_until_s

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _upload(self, key: ImageFileKey, read: Callable[[], tuple[bytes, str]]) -> None:
        started_s = monotonic()
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_S):
                request = await run_off_loop(lambda: self._upload_request(*read()))
                file = _read(await self._exchange(request))
        except (ObscuraError, TimeoutError):
            self._failed(key)
            return
        lasts_s = _lasts_s(file) - MARGIN_S - (monotonic() - started_s)
        if lasts_s <= 0:
            self._failed(key)
            await self._delete([file.id])
            return
        self._memory.uploaded(key, file.id, lasts_s)

    def _failed(self, key: ImageFileKey) -> None:
        self._memory.forget(key)
        self._paused_until_s = monotonic() + PAUSE_S

    async def _delete(self, ids: Iterable[str]) -> None:
        for file_id in ids:
            with suppress(ObscuraError):
                await self._exchange(
                    UpstreamRequest(f"{FILES_PATH}/{file_id}", (*_PLAIN, *self._api.headers), method="DELETE")
                )

    def _upload_request(self, image: bytes, media_type: str) -> UpstreamRequest:
        boundary = secrets.token_hex(16)
        fields = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self._api.fields
        )
        file_name = f"obscura-image.{media_type.removeprefix('image/')}"
        fields += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        body = b"".join((fields.encode(), image, f"\r\n--{boundary}--\r\n".encode()))
        content_type = (b"content-type", f"multipart/form-data; boundary={boundary}".encode())
        return UpstreamRequest(FILES_PATH, (content_type, *_PLAIN, *self._api.headers), body)


def _read(body: bytes) -> _Uploaded:
    try:
        file = _uploaded.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The upstream's file cannot be read.") from None
    if not _ID.fullmatch(file.id):
        raise UpstreamError("The upstream's file has no id that can be used.")
    return file


def _lasts_s(file: _Uploaded) -> float:
    """Return how long a file lasts: by the upstream's own two times, so that no clock is compared with another."""
    if isinstance(file.created_at, int) and isinstance(file.expires_at, int):
        return float(min(KEPT_S, file.expires_at - file.created_at))
    return float(KEPT_S)
