"""What an upstream may do when it is asked: answers, streams, refusals, silence."""

import asyncio
import json
from typing import Any

from tests.support.loopback_server import Received, Respond, Wire

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "A cat."}, "finish_reason": "stop", "logprobs": None}
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


def chunk(delta: dict, finish_reason: str | None = None, **more: object) -> bytes:
    response = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    } | more
    return b"data: " + json.dumps(response).encode() + b"\n\n"


CHUNKS = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "A "}),
    chunk({"content": "cat."}),
    chunk({}, "stop"),
    chunk({}, choices=[], usage=ANSWER["usage"]),
    b"data: [DONE]\n\n",
)


def answers(response: dict | bytes = ANSWER, status: int = 200, **headers: str) -> Respond:
    body = response if isinstance(response, bytes) else json.dumps(response).encode()

    async def respond(request: Received, wire: Wire) -> None:
        await wire.answer(status, body, **headers)

    return respond


def streams(*chunks: bytes, then: str = "ends") -> Respond:
    """Send each chunk by itself, then end the stream, break the connection, or stay silent."""

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for piece in chunks or CHUNKS:
            await wire.chunk(piece)
        if then == "ends":
            await wire.chunk(b"")
        elif then == "breaks":
            wire.drop()
        else:
            await asyncio.Event().wait()

    return respond


async def stays_silent(request: Received, wire: Wire) -> None:
    await asyncio.Event().wait()


async def hangs_up(request: Received, wire: Wire) -> None:
    wire.drop()


def in_turn(*responds: Respond) -> Respond:
    """Answer the first request with the first, and so on; the last one serves all that follow."""
    left = list(responds)

    async def respond(request: Received, wire: Wire) -> None:
        turn = left.pop(0) if len(left) > 1 else left[0]
        await turn(request, wire)

    return respond


def verdict(flagged: dict[str, float] | None = None, **scores: float) -> dict:
    """A moderation verdict: ``flagged`` categories with their scores, and others that were not hit."""
    hit = flagged or {}
    return {
        "id": "modr-1",
        "model": "omni-moderation-latest",
        "results": [
            {
                "flagged": bool(hit),
                "categories": dict.fromkeys(hit, True) | dict.fromkeys(scores, False),
                "category_scores": hit | scores,
            }
        ],
    }
