"""What the fake upstream says: known to it and to the load client, which accepts nothing else as an answer."""

import json

SAID = "A red bicycle leans against a white wall in the morning sun, and its shadow is longer than it is."
"""The whole answer; both the plain one and the streamed one amount to it."""

STREAMED_CHUNKS = 20
_HEAD = {"id": "chatcmpl-benchmark", "created": 1_760_000_000, "model": "bench"}
_USAGE = {"prompt_tokens": 17, "completion_tokens": 22, "total_tokens": 39}


def plain_body() -> bytes:
    """Return a chat completion as JSON."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SAID}}
    return json.dumps(_HEAD | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def sse_events() -> list[bytes]:
    """Return the same completion as a stream: its SSE events in order, ``[DONE]`` last."""
    step = -(-len(SAID) // STREAMED_CHUNKS)
    deltas: list[dict[str, str]] = [{"content": SAID[at : at + step]} for at in range(0, len(SAID), step)]
    deltas[0] = {"role": "assistant"} | deltas[0]
    events = [_event(delta, None) for delta in deltas]
    return [*events, _event({}, "stop"), b"data: [DONE]\n\n"]


def is_the_answer(body: bytes, *, streamed: bool) -> bool:
    """Tell whether a client that received ``body`` was given all that the upstream said."""
    if not streamed:
        return bool(json.loads(body)["choices"][0]["message"]["content"] == SAID)
    events = [line.removeprefix(b"data:").strip() for line in body.splitlines() if line.startswith(b"data:")]
    if not events or events[-1] != b"[DONE]":
        return False
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices) == SAID


def _event(delta: dict[str, str], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps(_HEAD | {"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
