"""What the bytes of a request's images say, noted before they are decoded and dropped."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from obscura.dialects.data_url import decode_base64
from obscura.execution import Caller, ImageExecutor
from obscura.files.stored_images import StoredOriginal
from obscura.imaging.file_facts import FileFacts, file_facts
from obscura.pipeline.prepare import InspectedImage, WalkedImage


@dataclass(frozen=True, slots=True)
class SentImage:
    """What the bytes of an image say; without them, nothing is known. ``sha256`` is in hexadecimal."""

    facts: FileFacts = field(default_factory=FileFacts)
    sha256: str | None = None


@dataclass(slots=True)
class SentImages:
    """The images of one request by their JSON paths; ``hashed`` and ``read`` say what is asked of their bytes.

    Of an image from the cache or of a stored one that was prepared before nothing is known: its bytes are gone.
    """

    executor: ImageExecutor
    caller: Caller
    max_bytes: int
    hashed: bool = False
    read: bool = True
    _sent: dict[str, SentImage] = field(default_factory=dict)

    async def on_loaded(self, images: Sequence[tuple[str, InspectedImage]]) -> None:
        """Note what the bytes of the images say, in the executor."""
        if images and (self.hashed or self.read):
            self._sent = await self.executor.run_light(
                lambda: {path: self._sent_image(image) for path, image in images}, self.caller
            )

    def at(self, path: str) -> SentImage:
        """Return what is known of the image at a path."""
        return self._sent.get(path, SentImage())

    def _sent_image(self, image: InspectedImage) -> SentImage:
        if not isinstance(image, WalkedImage):
            return SentImage()
        source = image.source
        if isinstance(source, StoredOriginal):
            data = source.data
        else:
            data = decode_base64(source, self.max_bytes) if isinstance(source, memoryview) else source
        return SentImage(
            file_facts(data, image.header.source_format) if self.read else FileFacts(),
            hashlib.sha256(data).hexdigest() if self.hashed else None,
        )
