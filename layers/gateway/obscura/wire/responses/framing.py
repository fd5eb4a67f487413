"""Server-sent events with a name (WHATWG HTML §9.2.6)."""


def named_event(name: bytes, data: bytes) -> bytes:
    """Frame one event; ``data`` is on one line."""
    return b"event: %b\ndata: %b\n\n" % (name, data)
