"""Load the images and videos of a request, each by itself. Base64 stays encoded until the image is prepared."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from obscura.auth.access import Principal
from obscura.dialects.base import ImageSlot, ParsedRequest, SourceKind, VideoSlot
from obscura.dialects.data_url import base64_of, decode_base64, encode_data_url, is_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.dialects.media import MediaKind, media_kind
from obscura.errors import ImageTooLarge, InvalidImageUrl, InvalidRequest, ObscuraError, VideoAnonBlocked
from obscura.execution import ImageExecutor, gather_or_raise_first
from obscura.fetch.base import ImageFetcher
from obscura.imaging import PreparedImage

type LoadedImage = memoryview | bytes | PreparedImage
"""Base64 still in its JSON string, fetched bytes, or a stored image, which is prepared already."""

MAX_URL_CHARS = 16 * 1024


class StoredImageSource(Protocol):
    """The stored images of the caller's project."""

    async def prepared(self, file_id: str, detail: str) -> PreparedImage:
        """Return a stored image, prepared for a detail; raises FileNotFound or RetentionConflict."""
        ...


async def load_image(slot: ImageSlot, fetcher: ImageFetcher, stored: StoredImageSource) -> LoadedImage:
    """Return the source of one slot; raises an error with the path of the slot as param."""
    try:
        if slot.kind is SourceKind.BASE64:
            return slot.source
        if slot.kind is SourceKind.FILE_ID:
            return await stored.prepared(decode_string(slot.source), slot.detail)
        if is_data_url(slot.source):
            return base64_of(slot.source)
        if len(slot.source) > MAX_URL_CHARS:
            raise InvalidImageUrl("The image URL is too long. Send an https URL or a base64 data URL.")
        return await fetcher.fetch(decode_string(slot.source))
    except ObscuraError as error:
        raise error.at(slot.path) from None


MAX_VIDEO_BYTES = 25 * 1024 * 1024


def require_video_allowed(principal: Principal, parsed: ParsedRequest) -> None:
    """Raise VideoAnonBlocked if an anonymous caller sends a video."""
    if principal.anonymous and parsed.videos:
        raise VideoAnonBlocked("Videos need an API key; the free tier takes images.", param=parsed.videos[0].path)


async def inline_videos(slots: Sequence[VideoSlot], fetcher: ImageFetcher, executor: ImageExecutor) -> None:
    """Replace each video by a data URL, so that the upstream fetches nothing; raises what loading an image raises.

    Raises InvalidRequest for anything but MP4, WebM and MOV of at most ``MAX_VIDEO_BYTES``.
    """
    data_urls = await gather_or_raise_first([_load_video(slot, fetcher, executor) for slot in slots])
    for slot, data_url in zip(slots, data_urls, strict=True):
        slot.replace(data_url)


async def _load_video(slot: VideoSlot, fetcher: ImageFetcher, executor: ImageExecutor) -> bytes:
    try:
        if is_data_url(slot.source):
            encoded = base64_of(slot.source)
            return await executor.run(lambda: _video_data_url(decode_base64(encoded, MAX_VIDEO_BYTES)))
        video = await fetcher.fetch(decode_string(slot.source))
        return await executor.run(partial(_video_data_url, video))
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
