"""What the bytes of a request's images say, noted before they are decoded and dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from obscura.dialects.data_url import decode_base64
from obscura.execution import Caller, ImageExecutor
from obscura.files.stored_images import StoredOriginal
from obscura.imaging.file_facts import FileFacts, file_facts
from obscura.pipeline.check_content import ContentCheck
from obscura.pipeline.prepare import InspectedImage, WalkedImage


@dataclass(slots=True)
class SentImages:
    """The facts of one request's images by their JSON paths; only where they are to be ``read`` are there any.

    Of an image from the cache or of a stored one that was prepared before nothing is known: its bytes are gone.
    """

    executor: ImageExecutor
    caller: Caller
    max_bytes: int
    read: bool = True
    _facts: dict[str, FileFacts] = field(default_factory=dict)

    async def on_loaded(self, images: Sequence[tuple[str, InspectedImage]]) -> None:
        """Note what the bytes of the images say, in the executor."""
        if images and self.read:
            self._facts = await self.executor.run_light(
                lambda: {path: self._facts_of(image) for path, image in images}, self.caller
            )

    def at(self, path: str) -> FileFacts:
        """Return what is known of the image at a path."""
        return self._facts.get(path, FileFacts())

    def _facts_of(self, image: InspectedImage) -> FileFacts:
        if not isinstance(image, WalkedImage):
            return FileFacts()
        source = image.source
        if isinstance(source, StoredOriginal):
            data = source.data
        else:
            data = decode_base64(source, self.max_bytes) if isinstance(source, memoryview) else source
        return file_facts(data, image.header.source_format)


def hashing(check: ContentCheck) -> ContentCheck:
    """Return a check of content whose images carry the SHA-256 of what was sent, stored ones too; none is cached."""
    services = check.services
    files = replace(services.file_service, hash_sources=True)
    return replace(
        check,
        services=replace(services, file_service=files),
        preparation=replace(check.preparation, cache=None, hash_sources=True),
    )
