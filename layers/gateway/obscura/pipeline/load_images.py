"""Load the images and videos of a request, each by itself. Base64 stays encoded until the image is prepared."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from obscura.auth.access import Principal
from obscura.dialects.base import DocumentSlot, ImageSlot, ParsedRequest, RequestContent, SourceKind, VideoSlot
from obscura.dialects.data_url import base64_of, decode_base64, encode_data_url, is_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.dialects.media import MediaKind, media_kind
from obscura.errors import (
    ImageTooLarge,
    InvalidImageUrl,
    InvalidRequest,
    ObscuraError,
    TooManyImages,
    VideoAnonBlocked,
)
from obscura.execution import Caller, ImageExecutor, gather_or_raise_first
from obscura.fetch.base import FetchAllowance, ImageFetcher
from obscura.files.stored_images import StoredOriginal
from obscura.imaging import PreparedImage

type LoadedImage = memoryview | bytes | PreparedImage | StoredOriginal
"""Base64 still in its JSON string, fetched bytes, or a stored image: prepared already, or at its first use."""

MAX_URL_CHARS = 16 * 1024


class StoredImageSource(Protocol):
    """The stored images of the caller's project."""

    async def find(self, file_id: str, detail: str) -> PreparedImage | StoredOriginal:
        """Return a stored image, prepared for a detail or as it was sent; raises FileNotFound or RetentionConflict."""
        ...


def require_few_urls(parsed: RequestContent, max_urls: int) -> None:
    """Raise TooManyImages if a request names more than ``max_urls`` files by URL, before any is fetched."""
    slots: list[ImageSlot | DocumentSlot | VideoSlot] = [*parsed.images, *parsed.documents, *parsed.videos]
    if len(slots) <= max_urls:
        return
    fetched = [slot.path for slot in slots if _is_fetched(slot)]
    if len(fetched) > max_urls:
        raise TooManyImages(
            f"The request names {len(fetched)} images, documents and videos by URL; {max_urls} are fetched at most. "
            "Send fewer, or split it.",
            param=fetched[max_urls],
        )


def _is_fetched(slot: ImageSlot | DocumentSlot | VideoSlot) -> bool:
    kind = SourceKind.URL if isinstance(slot, VideoSlot) else slot.kind
    return kind is SourceKind.URL and not is_data_url(slot.source)


def inline_image(slot: ImageSlot) -> memoryview | bytes | None:
    """Return the base64 of an image that stands in the request itself, or its bytes if they do; None of any other.

    Raises InvalidImageUrl with the path of the slot as param.
    """
    if slot.kind is SourceKind.BASE64:
        return slot.source
    if slot.kind is SourceKind.FILE:
        return slot.source.obj if isinstance(slot.source.obj, bytes) else bytes(slot.source)
    if slot.kind is not SourceKind.URL or not is_data_url(slot.source):
        return None
    try:
        return base64_of(slot.source)
    except ObscuraError as error:
        raise error.at(slot.path) from None


async def load_image(
    slot: ImageSlot, fetcher: ImageFetcher, stored: StoredImageSource, allowance: FetchAllowance
) -> LoadedImage:
    """Return the image of a slot that is not inline; raises an error with the path of the slot as param."""
    try:
        if slot.kind is SourceKind.FILE_ID:
            return await stored.find(decode_string(slot.source), slot.detail)
        if len(slot.source) > MAX_URL_CHARS:
            raise InvalidImageUrl("The image URL is too long. Send an https URL or a base64 data URL.")
        return await fetcher.fetch(decode_string(slot.source), allowance)
    except ObscuraError as error:
        raise error.at(slot.path) from None


MAX_VIDEO_BYTES = 25 * 1024 * 1024


def require_video_allowed(principal: Principal, parsed: ParsedRequest) -> None:
    """Raise VideoAnonBlocked if an anonymous caller sends a video."""
    if principal.anonymous and parsed.videos:
        raise VideoAnonBlocked("Videos need an API key; the free tier takes images.", param=parsed.videos[0].path)


@dataclass(frozen=True, slots=True)
class VideoSources:
    """Where the videos of one request come from."""

    fetcher: ImageFetcher
    executor: ImageExecutor
    caller: Caller
    allowance: FetchAllowance


async def inline_videos(slots: Sequence[VideoSlot], sources: VideoSources) -> None:
    """Replace each video by a data URL, so that the upstream fetches nothing; raises what loading an image raises.

    Raises InvalidRequest for anything but MP4, WebM and MOV of at most ``MAX_VIDEO_BYTES``.
    """
    data_urls = await gather_or_raise_first([_load_video(slot, sources) for slot in slots])
    for slot, data_url in zip(slots, data_urls, strict=True):
        slot.replace(data_url)


async def _load_video(slot: VideoSlot, sources: VideoSources) -> bytes:
    try:
        if is_data_url(slot.source):
            encoded = base64_of(slot.source)
            return await sources.executor.run_light(
                lambda: _video_data_url(decode_base64(encoded, MAX_VIDEO_BYTES)), sources.caller
            )
        video = await sources.fetcher.fetch(decode_string(slot.source), sources.allowance)
        return await sources.executor.run_light(partial(_video_data_url, video), sources.caller)
    except ImageTooLarge:
        raise ImageTooLarge(
            f"The video has more than {MAX_VIDEO_BYTES:,} bytes, the limit for one. Send a shorter or a smaller one.",
            param=slot.path,
        ) from None
    except ObscuraError as error:
        raise error.at(slot.path) from None


def _video_data_url(video: bytes) -> bytes:
    return encode_data_url(video, _video_media_type(video))


def _video_media_type(video: bytes) -> str:
    """Detect the format of a video by its bytes: ISO/IEC 14496-12 §4.3 for MP4 and MOV, RFC 9559 §4 for WebM."""
    if media_kind(video[:64]) is not MediaKind.RECORDING and video[4:8] == b"ftyp":
        raise InvalidRequest("The video is an image. Send it as an image_url part.")
    if video[4:8] == b"ftyp":
        return "video/quicktime" if video[8:12] == b"qt  " else "video/mp4"
    if video[4:8] in {b"moov", b"mdat", b"wide"}:
        return "video/quicktime"
    if video[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in video[:64]:
        return "video/webm"
    raise InvalidRequest("The video is not an MP4, WebM or MOV. Convert it to one of them.")
