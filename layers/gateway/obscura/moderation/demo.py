"""Demo moderator: it flags one word and one test image, so that a newcomer can see a blocked request."""

import asyncio

import pybase64

from obscura.moderation.base import Verdict
from obscura.upstreams.demo import is_test_image

MARKER_WORD = "OBSCURA-BLOCK-ME"
CATEGORY = "demo/test"


class DemoModerator:
    """Flags ``MARKER_WORD`` in any text, and the plain magenta test image; everything else is clean."""

    identity = f"demo {MARKER_WORD}"
    local = True

    async def review_image(self, data_url: bytes) -> Verdict:
        """Flag the test image."""
        _, _, encoded = data_url.partition(b",")
        return _verdict(await asyncio.to_thread(is_test_image, pybase64.b64decode(encoded)))

    async def review_text(self, text: str) -> Verdict:
        """Flag the marker word."""
        await asyncio.sleep(0)  # a long text has hundreds of pieces: other requests go on between two of them
        return _verdict(MARKER_WORD.lower() in text.lower())


def _verdict(flagged: bool) -> Verdict:
    return Verdict(flagged, CATEGORY if flagged else None)
