"""A chat stream told as events, each stream held to the grammar."""

from obscura.dialects.base import StreamTranslator
from obscura.errors import ObscuraError
from tests.support.response_stream_grammar import checked
from tests.unit.dialects.responses.requests import a_request, to_upstream

DONE = b"data: [DONE]\n\n"


def a_passage(image_tokens: tuple[int, ...] = (), **fields: object) -> StreamTranslator:
    return to_upstream(a_request(stream=True, **fields)).reply.stream(image_tokens)


def streamed(*pieces: bytes, image_tokens: tuple[int, ...] = ()) -> list[dict]:
    passage = a_passage(image_tokens)
    return checked(b"".join([*map(passage.feed, pieces), passage.finish()]))


def broken(*pieces: bytes) -> list[dict]:
    """Stream as a server does: an error that is raised ends the stream."""
    passage, response = a_passage(), []
    try:
        response += map(passage.feed, pieces)
        response.append(passage.finish())
    except ObscuraError as error:
        response.append(passage.fail(error, "req_1"))
    return checked(b"".join(response))


def kinds(events: list[dict]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]
