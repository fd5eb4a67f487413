"""Moderation by OpenAI's moderation endpoint, or any server that speaks it."""

import asyncio

import httpx
import msgspec
from msgspec import Raw

from obscura.errors import ModerationUnavailable
from obscura.masking import masked
from obscura.moderation.base import Verdict
from obscura.upstreams.http import basic_credentials, http_request, send_with_retries

MODEL = "omni-moderation-latest"
READING_VERSION = 1
"""Raise it whenever verdicts are read or texts are cut otherwise: verdicts of earlier readings are then not used."""
RETRIES = 2
VERDICT_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
MAX_VERDICT_BYTES = 1024 * 1024
MAX_CATEGORY_CHARS = 100

CONTENT_STATUSES = frozenset({400, 413, 415, 422})


class ContentRefused(ModerationUnavailable):
    """No verdict, for a reason of the content's and not of the service's: it says nothing of the service's health."""


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]


class _ModerationResponse(msgspec.Struct):
    results: list[_Result]


class _Url(msgspec.Struct):
    url: Raw


class _ImageInput(msgspec.Struct, tag_field="type", tag="image_url"):
    image_url: _Url


class _ModerationRequest(msgspec.Struct):
    input: str | list[_ImageInput]
    model: str = MODEL


_verdicts = msgspec.json.Decoder(_ModerationResponse)


class OpenAIModerator:
    """``POST /moderations`` (OpenAI's API reference, "Create moderation"); every failure fails closed."""

    local = False

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str,
        key: str | None,
        timeout_s: float = VERDICT_TIMEOUT_S,
    ) -> None:
        """``base_url`` ends in ``/v1``; ``timeout_s`` is for one verdict, retries included."""
        self._transport = transport
        self._url = httpx.URL(f"{base_url.rstrip('/')}/moderations")
        self.identity = f"openai {self._url.copy_with(userinfo=b'')} {MODEL} {READING_VERSION}"
        self._timeout_s = timeout_s
        self._extensions = {"timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT_S).as_dict()}
        bearer = ((b"authorization", b"Bearer %b" % key.encode()),) if key else ()
        credentials = basic_credentials(self._url) or bearer
        self._headers = ((b"content-type", b"application/json"), (b"accept", b"application/json"), *credentials)

    async def review_image(self, data_url: bytes) -> Verdict:
        """Review one prepared image."""
        return await self._review(_ModerationRequest([_ImageInput(_Url(Raw(b'"%b"' % data_url)))]))

    async def review_text(self, text: str) -> Verdict:
        """Review one piece of text, a plain string in a call of its own."""
        return await self._review(_ModerationRequest(text))

    async def _review(self, reviewed: _ModerationRequest) -> Verdict:
        body = msgspec.json.encode(reviewed)
        request = http_request("POST", self._url, self._headers, body, self._extensions)
        return _verdict(await request_verdict(self._transport, request, self._timeout_s))


async def request_verdict(transport: httpx.AsyncBaseTransport, request: httpx.Request, timeout_s: float) -> bytes:
    """Send a request for a verdict, retries included, and return the body; raises ModerationUnavailable."""
    try:
        async with asyncio.timeout(timeout_s):
            response = await send_with_retries(transport, request, RETRIES)
            try:
                return await _read(response)
            finally:
                await response.aclose()
    except TimeoutError:
        raise unavailable(f"gave no verdict within {timeout_s:g} s") from None
    except (httpx.TransportError, httpx.DecodingError):
        raise unavailable("cannot be reached") from None


async def _read(response: httpx.Response) -> bytes:
    if response.status_code in {401, 403}:
        raise ModerationUnavailable(
            f"The moderation service rejected the gateway's own credentials (status {response.status_code}), so "
            "nothing was sent to the model. Not your fault: the operator must check OBSCURA_MODERATION_KEY."
        )
    if response.status_code in CONTENT_STATUSES:
        raise ContentRefused(_text(f"refused what it was to review (status {response.status_code})"))
    if response.status_code != 200:
        raise unavailable(f"failed with status {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_VERDICT_BYTES:
            raise unavailable(f"sent a verdict of over {MAX_VERDICT_BYTES:,} bytes")
    return bytes(body)


def _verdict(body: bytes) -> Verdict:
    """Read a verdict; a category that is hit counts as flagged even if ``flagged`` is false."""
    try:
        results = _verdicts.decode(body).results
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        results = []
    if not results:
        raise unavailable("sent no valid verdict")
    flagged = [result for result in results if result.flagged or any(result.categories.values())]
    scores = _scores(results)
    if not flagged:
        return Verdict(flagged=False, scores=scores)
    hits = [
        (result.category_scores.get(category) or 0.0, category)
        for result in flagged
        for category, hit in result.categories.items()
        if hit
    ]
    return Verdict(flagged=True, category=masked(max(hits)[1])[:MAX_CATEGORY_CHARS] if hits else None, scores=scores)


def _scores(results: list[_Result]) -> dict[str, float]:
    """Return the highest score of each category."""
    scores: dict[str, float] = {}
    for result in results:
        for category, score in result.category_scores.items():
            scores[category] = max(score or 0.0, scores.get(category, 0.0))
    return scores


def unavailable(why: str) -> ModerationUnavailable:
    """Return the error for a service that gives no verdict."""
    return ModerationUnavailable(_text(why))


def _text(why: str) -> str:
    return f"Nothing was sent to the model: the moderation service {why}. Try again in a while."
