"""Builders of Responses requests and chat completions, and their translation without a gateway."""

import json
from collections.abc import Collection
from typing import Any

from obscura.dialects.base import ContentLimits, RequestHead, UncheckedPart, UpstreamBody
from obscura.dialects.json.raw import RawJson
from obscura.dialects.responses.request import ResponsesDialect, ResponsesRequest
from tests.support.fake_upstream import ANSWER

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAAA"
FILE_ID = f"file_{'0' * 36}"
AUDIO = {"data": "UklGRiQAAABXQVZFZm10IBAAAAABAAEA", "format": "wav"}
PREPARED = b"data:image/png;base64,UFJFUEFSRUQ="
FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}


def parsed(request: object) -> ResponsesRequest:
    return ResponsesDialect().parse(RequestHead(), RawJson(json.dumps(request).encode()), ContentLimits())


def the_unchecked(request: object) -> UncheckedPart:
    (part,) = parsed(request).unchecked
    return part


def a_request(user_input: object = "hello", **fields: object) -> dict:
    return {"model": "m", "input": user_input} | fields


def a_message(*parts: object, role: str = "user") -> dict:
    return {"role": role, "content": list(parts)}


def text(words: str) -> dict:
    return {"type": "input_text", "text": words}


def image(url: str = PIXEL, **fields: object) -> dict:
    return {"type": "input_image", "image_url": url, **fields}


def call(call_id: str, name: str = "look", arguments: str = "{}", **fields: object) -> dict:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **fields}


def output(call_id: str, value: object) -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def to_upstream(request: object, *dialects: str, passing: Collection[str] = ()) -> UpstreamBody:
    """Return the upstream request, each image replaced by the prepared one, each document by two pages of it.

    Raises what the pipeline raises: the error of a part that cannot be checked, unless its type is one of ``passing``.
    """
    parsed_request = parsed(request)
    for part in parsed_request.unchecked:
        if part.kind not in passing:
            raise part.error
    for slot in parsed_request.images:
        slot.replace(PREPARED)
    for document in parsed_request.documents:
        document.replace([PREPARED, PREPARED], ["the first page's text", ""])
    return parsed_request.to_upstream(dialects or ("chat",))


def as_chat(request: object, passing: Collection[str] = ()) -> dict:
    return json.loads(to_upstream(request, passing=passing).body)


def as_native(request: object, passing: Collection[str] = ()) -> dict:
    upstream_body = to_upstream(request, "chat", "responses", passing=passing)
    assert upstream_body.dialect == "responses"
    return json.loads(upstream_body.body)


def messages_of(*items: object, **fields: object) -> list[dict]:
    return as_chat(a_request(list(items), **fields))["messages"]


def completion(message: dict | None = None, finish_reason: str | None = "stop", **more: object) -> bytes:
    message = {"role": "assistant"} | ({"content": "A cat."} if message is None else message)
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps(ANSWER | {"choices": [choice]} | more).encode()


def translated(request: object, upstream_body: bytes | None = None, image_tokens: tuple[int, ...] = ()) -> dict:
    """Return the response that a chat completion is translated to."""
    body = completion() if upstream_body is None else upstream_body
    return json.loads(to_upstream(request).translator.translate(body, image_tokens))
