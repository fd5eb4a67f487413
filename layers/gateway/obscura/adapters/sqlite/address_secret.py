"""The address secret of one machine: a file beside the database that only its owner may read."""

import os
import secrets
from pathlib import Path

FILE_NAME = "address-secret"
SECRET_BYTES = 32


class KeptAddressSecret:
    """The secret as it was when the process first asked for it."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` comes from the settings or from ``kept_secret``."""
        self._secret = secret

    async def read(self) -> bytes:
        """Give the secret."""
        return self._secret


def kept_secret(data_dir: Path | None) -> bytes:
    """Give the secret kept below ``data_dir``, made at the first call; without a folder, one of this process alone.

    It is written whole under another name and linked into place, so that of several processes that start at once one
    makes it and the others find it.
    """
    made = secrets.token_bytes(SECRET_BYTES)
    if data_dir is None:
        return made
    place = data_dir / FILE_NAME
    if not place.exists():
        draft = data_dir / f"{FILE_NAME}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, made)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            place.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return place.read_bytes()
