"""Image files that are no more than their headers say: every walk passes them, and every decode fails."""

import struct


def a_webp_header(width: int, height: int) -> bytes:
    """A lossless WEBP (RFC 9649 §3.4) without a pixel."""
    payload = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0"
    chunk = b"VP8L" + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
