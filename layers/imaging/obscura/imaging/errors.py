"""The one exception that this package raises."""

from typing import Literal

ErrorCode = Literal[
    "unsupported_image_format",
    "invalid_image",
    "image_too_large",
    "image_too_many_pixels",
    "unsupported_image_dimensions",
]


class ImageError(Exception):
    """An image that is not accepted.

    ``code`` is the API's error code. ``message`` says what was wrong, the limit and what to do instead, and never
    echoes a byte of the image. ``limit`` is the number that was exceeded (bytes, pixels, or the n of n:1), if any.
    """

    def __init__(self, code: ErrorCode, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.limit = limit


def corrupt(format_name: str, what: str) -> ImageError:
    """Return the ``invalid_image`` error for a file of a known format: what is wrong with it, and what to do."""
    return ImageError("invalid_image", f"The {format_name} image {what}. Send the whole, undamaged file.")
