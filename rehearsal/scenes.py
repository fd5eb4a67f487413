"""The requests that the rehearsal plays: for each family, events of API Gateway's and what their answers must be."""

from collections.abc import Iterator
from dataclasses import dataclass

from rehearsal.emulator import Answered
from rehearsal.events import Event, at, read_event, with_body
from rehearsal.families import STREAMED


@dataclass(frozen=True)
class Scene:
    """An event and its answer: ``holds`` is a piece of the body, ``header`` one that must be there."""

    title: str
    event: Event
    status: int
    holds: bytes
    header: str = "x-request-id"

    def faults(self, answered: Answered, family: str) -> Iterator[str]:
        """Say what is wrong with an answer."""
        if answered.status != self.status:
            yield f"{answered.status} instead of {self.status}: {answered.body[:300]!r}"
        if self.holds not in answered.body:
            yield f"no {self.holds!r} in {answered.body[:300]!r}"
        if self.header not in answered.headers:
            yield f"no {self.header} among {sorted(answered.headers)}"
        if answered.streamed != (family in STREAMED):
            yield "answered in the form of the other runtime"


def scenes(family: str, key: str) -> list[Scene]:
    """Give a family's scenes: a picture asked about, plain and streamed, its other routes, and a stranger's key."""
    event = read_event(family, key)
    known: list[Scene]
    match family:
        case "chat":
            known = [
                Scene("streamed, with a picture", event, 200, b"data: [DONE]", "x-image-tokens"),
                Scene(
                    "plain, with a picture", with_body(event, stream=False), 200, b'"image_tokens"', "x-image-tokens"
                ),
                Scene("without /v1", at(event, "POST", "/chat/completions"), 200, b"data: [DONE]"),
            ]
        case "messages":
            counted = at(event, "POST", "/v1/messages/count_tokens")
            known = [
                Scene("plain, with a picture", event, 200, b'"image_tokens"', "x-image-tokens"),
                Scene("streamed, with a picture", with_body(event, stream=True), 200, b"event: message_stop"),
                Scene("tokens counted", counted, 200, b'"input_tokens"'),
            ]
        case "responses":
            known = [
                Scene("plain, with a picture", event, 200, b'"image_tokens"', "x-image-tokens"),
                Scene("streamed, with a picture", with_body(event, stream=True), 200, b"event: response.completed"),
            ]
        case "models":
            known = [
                Scene("OpenAI's list", event, 200, b'"object":"list"'),
                Scene("our catalogue", at(event, "GET", "/api/models"), 200, b'"detail_limits"'),
                Scene("health", at(event, "GET", "/healthz"), 200, b'"ok"'),
            ]
        case _:
            raise NotImplementedError(f"The family {family} has no scenes yet: add them to {__name__}.")
    stranger = read_event(family, "obs_a-stranger")
    return [*known, Scene("a stranger's key", stranger, 401, b'"invalid_api_key"')]
