"""The fake upstream's completion; the load client accepts nothing else as an answer."""

import json

TEXT = "A red bicycle leans against a white wall in the morning sun, and its shadow is longer than it is."
"""The whole completion, plain or streamed."""

STREAMED_CHUNKS = 20
_HEAD = {"id": "chatcmpl-benchmark", "created": 1_760_000_000, "model": "benchmark"}
_USAGE = {"prompt_tokens": 17, "completion_tokens": 22, "total_tokens": 39}


def plain_body() -> bytes:
    """Return a chat completion as JSON."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}
    return json.dumps(_HEAD | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def sse_events() -> list[bytes]:
    """Return the same completion as SSE events in order, ``[DONE]`` last."""
    step = -(-len(TEXT) // STREAMED_CHUNKS)
    deltas: list[dict[str, str]] = [{"content": TEXT[at : at + step]} for at in range(0, len(TEXT), step)]
    deltas[0] = {"role": "assistant"} | deltas[0]
    events = [_event(delta, None) for delta in deltas]
    return [*events, _event({}, "stop"), b"data: [DONE]\n\n"]


def is_whole_completion(body: bytes, *, streamed: bool) -> bool:
    """Return whether ``body`` holds the whole completion."""
    if not streamed:
        return bool(json.loads(body)["choices"][0]["message"]["content"] == TEXT)
    events = [line.removeprefix(b"data:").strip() for line in body.splitlines() if line.startswith(b"data:")]
    if not events or events[-1] != b"[DONE]":
        return False
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices) == TEXT


def _event(delta: dict[str, str], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps(_HEAD | {"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
