"""Where a chunked body is cut into the pieces that its parser gets (RFC 9112 §7.1)."""

from obscura.cli.request_head import HEAD_END

MAX_PIECE_BYTES = 4096


def end_of_piece(before: bytes, data: bytes, begin: int) -> int:
    """Return where to cut a chunked body: after an empty line, where the message may end, or ``MAX_PIECE_BYTES``.

    ``before`` are the last three bytes of the body before ``begin``.
    """
    across = (before + data[begin : begin + 3]).find(HEAD_END)
    if across >= 0:
        return begin + across + len(HEAD_END) - len(before)
    found = data.find(HEAD_END, begin, begin + MAX_PIECE_BYTES)
    return found + len(HEAD_END) if found >= 0 else min(begin + MAX_PIECE_BYTES, len(data))
