"""Server-sent events (WHATWG HTML §9.2.6): framing only."""

from obscura.errors import UpstreamError

MAX_LINE_BYTES = 16 * 1024 * 1024


def format_event(data: bytes, name: str | None = None) -> bytes:
    """Frame one event, with a name if there is one; ``data`` is one line."""
    if name is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


class LineSplitter:
    """Splits a byte stream into whole lines, each with its line feed; holds back at most one unfinished line."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return all whole lines up to the end of ``chunk``, joined; raises UpstreamError on an endless line."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._held.append(chunk)
            self._held_bytes += len(chunk)
            if self._held_bytes > MAX_LINE_BYTES:
                raise UpstreamError(f"The upstream sent a line of more than {MAX_LINE_BYTES:,} bytes. Try again.")
            return b""
        lines = chunk[:end]
        if self._held:
            lines = b"".join([*self._held, lines])
            self._held.clear()
        if end < len(chunk):
            self._held.append(chunk[end:])
        self._held_bytes = len(chunk) - end
        return lines

    def finish(self) -> bytes:
        """Return the unfinished line."""
        rest = b"".join(self._held)
        self._held.clear()
        return rest
