"""Compare each prepared image with the operator's hash lists before it is moderated (docs/hash-matching.md)."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obscura.access_record import AccessRecord
from obscura.dialects.data_url import base64_of, decode_base64
from obscura.execution import Caller, ImageExecutor
from obscura.pipeline.moderate import blocked
from obscura.pipeline.prepare import PreparedImagePart

if TYPE_CHECKING:
    from obscura.hashes.blocked import BlockedHashes, HashMatch, ImageHashes


@dataclass(frozen=True, slots=True)
class KnownImages:
    """The hash lists as one request meets them."""

    lists: "BlockedHashes"
    executor: ImageExecutor
    caller: Caller
    record: AccessRecord

    async def require_unlisted(self, image: PreparedImagePart) -> None:
        """Raise ModerationBlocked, in the words of any block, if the image is on a list; the log has the event."""
        self.lists.look_for_changes()
        match = await self.executor.run(lambda: self._match(image), self.caller)
        if match is None:
            return
        # As after a moderation, the free tier's request is not released.
        self.record.left_gateway = True
        facts: dict[str, object] = {
            "list": match.location,
            "category": match.category,
            "hash_type": match.hash_type.value,
            "distance": match.distance,
        }
        self.record.events.append(("hash_match", facts))
        raise blocked(image.name, match.category, image.path)

    def _match(self, image: PreparedImagePart) -> "HashMatch | None":
        return self.lists.match(self._hashes(image))

    def _hashes(self, image: PreparedImagePart) -> "ImageHashes":
        from obscura.hashes.blocked import ImageHashes

        encoded = base64_of(memoryview(image.data_url))
        data = decode_base64(encoded, len(encoded))
        sources = [bytes.fromhex(image.source_sha256)] if image.source_sha256 else []
        sha256 = [*sources, hashlib.sha256(data).digest()]
        if not self.lists.needs_pdq:
            return ImageHashes(sha256)
        from obscura.imaging.pdq import pdq_hash

        pdq = pdq_hash(data, dihedral=self.lists.needs_dihedral)
        return ImageHashes(sha256, pdq.forms, pdq.quality)
