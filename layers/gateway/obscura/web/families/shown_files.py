"""Files and uploads, shown as OpenAI shows them."""

from obscura.ports import StoredFile, Upload
from obscura.wire.file_objects import FileObject, UploadObject


def shown(file: StoredFile) -> FileObject:
    """Show a file."""
    return FileObject(
        id=file.id,
        bytes=file.size_bytes,
        created_at=int(file.created_at.timestamp()),
        expires_at=int(file.expires_at.timestamp()),
        filename=file.filename,
        purpose=file.purpose,
        mime_type=file.media_type,
    )


def shown_upload(upload: Upload, file: StoredFile | None = None) -> UploadObject:
    """Show an upload, with the file that came of it."""
    return UploadObject(
        id=upload.id,
        bytes=upload.declared_bytes,
        created_at=int(upload.created_at.timestamp()),
        expires_at=int(upload.expires_at.timestamp()),
        filename=upload.filename,
        purpose=upload.purpose,
        status=upload.status,
        file=shown(file) if file else None,
    )
