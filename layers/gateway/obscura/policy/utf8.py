"""Text in UTF-8 for RE2, and the way back from its bytes to characters."""


class Offsets:
    """Indices of characters for rising indices of bytes in UTF-8."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._is_ascii = encoded.isascii()
        self._byte = self._character = 0

    def character(self, byte: int) -> int:
        """Return the number of characters before ``byte``, which is not below the last one."""
        if self._is_ascii:
            return byte
        self._character += len(self._encoded[self._byte : byte].decode())
        self._byte = byte
        return self._character


def utf8(text: str) -> bytes:
    """Return UTF-8; half a surrogate pair becomes one question mark."""
    return text.encode(errors="replace")
