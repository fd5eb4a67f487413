"""Load the PDFs of a request and render their pages: each becomes an image like any other, and its text goes along."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

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
from obscura.execution import ImageExecutor
from obscura.fetch.base import ImageFetcher
from obscura.files.service import image_error
from obscura.files.stored_documents import StoredDocuments
from obscura.files.stored_images import StoredImages
from obscura.imaging import Detail, ImageError, ImageLimits, PreparedImage, prepare
from obscura.pipeline.load_images import MAX_URL_CHARS
from obscura.pipeline.prepare import PreparedImagePart, image_part
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel


@dataclass(frozen=True, slots=True)
class DocumentSources:
    """Where documents come from, what renders them, and the limits of documents and of their pages as images."""

    fetcher: ImageFetcher
    stored: StoredDocuments
    images: StoredImages
    renderer: DocumentRenderer
    executor: ImageExecutor
    limits: DocumentLimits
    image_limits: ImageLimits


def document_sources(principal: Principal, services: Services) -> DocumentSources:
    """Return the sources of one caller's documents."""
    return DocumentSources(
        fetcher=services.document_files,
        stored=StoredDocuments(principal, services.file_service),
        images=StoredImages(principal, services.file_service),
        renderer=services.documents,
        executor=services.executor,
        limits=services.limits.document,
        image_limits=services.limits.image,
    )


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """The pages of a document as prepared images, and the text of each, in order."""

    slot: DocumentSlot
    images: Sequence[PreparedImagePart]
    texts: Sequence[str]

    def replace_slot(self) -> None:
        """Write the pages into the request in place of the document: the very images and texts that were moderated."""
        self.slot.replace([image.data_url for image in self.images], self.texts)


async def prepare_document(
    slot: DocumentSlot, add_pages: Callable[[int], None], model: CatalogModel, sources: DocumentSources
) -> PreparedDocument:
    """Load a document and prepare its pages.

    ``add_pages`` gets their number before any is rendered, and raises TooManyImages if the request has too many.
    Raises that, the errors of loading an image, InvalidDocument or DocumentTooLarge, with the slot's path as param.
    """
    try:
        image = await _stored_image(slot, sources)
        if image is not None:
            add_pages(1)
            return PreparedDocument(slot, [image_part(slot.path, image, Detail(slot.detail), model)], [""])
        data = await _load(slot, sources)
        limits = sources.limits
        if slot.kind is SourceKind.URL and media_kind(data[:64]) is MediaKind.IMAGE:
            add_pages(1)
            image = await sources.executor.run(partial(_prepare_image, data, slot.detail, sources.image_limits))
            return PreparedDocument(slot, [image_part(slot.path, image, Detail(slot.detail), model)], [""])
        require_pdf(data, limits.stored_bytes if slot.kind is SourceKind.FILE_ID else limits.raw_bytes)
        pages = await sources.renderer.render(
            data,
            longest_side_px=Detail(slot.detail).longest_side_px,
            limits=limits,
            prepare=_page_preparer(slot, len(data), model, sources.image_limits),
            check_pages=add_pages,
        )
    except (ImageTooLarge, InvalidImage) as error:
        kind = DocumentTooLarge if isinstance(error, ImageTooLarge) else InvalidDocument
        raise kind(error.message.replace("image", "document"), param=slot.path) from None
    except ObscuraError as error:
        raise error.at(slot.path) from None
    return PreparedDocument(slot, [image for image, _ in pages], [text for _, text in pages])


async def _stored_image(slot: DocumentSlot, sources: DocumentSources) -> PreparedImage | None:
    """Return the image that a file id names; None if it names a document."""
    if slot.kind is not SourceKind.FILE_ID:
        return None
    file_id = decode_string(slot.source)
    return None if await sources.stored.is_document(file_id) else await sources.images.prepared(file_id, slot.detail)


def _prepare_image(data: bytes, detail: str, limits: ImageLimits) -> PreparedImage:
    try:
        return prepare(data, Detail(detail), limits)
    except ImageError as error:
        raise image_error(error) from None


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
        return await sources.fetcher.fetch(decode_string(slot.source))
    try:
        return await sources.executor.run(partial(decode_base64, encoded, sources.limits.raw_bytes))
    except ImageTooLarge:
        raise DocumentTooLarge(
            f"The document has more than {sources.limits.raw_bytes:,} bytes, the limit. "
            f"Store it as a file ({sources.limits.stored_bytes:,} bytes are allowed there), or send fewer pages."
        ) from None


def _page_preparer(
    slot: DocumentSlot, document_bytes: int, model: CatalogModel, limits: ImageLimits
) -> Callable[[RenderedPage], tuple[PreparedImagePart, str]]:
    detail = Detail(slot.detail)
    # What a document may have was checked; a page as pixels is larger than any image that a caller sends.
    rendered = replace(limits, raw_bytes=max(limits.raw_bytes, _MAX_PAGE_BYTES), pixels=max(limits.pixels, _MAX_PIXELS))

    def prepare_page(page: RenderedPage) -> tuple[PreparedImagePart, str]:
        try:
            prepared = prepare(page.png(), detail, rendered)
        except ImageError as error:
            raise image_error(error) from None
        prepared = replace(prepared, source_format="PDF", source_bytes=document_bytes)
        part = image_part(slot.path, prepared, detail, model)
        return replace(part, name=f"Page {page.number} of the document"), page.text

    return prepare_page


_MAX_PIXELS = Detail.HIGH.longest_side_px**2
_MAX_PAGE_BYTES = 4 * _MAX_PIXELS
