"""Load the PDFs of a request and render their pages: each becomes an image like any other, and its text goes along."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from obscura.access_record import ImageRecord
from obscura.auth.access import Principal
from obscura.dialects.base import DocumentSlot, SourceKind
from obscura.dialects.data_url import base64_of, decode_base64, is_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.dialects.media import MediaKind, media_kind
from obscura.documents.base import DocumentLimits, require_pdf
from obscura.documents.page import RenderedPage
from obscura.documents.render import DocumentRenderer
from obscura.errors import (
    DocumentTooLarge,
    ImageTooLarge,
    InvalidDocument,
    InvalidImage,
    InvalidImageUrl,
    ObscuraError,
)
from obscura.fetch.base import FetchAllowance, ImageFetcher
from obscura.files.service import image_error
from obscura.files.stored_documents import StoredDocuments
from obscura.files.stored_images import StoredImages, StoredOriginal
from obscura.imaging import Detail, ImageError, PreparedImage, prepare
from obscura.pipeline.image_cache import CachedImage
from obscura.pipeline.load_images import MAX_URL_CHARS, LoadedImage
from obscura.pipeline.prepare import ImageToInspect, InspectedImage, Preparation, PreparedImagePart, image_part
from obscura.pipeline.services import Services


@dataclass(frozen=True, slots=True)
class DocumentSources:
    """Where the documents of one request come from, what renders them, and the limits of documents and of pages."""

    fetcher: ImageFetcher
    stored: StoredDocuments
    images: StoredImages
    renderer: DocumentRenderer
    preparation: Preparation
    limits: DocumentLimits
    allowance: FetchAllowance


def document_sources(
    principal: Principal, services: Services, preparation: Preparation, allowance: FetchAllowance
) -> DocumentSources:
    """Return the sources of the documents of one request."""
    return DocumentSources(
        fetcher=services.document_files,
        stored=StoredDocuments(principal, services.file_service),
        images=StoredImages(principal, services.file_service, preparation.limits.output),
        renderer=services.documents,
        preparation=preparation,
        limits=services.limits.document,
        allowance=allowance,
    )


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document whose bytes are there: a PDF that is still to be rendered, or an image that was inspected."""

    slot: DocumentSlot
    content: bytes | InspectedImage

    @property
    def image(self) -> InspectedImage | None:
        """The image that it turned out to be."""
        return None if isinstance(self.content, bytes) else self.content


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """The pages of a document as prepared images, and the text of each, in order."""

    slot: DocumentSlot
    images: Sequence[PreparedImagePart]
    texts: Sequence[str]

    def replace_slot(self) -> None:
        """Write the pages into the request in place of the document: the very images and texts that were moderated."""
        self.slot.replace([image.written for image in self.images], self.texts)


async def load_document(slot: DocumentSlot, sources: DocumentSources) -> LoadedDocument:
    """Load a document, and check what can be checked before anything is rendered or decoded.

    Raises the errors of loading an image, InvalidDocument or DocumentTooLarge, with the slot's path as param.
    """
    with _document_errors(slot):
        source = await _stored_image(slot, sources) or await _load(slot, sources)
        if not isinstance(source, bytes):
            return LoadedDocument(slot, await _inspected(slot, source, sources))
        if slot.kind is SourceKind.URL and media_kind(source[:64]) is MediaKind.IMAGE:
            return LoadedDocument(slot, await _inspected(slot, source, sources))
        limits = sources.limits
        require_pdf(source, limits.stored_bytes if slot.kind is SourceKind.FILE_ID else limits.raw_bytes)
        return LoadedDocument(slot, source)


async def _inspected(slot: DocumentSlot, source: LoadedImage, sources: DocumentSources) -> InspectedImage:
    [image] = await sources.preparation.inspect([ImageToInspect(slot.path, slot.detail, source)])
    return image


async def prepare_document(
    document: LoadedDocument, add_pages: Callable[[int], None], sources: DocumentSources, *, decoded: bool
) -> PreparedDocument:
    """Prepare the pages of a document; an image or pages that are not to be ``decoded`` are only counted.

    ``add_pages`` gets their number before any is rendered, and raises TooManyImages if the request has too many.
    Raises that, the errors of an image, InvalidDocument or DocumentTooLarge, with the slot's path as param.
    """
    slot, preparation = document.slot, sources.preparation
    with _document_errors(slot):
        if not isinstance(document.content, bytes):
            add_pages(1)
            if decoded:
                part = await preparation.prepare(slot.path, slot.detail, document.content)
            else:
                part = preparation.count(slot.path, slot.detail, document.content)
            return PreparedDocument(slot, [part], [""])
        pages = await sources.renderer.render(
            document.content,
            longest_side_px=preparation.limits.longest_side_px(Detail(slot.detail)),
            limits=sources.limits,
            caller=preparation.caller,
            prepare=(_page_preparer if decoded else _page_counter)(slot, len(document.content), preparation),
            check_pages=add_pages,
            rendered=decoded,
        )
    return PreparedDocument(slot, [image for image, _ in pages], [text for _, text in pages])


@contextmanager
def _document_errors(slot: DocumentSlot) -> Iterator[None]:
    """Add the path of the document to errors, and write "document" in those of images."""
    try:
        yield
    except (ImageTooLarge, InvalidImage) as error:
        kind = DocumentTooLarge if isinstance(error, ImageTooLarge) else InvalidDocument
        raise kind(error.message.replace("image", "document"), param=slot.path) from None
    except ObscuraError as error:
        raise error.at(slot.path) from None


async def _stored_image(slot: DocumentSlot, sources: DocumentSources) -> PreparedImage | StoredOriginal | None:
    """Return the image that a file id names; None if it names a document."""
    if slot.kind is not SourceKind.FILE_ID:
        return None
    file_id = decode_string(slot.source)
    return None if await sources.stored.is_document(file_id) else await sources.images.find(file_id, slot.detail)


async def _load(slot: DocumentSlot, sources: DocumentSources) -> bytes:
    if slot.kind is SourceKind.FILE_ID:
        return await sources.stored.original(decode_string(slot.source))
    if slot.kind is SourceKind.BASE64:
        encoded = slot.source
    elif is_data_url(slot.source):
        try:
            encoded = base64_of(slot.source)
        except InvalidImageUrl:
            raise InvalidDocument(
                "The data URL must be base64: 'data:application/pdf;base64,' and the document's bytes."
            ) from None
    elif len(slot.source) > MAX_URL_CHARS:
        raise InvalidImageUrl("The document's URL is too long. Send an https URL or a base64 data URL.")
    else:
        return await sources.fetcher.fetch(decode_string(slot.source), sources.allowance)
    try:
        decode = partial(decode_base64, encoded, sources.limits.raw_bytes)
        return await sources.preparation.executor.run_light(decode, sources.preparation.caller)
    except ImageTooLarge:
        raise DocumentTooLarge(
            f"The document has more than {sources.limits.raw_bytes:,} bytes, the limit. "
            f"Store it as a file ({sources.limits.stored_bytes:,} bytes are allowed there), or send fewer pages."
        ) from None


def _page_preparer(
    slot: DocumentSlot, document_bytes: int, preparation: Preparation
) -> Callable[[RenderedPage], tuple[PreparedImagePart, str]]:
    detail, limits = Detail(slot.detail), preparation.limits
    # What a document may have was checked; a page as pixels is larger than any image that a caller sends.
    rendered = replace(limits, raw_bytes=max(limits.raw_bytes, _MAX_PAGE_BYTES), pixels=max(limits.pixels, _MAX_PIXELS))

    def prepare_page(page: RenderedPage) -> tuple[PreparedImagePart, str]:
        try:
            prepared = prepare(page.png(), detail, rendered)
        except ImageError as error:
            raise image_error(error) from None
        prepared = replace(prepared, source_format="PDF", source_bytes=document_bytes)
        part = image_part(slot.path, prepared, detail, preparation.model)
        return replace(part, name=f"Page {page.number} of the document"), page.text

    return prepare_page


def _page_counter(
    slot: DocumentSlot, document_bytes: int, preparation: Preparation
) -> Callable[[RenderedPage], tuple[PreparedImagePart, str]]:
    def count_page(page: RenderedPage) -> tuple[PreparedImagePart, str]:
        sides = f"{page.width_px}x{page.height_px}"
        record = ImageRecord("PDF", document_bytes, 0, sides, sides, 0)
        counted = CachedImage(b"", page.width_px, page.height_px, record)
        return preparation.count(slot.path, slot.detail, counted), ""

    return count_page


_MAX_PIXELS = Detail.HIGH.longest_side_px**2
_MAX_PAGE_BYTES = 4 * _MAX_PIXELS
