"""The address secret of one machine: a file beside the database that only its owner may read."""

import os
import secrets
from pathlib import Path

FILE_NAME = "address-secret"
SECRET_BYTES = 32


class KeptAddressSecret:
    """The secret of the settings, or else the one that is kept below ``data_dir`` from its first use on."""

    def __init__(self, data_dir: Path, given: bytes | None = None) -> None:
        """Nothing is read or made yet."""
        self._data_dir = data_dir
        self._secret = given

    async def read(self) -> bytes:
        """Give the secret."""
        if self._secret is None:
            self._secret = kept_secret(self._data_dir)
        return self._secret


def kept_secret(data_dir: Path) -> bytes:
    """Give the secret kept below ``data_dir``, made at the first call.

    It is written whole under another name and linked into place, so that of several processes that start at once one
    makes it and the others find it.
    """
    place = data_dir / FILE_NAME
    if not place.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = secrets.token_bytes(SECRET_BYTES)
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
