"""What a file holds beside its pixels: animation, transparency, metadata; None for what its structure does not say."""

import io
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from obscura.imaging.file_facts import FileFacts, file_facts

EXIF = Image.Exif()
EXIF[0x010E] = "a description"
TEXT = PngImagePlugin.PngInfo()
TEXT.add_text("Comment", "hello")


def written(mode: str, format_name: str, frames: int = 1, **options: Any) -> bytes:
    """Write an image of some frames, each of its own colour, so that none is merged into another."""
    images = [Image.new("RGBA", (8, 8), (40 * number, 0, 200, 128)).convert(mode) for number in range(frames)]
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    output = io.BytesIO()
    images[0].save(output, format_name, **options)
    return output.getvalue()


@pytest.mark.parametrize(
    ("data", "source_format", "facts"),
    [
        (written("RGB", "PNG"), "PNG", FileFacts(False, False, False)),
        (written("RGBA", "PNG"), "PNG", FileFacts(False, True, False)),
        (written("RGB", "PNG", transparency=(1, 2, 3)), "PNG", FileFacts(False, True, False)),
        (written("RGB", "PNG", pnginfo=TEXT), "PNG", FileFacts(False, False, True)),
        (written("RGB", "PNG") + b"more", "PNG", FileFacts(False, False, True)),
        (written("RGB", "PNG", frames=3), "PNG", FileFacts(True, False, False)),
        (written("RGB", "JPEG"), "JPEG", FileFacts(False, False, False)),
        (written("RGB", "JPEG", exif=EXIF), "JPEG", FileFacts(False, False, True)),
        (written("RGB", "JPEG", comment=b"hello"), "JPEG", FileFacts(False, False, True)),
        (written("RGB", "JPEG") + b"more", "JPEG", FileFacts(False, False, True)),
        (written("RGB", "JPEG", icc_profile=b"x" * 200), "JPEG", FileFacts(False, False, False)),
        (written("RGB", "WEBP"), "WEBP", FileFacts(False, False, False)),
        (written("RGB", "WEBP", lossless=True), "WEBP", FileFacts(False, False, False)),
        (written("RGBA", "WEBP", lossless=True), "WEBP", FileFacts(False, True, False)),
        (written("RGBA", "WEBP", frames=3), "WEBP", FileFacts(True, True, False)),
        (written("RGB", "WEBP", exif=EXIF), "WEBP", FileFacts(False, False, True)),
        (written("P", "GIF"), "GIF", FileFacts(False, False, False)),
        # Pillow writes what does not change from frame to frame as transparent.
        (written("P", "GIF", frames=3), "GIF", FileFacts(True, True, False)),
        (written("P", "GIF", transparency=0), "GIF", FileFacts(False, True, False)),
        (written("P", "GIF", comment=b"hello"), "GIF", FileFacts(False, False, True)),
        (written("P", "GIF", frames=2, loop=0), "GIF", FileFacts(True, True, False)),
        (written("RGB", "BMP"), "BMP", FileFacts()),
        (b"GIF89a", "GIF", FileFacts()),
    ],
)
def test_the_facts_of_a_file(data: bytes, source_format: str, facts: FileFacts) -> None:
    assert file_facts(data, source_format) == facts
