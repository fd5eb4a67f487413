"""The one exception that leaves this room."""

from typing import Literal

ErrorCode = Literal[
    "unsupported_image_format",
    "invalid_image",
    "image_too_large",
    "image_too_many_pixels",
    "unsupported_image_dimensions",
]


class ImageError(Exception):
    """An image that is not let through.

    ``code`` is the API's error code, ``message`` says what was wrong, the limit and the way out and never echoes a
    byte of the image, ``limit`` is the number that was passed (bytes, pixels, or the n of n:1), where there is one.
    """

    def __init__(self, code: ErrorCode, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.limit = limit


def corrupt(source_format: str, what: str) -> ImageError:
    """Return the ``invalid_image`` refusal for a file of a known format: what is wrong with it, and the way out."""
    return ImageError("invalid_image", f"The {source_format} image {what}. Send the whole, undamaged file.")
