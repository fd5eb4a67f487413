"""Whether a stream has begun: each line is read once, however many pings and comments come before the first event."""

import pytest

from obscura.errors import UpstreamError
from obscura.pipeline.first_event import MAX_HELD_BYTES, FirstEvent

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
EVENT = b'data: {"choices": []}\n\n'


@pytest.mark.parametrize("quiet", [PING, b": comment\n\n"])
def test_what_is_no_answer_is_held_until_one_begins(quiet: bytes) -> None:
    first = FirstEvent()

    assert [first.feed(quiet) for _ in range(1_000)] == [False] * 1_000
    assert first.feed(EVENT)
    assert bytes(first.held) == quiet * 1_000 + EVENT


def test_more_than_is_held_counts_as_an_answer() -> None:
    first, comment = FirstEvent(), b": c\n\n"
    fed = 0
    while not first.feed(comment):  # over 50,000 times: it took minutes while each line was read again with every other
        fed += len(comment)

    assert MAX_HELD_BYTES - len(comment) <= fed <= MAX_HELD_BYTES


def test_an_error_after_pings_is_raised() -> None:
    first = FirstEvent()
    first.feed(PING)

    with pytest.raises(UpstreamError):
        first.feed(b'data: {"error": {"message": "overheated"}}\n\n')
