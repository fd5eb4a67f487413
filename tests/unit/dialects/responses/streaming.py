"""Chat streams translated to events, each checked against the grammar."""

from obscura.dialects.base import StreamTranslator
from obscura.errors import ObscuraError
from tests.support.response_stream_grammar import checked
from tests.unit.dialects.responses.requests import a_request, to_upstream

DONE = b"data: [DONE]\n\n"


def a_translator(image_tokens: tuple[int, ...] = (), **fields: object) -> StreamTranslator:
    return to_upstream(a_request(stream=True, **fields)).translator.stream(image_tokens)


def streamed(*pieces: bytes, image_tokens: tuple[int, ...] = ()) -> list[dict]:
    translator = a_translator(image_tokens)
    return checked(b"".join([*map(translator.feed, pieces), translator.finish()]))


def broken(*pieces: bytes) -> list[dict]:
    """Translate as the server does: an error that is raised ends the stream."""
    translator = a_translator()
    sent: list[bytes] = []
    try:
        sent += map(translator.feed, pieces)
        sent.append(translator.finish())
    except ObscuraError as error:
        sent.append(translator.fail(error, "req_1"))
    return checked(b"".join(sent))


def kinds(events: list[dict]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]
