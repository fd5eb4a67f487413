"""Stored documents in requests: their bytes, which are rendered at each use."""

from dataclasses import dataclass

from obscura.auth.access import Principal
from obscura.documents.base import MEDIA_TYPE
from obscura.errors import InvalidDocument
from obscura.files.base import StoredFile
from obscura.files.service import FileService, find_file, read_original, require_storage_allowed


@dataclass(frozen=True, slots=True)
class StoredDocuments:
    """The stored documents that one caller may use."""

    principal: Principal
    service: FileService

    async def is_document(self, file_id: str) -> bool:
        """Whether a stored file is a PDF; raises FileNotFound, or RetentionConflict for a zero-retention request."""
        return (await self._find(file_id)).media_type == MEDIA_TYPE

    async def original(self, file_id: str) -> bytes:
        """Return a stored PDF.

        Raises FileNotFound, RetentionConflict for a zero-retention request, or InvalidDocument for an image.
        """
        file = await self._find(file_id)
        if file.media_type != MEDIA_TYPE:
            raise InvalidDocument(f"The file is no PDF: it is {file.media_type}. Send it as an image.")
        return await read_original(file, self.service.storage)

    async def _find(self, file_id: str) -> StoredFile:
        if not self.principal.anonymous:
            require_storage_allowed(self.principal)
        return await find_file(file_id, self.principal, self.service.storage, self.service.clock.now())
