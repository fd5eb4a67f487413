"""Images left out of a long conversation: each becomes a text that says so, and the request holds it no longer."""

from dataclasses import replace

from obscura.dialects.base import DocumentSlot
from obscura.dialects.content import RequestContent


def notice(number: int, images: int) -> str:
    """Return the text in the place of image ``number``, counted from 1, of all ``images`` of a request."""
    return f"[image {number} of {images} left out by the gateway]"


def leave_out_images(content: RequestContent, count: int) -> int:
    """Leave the first ``count`` images out that stand where a text can stand; return how many there were.

    Each stays in its place as a text part; ``content`` keeps the slots of the others.
    """
    total, left_out = len(content.images), 0
    kept, kept_before = [], [0]
    for number, slot in enumerate(content.images, 1):
        if left_out < count and slot.takes_text:
            slot.replace(notice(number, total))
            left_out += 1
        else:
            kept.append(slot)
        kept_before.append(len(kept))

    def moved(document: DocumentSlot) -> DocumentSlot:
        return replace(document, images_before=kept_before[document.images_before])

    content.images[:] = kept
    content.documents[:] = map(moved, content.documents)
    return left_out
