"""Prepare images that keep their alpha: those to be edited, and their mask (ADR 182)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from obscura.auth.access import Principal
from obscura.dialects.base import ImageSlot, SourceKind
from obscura.dialects.data_url import decode_base64, encode_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.errors import InvalidRequest, ObscuraError, UnsupportedImageFormat
from obscura.files.service import find_file, image_error, read_original, require_storage_allowed
from obscura.files.stored_images import StoredOriginal
from obscura.imaging import Detail, ImageError
from obscura.imaging.alpha import AlphaImage, may_have_alpha, prepare_edited, prepare_mask
from obscura.imaging.resize import SWAPPING_ORIENTATIONS
from obscura.pipeline.image_cache import CachedImage
from obscura.pipeline.prepare import InspectedImage, Preparation, PreparedImagePart, WalkedImage, record_of
from obscura.pipeline.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPreparation(Preparation):
    """Prepares images to be edited, of which ``sent`` has those that keep their alpha, as data URLs by path.

    Moderation gets their colours alone. The mask is made to the size of the first image, which ``sizes`` has by then.
    """

    first_path: str
    mask_path: str | None
    sent: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    source_sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    first_done: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def over(cls, ordinary: Preparation, first_path: str, mask_path: str | None) -> "EditPreparation":
        """Return the preparation of an edit; nothing of it is cached, since the cache has flattened images."""
        return cls(
            ordinary.model,
            ordinary.limits,
            ordinary.executor,
            ordinary.caller,
            None,
            ordinary.hash_sources,
            first_path=first_path,
            mask_path=mask_path,
        )

    async def prepare(self, path: str, detail: str, image: InspectedImage) -> PreparedImagePart:
        """Prepare an image or the mask; raises an error with its path as param."""
        if isinstance(image, WalkedImage):
            self.source_sizes[path] = _upright_size(image)
        if path == self.mask_path:
            await self.first_done.wait()
            self._require_same_shape(path)
        part = await Preparation.prepare(self, path, detail, image)
        if path == self.first_path:
            self.first_done.set()
        return part

    def _decode(self, path: str, detail: Detail, image: WalkedImage) -> CachedImage:
        kept = self._with_alpha(path, image)
        if kept is None:
            prepared = Preparation._decode(self, path, detail, image)
        else:
            made, file = kept
            self.sent[path] = encode_data_url(made.data, "image/png")
            record = record_of(image.header, len(made.data), (made.width_px, made.height_px))
            prepared = CachedImage(
                encode_data_url(made.colours, "image/png"), made.width_px, made.height_px, record, self._hash_of(file)
            )
        self.sizes[path] = (prepared.width_px, prepared.height_px)
        return prepared

    def _with_alpha(self, path: str, image: WalkedImage) -> tuple[AlphaImage, bytes] | None:
        try:
            file = self._bytes_of(image)
            if path == self.mask_path:
                return prepare_mask(file, image.header, self.sizes[self.first_path], self.limits), file
            if not may_have_alpha(file, image.header):
                return None
            made = prepare_edited(file, image.header, self.limits)
        except ImageError as error:
            raise image_error(error, path) from None
        except ObscuraError as error:
            raise error.at(path) from None
        return None if made is None else (made, file)

    def _bytes_of(self, image: WalkedImage) -> bytes:
        source = image.source
        if isinstance(source, StoredOriginal):
            raise TypeError("the files of an edit are loaded before")
        return decode_base64(source, self.limits.raw_bytes) if isinstance(source, memoryview) else source

    def _require_same_shape(self, path: str) -> None:
        """Raise InvalidRequest unless the mask has the aspect ratio of the first image, but for a pixel of rounding."""
        (width, height), (mask_width, mask_height) = self.source_sizes[self.first_path], self.source_sizes[path]
        off = abs(mask_width * height - mask_height * width)
        if off > max(width, height, mask_width, mask_height):
            raise InvalidRequest(
                f"The mask is {mask_width} x {mask_height} px, and the first image {width} x {height}. Send a mask of "
                "the image's own size, or of its aspect ratio.",
                param=path,
            )


def _upright_size(image: WalkedImage) -> tuple[int, int]:
    info = image.header.info
    size = (info.width_px, info.height_px)
    return (size[1], size[0]) if info.orientation in SWAPPING_ORIENTATIONS else size


async def with_originals(slots: Sequence[ImageSlot], principal: Principal, services: Services) -> list[ImageSlot]:
    """Return the slots with the bytes of stored files in them: the stored prepared forms have no alpha.

    Raises FileNotFound, RetentionConflict, MissingCredentials or UnsupportedImageFormat, with the path as param.
    """
    return [
        slot if slot.kind is not SourceKind.FILE_ID else await _with_original(slot, principal, services)
        for slot in slots
    ]


async def _with_original(slot: ImageSlot, principal: Principal, services: Services) -> ImageSlot:
    try:
        if not principal.anonymous:
            require_storage_allowed(principal)
        file = await find_file(decode_string(slot.source), principal, services.storage, services.clock.now())
        if not file.media_type.startswith("image/"):
            raise UnsupportedImageFormat("The file is a PDF. Images are edited, not documents.")
        original = await read_original(file, services.storage)
    except ObscuraError as error:
        raise error.at(slot.path) from None
    return replace(slot, source=memoryview(original), kind=SourceKind.FILE)
