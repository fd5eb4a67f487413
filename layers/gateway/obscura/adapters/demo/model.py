"""The demo model: an upstream inside the process that really looks at the pictures and says that it is a demo."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pybase64

from obscura.adapters.demo.looking import Impression, look
from obscura.ports import ListedModel, UpstreamAnswer, UpstreamCall

MODEL = "obscura-demo"
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class _Heard:
    model: str
    question: str
    pictures: list[Impression]
    wants_usage: bool
    answer_id: str
    created_at: int


class DemoModel:
    """Answers chat completions, plain and streamed, without a network."""

    async def models(self) -> Sequence[ListedModel]:
        """Give the one model there is; any other name is answered just as well."""
        return [ListedModel(MODEL, owned_by="obscura")]

    @asynccontextmanager
    async def answer(self, call: UpstreamCall) -> AsyncIterator[UpstreamAnswer]:
        """Look at the pictures and tell what can be measured; see ``obscura.ports.Upstream``."""
        heard = await asyncio.to_thread(_hear, call.body)
        said = _say(heard)
        if call.streamed:
            yield UpstreamAnswer(200, "text/event-stream", _stream(heard, said))
        else:
            yield UpstreamAnswer(200, "application/json", _whole(heard, said))


def _hear(body: bytes) -> _Heard:
    request = json.loads(body)
    question, pictures = "", list[Impression]()
    for message in request["messages"]:
        content = message.get("content") or ""
        for part in [content] if isinstance(content, str) else content:
            fields = {"text": part} if isinstance(part, str) else part
            shown = fields.get("image_url")
            url = shown.get("url") if isinstance(shown, dict) else shown
            if url:
                pictures.append(look(pybase64.b64decode(url.partition(",")[2])))
            elif message.get("role") == "user" and isinstance(fields.get("text"), str):
                question = fields["text"]
    options = request.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    answer_id = f"chatcmpl-demo-{secrets.token_hex(12)}"
    return _Heard(request["model"], question, pictures, wants_usage, answer_id, int(time.time()))


def _say(heard: _Heard) -> str:
    said = ["I am Obscura's demo model: I measure pictures and understand nothing."]
    for number, picture in enumerate(heard.pictures, start=1):
        said.append(f"Picture {number} is {picture.sentence()}.")
    if not heard.pictures:
        said.append("You sent no picture; send one and I will tell you what I can measure.")
    if heard.question:
        words = len(heard.question.split())
        said.append(f"Your question had {words} {'word' if words == 1 else 'words'}.")
    return " ".join(said)


def _usage(heard: _Heard, said: str) -> dict[str, int]:
    prompt = len(heard.question) // CHARACTERS_PER_TOKEN + 1 + sum(picture.tokens for picture in heard.pictures)
    completion = len(said) // CHARACTERS_PER_TOKEN + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _envelope(heard: _Heard, kind: str, choice: dict[str, object]) -> dict[str, object]:
    return {
        "id": heard.answer_id,
        "object": kind,
        "created": heard.created_at,
        "model": heard.model,
        "choices": [{"index": 0, "logprobs": None, **choice}],
    }


async def _whole(heard: _Heard, said: str) -> AsyncIterator[bytes]:
    message = {"role": "assistant", "content": said, "refusal": None}
    completion = _envelope(heard, "chat.completion", {"message": message, "finish_reason": "stop"})
    yield json.dumps(completion | {"usage": _usage(heard, said)}).encode()


async def _stream(heard: _Heard, said: str) -> AsyncIterator[bytes]:
    yield _event(heard, {"role": "assistant", "content": ""}, None)
    for word in said.split(" "):
        yield _event(heard, {"content": f"{word} "}, None)
        await asyncio.sleep(0)
    yield _event(heard, {}, "stop")
    if heard.wants_usage:
        last = _envelope(heard, "chat.completion.chunk", {}) | {"choices": [], "usage": _usage(heard, said)}
        yield _data(last)
    yield b"data: [DONE]\n\n"


def _event(heard: _Heard, delta: dict[str, str], finish_reason: str | None) -> bytes:
    return _data(_envelope(heard, "chat.completion.chunk", {"delta": delta, "finish_reason": finish_reason}))


def _data(chunk: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk).encode()
