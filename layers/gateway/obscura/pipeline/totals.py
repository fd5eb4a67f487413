"""What a request has of images and text in all, the pages of its documents among them."""

from collections.abc import Sequence

from obscura.dialects.base import RequestContent
from obscura.errors import TooManyImages
from obscura.pipeline.image_history import image_limit
from obscura.pipeline.moderate import require_text_length
from obscura.pipeline.services import RequestLimits


class Totals:
    """What a request has of images and text when the pages of its documents are counted too."""

    def __init__(
        self, parsed: RequestContent, limits: RequestLimits, max_images: int | None, *, anonymous: bool
    ) -> None:
        """Count each document as one page until its pages are known; raises TooManyImages.

        ``max_images`` are what the model's upstream takes.
        """
        self._max_images = image_limit(limits.content, max_images)
        self._images = len(parsed.images)
        self._texts = list(parsed.texts)
        self._limits = limits
        self._anonymous = anonymous
        self._add(len(parsed.documents))

    def add_pages(self, pages: int) -> None:
        """Count the pages of a document; raises TooManyImages."""
        self._add(pages - 1)

    def _add(self, pages: int) -> None:
        self._images += pages
        if self._images > self._max_images:
            raise TooManyImages(
                f"The request has {self._images} images, each page of a document counted as one; "
                f"{self._max_images} are allowed. Send fewer pages, or split it."
            )

    def add_texts(self, texts: Sequence[str]) -> None:
        """Count the texts of a document's pages; raises RequestTooLarge."""
        self._texts += texts
        require_text_length(self._texts, self._limits.text_chars, anonymous=self._anonymous)
