"""Server-sent events framed, and byte streams split into lines."""

from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.sse import LineSplitter, format_event

streams = st.lists(st.text("ab\r\n", max_size=9).map(str.encode), max_size=9)


def test_an_event_is_a_data_line_and_an_empty_line() -> None:
    assert format_event(b'{"a":1}') == b'data: {"a":1}\n\n'


@given(streams)
def test_nothing_is_lost_or_added(pieces: list[bytes]) -> None:
    lines = LineSplitter()

    assert b"".join([lines.feed(piece) for piece in pieces] + [lines.finish()]) == b"".join(pieces)


@given(streams)
def test_exactly_the_whole_lines_are_returned(pieces: list[bytes]) -> None:
    lines, arrived, returned = LineSplitter(), b"", b""
    for piece in pieces:
        arrived += piece

        returned += lines.feed(piece)

        assert returned == arrived[: arrived.rfind(b"\n") + 1]


def test_a_finished_splitter_has_nothing_left() -> None:
    lines = LineSplitter()
    lines.feed(b"a\nb")

    assert lines.finish() == b"b"
    assert lines.finish() == b""
