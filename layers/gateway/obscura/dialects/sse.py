"""Server-sent events as they travel (WHATWG HTML §9.2.6): framing only."""

from obscura.errors import UpstreamError

LONGEST_LINE_BYTES = 16 * 1024 * 1024


def data_event(data: bytes) -> bytes:
    """Frame one event that has nothing but data on one line."""
    return b"data: %b\n\n" % data


class LineSplitter:
    """Cuts a byte stream into whole lines, each with its line feed; holds back at most one unfinished line."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return all whole lines that are there once ``chunk`` has come in, as one run of bytes."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._held.append(chunk)
            self._held_bytes += len(chunk)
            if self._held_bytes > LONGEST_LINE_BYTES:
                raise UpstreamError(f"The upstream sent a line of more than {LONGEST_LINE_BYTES:,} bytes. Try again.")
            return b""
        lines = b"".join([*self._held, chunk[:end]])
        self._held = [chunk[end:]] if end < len(chunk) else []
        self._held_bytes = len(chunk) - end
        return lines

    def finish(self) -> bytes:
        """Return the unfinished line."""
        rest = b"".join(self._held)
        self._held = []
        return rest
