"""Videos: fetched and bounded like pictures, known by their bytes, and passed on as they are to whom they may be."""

from functools import partial

from obscura.errors import ImageTooLarge, InvalidRequest, ObscuraError, VideoAnonBlocked
from obscura.pipeline.admit import Caller
from obscura.pipeline.concurrently import first_failure_of
from obscura.pipeline.workshop import Workshop
from obscura.ports import ImageSource
from obscura.wire.data_url import base64_of, decode_base64, encode_data_url, is_data_url
from obscura.wire.dialect import Ask, VideoSlot
from obscura.wire.json_text import unescape

MAX_VIDEO_BYTES = 25 * 1024 * 1024


def check_caller(caller: Caller, ask: Ask) -> None:
    """Keep anonymous callers from videos; raises VideoAnonBlocked."""
    if caller.anonymous and ask.video_slots:
        raise VideoAnonBlocked("Videos need an API key; the free tier takes pictures.", param=ask.video_slots[0].path)


async def pass_videos(ask: Ask, videos: ImageSource, workshop: Workshop) -> None:
    """Put each video in place as a data URL, so that nobody fetches it again; raises what loading a picture raises.

    Raises InvalidRequest for anything but MP4, WebM and MOV of at most ``MAX_VIDEO_BYTES``.
    """
    data_urls = await first_failure_of([_load(slot, videos, workshop) for slot in ask.video_slots])
    for slot, data_url in zip(ask.video_slots, data_urls, strict=True):
        slot.replace(data_url)


async def _load(slot: VideoSlot, videos: ImageSource, workshop: Workshop) -> bytes:
    try:
        if is_data_url(slot.source):
            encoded = base64_of(slot.source)
            return await workshop.run(lambda: _data_url(decode_base64(encoded, MAX_VIDEO_BYTES)))
        video = await videos.fetch(unescape(slot.source))
        return await workshop.run(partial(_data_url, video))
    except ImageTooLarge:
        raise ImageTooLarge(
            f"The video has more than {MAX_VIDEO_BYTES:,} bytes, the limit for one. Send a shorter or a smaller one.",
            param=slot.path,
        ) from None
    except ObscuraError as refusal:
        refusal.param = slot.path
        raise


def _data_url(video: bytes) -> bytes:
    return encode_data_url(video, _media_type(video))


def _media_type(video: bytes) -> str:
    """Know a video by its bytes: ISO/IEC 14496-12 §4.3 for MP4 and MOV, RFC 9559 §4 for WebM."""
    if video[4:8] == b"ftyp":
        return "video/quicktime" if video[8:12] == b"qt  " else "video/mp4"
    if video[4:8] in {b"moov", b"mdat", b"wide"}:
        return "video/quicktime"
    if video[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in video[:64]:
        return "video/webm"
    raise InvalidRequest("The video is not an MP4, WebM or MOV. Convert it to one of them.")
