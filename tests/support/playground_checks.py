"""Generate ``obscura/pages/checks.json``: ``python -m tests.support.playground_checks``.

Each message is taken from the code that raises it, called with numbers that stand nowhere else and then become the
names in braces.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from obscura.dialects.base import ContentLimits, ImageSlot
from obscura.dialects.json.fields import require_image_count, require_part_count
from obscura.errors import ObscuraError
from obscura.imaging import Detail, ImageError, ImageLimits
from obscura.imaging.container import UPRIGHT, ContainerInfo
from obscura.imaging.detect import _UNSUPPORTED, detect_format
from obscura.imaging.errors import corrupt
from obscura.imaging.formats import FORMATS, SUPPORTED_FORMATS
from obscura.imaging.formats.heic import _BRANDS
from obscura.imaging.limits import check_dimensions, check_raw_bytes
from obscura.pages.local_checks import CHECKS
from obscura.pipeline.read_body import _body_too_large

SIGNATURES: dict[str, list[tuple[int, bytes]]] = {
    "PNG": [(0, b"\x89PNG\r\n\x1a\n")],
    "JPEG": [(0, b"\xff\xd8\xff")],
    "WEBP": [(0, b"RIFF"), (8, b"WEBP")],
    "GIF": [(0, b"GIF8")],
    "TIFF": [(0, b"II*\0")],
    "BMP": [(0, b"BM"), (15, bytes(3))],
}
"""Of each format; AVIF and HEIC are known by the brands of their ``ftyp`` box."""


AN_IMAGE = ImageSlot("PATH", memoryview(b""), "auto", lambda _data_url: None)


def message_of(raises: Callable[[], object], **numbers: int | str) -> dict[str, str]:
    """Return the code and the message of an error, its numbers replaced by their names in braces."""
    try:
        raises()
    except (ObscuraError, ImageError) as error:
        code, text = error.code, error.message
    else:
        raise AssertionError("nothing was raised")
    for name, number in numbers.items():
        grouped = f"{number:,}" if isinstance(number, int) else ""
        form = grouped if grouped and grouped in text else str(number)
        assert form in text, (name, text)
        text = text.replace(form, f"{{{name},}}" if form != str(number) else f"{{{name}}}")
    return {"code": code, "text": text}


def generate() -> dict[str, Any]:
    """Return what the page checks, without the deployment's own limits."""
    limits = ImageLimits(raw_bytes=765_432, pixels=876_543, aspect_ratio=97)
    small = ContainerInfo(FORMATS["PNG"], 4321, 1234, UPRIGHT, False, ())
    capped = replace(small, source_format=replace(FORMATS["WEBP"], name="NAME", max_pixels=650_078))
    content = ContentLimits(content_parts=771)
    sides = {"width": 4321, "height": 1234}
    messages = {
        "empty": message_of(lambda: check_raw_bytes(0, limits)),
        "too_large": message_of(lambda: check_raw_bytes(987_654, limits), bytes=987_654, limit=765_432),
        "unknown_format": message_of(lambda: detect_format(b"?" * 64), formats=SUPPORTED_FORMATS),
        "known_format": message_of(lambda: detect_format(b"8BPS" + bytes(60)), name="PSD", formats=SUPPORTED_FORMATS),
        "too_many_pixels": message_of(lambda: check_dimensions(small, limits), **sides, limit=876_543),
        "too_many_pixels_of_format": message_of(
            lambda: check_dimensions(capped, replace(limits, pixels=10**9)), **sides, name="NAME", limit=650_078
        ),
        "aspect_ratio": message_of(
            lambda: check_dimensions(replace(small, width_px=4321, height_px=12), limits),
            width=4321,
            height=12,
            limit=97,
        ),
        "too_many_images": message_of(lambda: require_image_count([AN_IMAGE] * 888, 662), count=888, limit=662),
        "too_many_parts": message_of(
            lambda: require_part_count([b"{}"] * 999, "PATH", content), path="PATH", count=999, limit=771
        ),
        "body_too_large": message_of(lambda: _raise(_body_too_large(987_654)), limit=987_654),
        "cut_short": message_of(lambda: _raise(corrupt("NAME", "is cut short")), name="NAME"),
    }
    return {
        "formats": [
            {
                "name": known.name,
                "media_type": known.media_type,
                "max_pixels": known.max_pixels,
                "package": known.package,
            }
            for known in FORMATS.values()
        ],
        "signatures": {name: [[at, found.hex()] for at, found in parts] for name, parts in SIGNATURES.items()},
        "heic_brands": sorted(brand.decode() for brand in _BRANDS),
        "unsupported": [[signature.hex(), name] for signature, name in _UNSUPPORTED],
        "messages": messages,
        "limits": {
            "aspect_ratio": ImageLimits().aspect_ratio,
            "content_parts": ContentLimits().content_parts,
            "longest_side_px": {detail.value: detail.longest_side_px for detail in Detail},
        },
    }


def _raise(error: Exception) -> None:
    raise error


def main() -> None:
    """Write the file."""
    CHECKS.write_text(json.dumps(generate(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
