"""The requests that the rehearsal plays: for each family, events of API Gateway's and what their answers must be."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from rehearsal.emulator import Answered
from rehearsal.events import Event, at, nameless, read_event, with_body
from rehearsal.families import STREAMED


@dataclass(frozen=True)
class Scene:
    """An event and its answer: ``holds`` is a piece of the body, ``header`` one that must be there."""

    title: str
    event: Event
    holds: bytes
    status: int = 200
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


type Play = Generator[Scene, Answered]
"""Gives scenes one after the other, and is sent each one's answer."""


def play(family: str, key: str) -> Play:
    """Play a family's scenes with a known key, and one with a stranger's."""
    if family not in PLAYS:
        raise NotImplementedError(f"The family {family} has no scenes yet: add them to {__name__}.")
    yield from PLAYS[family](read_event(family, key))
    yield Scene("a stranger's key", read_event(family, "obs_a-stranger"), b'"invalid_api_key"', 401)


def _chat(event: Event) -> Play:
    plain = with_body(event, stream=False)
    yield Scene("streamed, with an image", event, b"data: [DONE]", header="x-image-tokens")
    yield Scene("plain, with an image", plain, b'"image_tokens"', header="x-image-tokens")
    yield Scene("without /v1", at(event, "POST", "/chat/completions"), b"data: [DONE]")
    for network, address in (("IPv4", "198.51.100.7"), ("IPv6, three counters at once", "2001:db8::7")):
        anonymous = nameless(event, address)
        yield Scene(f"the free request of a network, {network}", anonymous, b"data: [DONE]")
        yield Scene("its second", anonymous, b'"free_tier_exhausted"', 429, "retry-after")


def _messages(event: Event) -> Play:
    yield Scene("plain, with an image", event, b'"image_tokens"', header="x-image-tokens")
    yield Scene("streamed, with an image", with_body(event, stream=True), b"event: message_stop")
    yield Scene("tokens counted", at(event, "POST", "/v1/messages/count_tokens"), b'"input_tokens"')


def _responses(event: Event) -> Play:
    yield Scene("plain, with an image", event, b'"image_tokens"', header="x-image-tokens")
    yield Scene("streamed, with an image", with_body(event, stream=True), b"event: response.completed")


def _files(event: Event) -> Play:
    stored = yield Scene("stored", event, b'"object":"file"')
    named = f"/v1/files/{stored.json()['id']}"
    yield Scene("listed", at(event, "GET", "/v1/files"), b'"object":"list"')
    yield Scene("described", at(event, "GET", named), b'"purpose"')
    yield Scene("given back, as bytes", at(event, "GET", named + "/content"), b"\x89PNG")
    yield Scene("deleted", at(event, "DELETE", named), b'"deleted":true')
    yield Scene("gone", at(event, "GET", named), b'"file_not_found"', 404)


def _models(event: Event) -> Play:
    yield Scene("OpenAI's list", event, b'"object":"list"')
    yield Scene("our catalogue", at(event, "GET", "/api/models"), b'"detail_limits"')
    yield Scene("health", at(event, "GET", "/healthz"), b'"ok"')


PLAYS: dict[str, Callable[[Event], Play]] = {
    "chat": _chat,
    "messages": _messages,
    "responses": _responses,
    "files": _files,
    "models": _models,
}
