"""The one exception that leaves this room."""

from typing import Literal

RefusalCode = Literal[
    "unsupported_image_format",
    "invalid_image",
    "image_too_large",
    "image_too_many_pixels",
    "unsupported_image_dimensions",
]


class ImageRefused(Exception):
    """A picture that is not let through.

    ``code`` is the API's error code, ``message`` says what was wrong, the limit and the way out and never echoes a
    byte of the picture, ``limit`` is the number that was passed (bytes, pixels, or the n of n:1), where there is one.
    """

    def __init__(self, code: RefusalCode, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.code: RefusalCode = code
        self.message = message
        self.limit = limit


def broken(source_format: str, what: str) -> ImageRefused:
    """Return the ``invalid_image`` refusal for a file of a known format: what is wrong with it, and the way out."""
    return ImageRefused("invalid_image", f"The {source_format} image {what}. Send the whole, undamaged file.")
