"""Responses requests and chat upstreams' answers, as Python values, without a gateway."""

import json

from obscura.dialects.base import ContentLimits, UpstreamBody
from obscura.dialects.json.raw import RawJson
from obscura.dialects.responses.request import ResponsesDialect, ResponsesRequest
from tests.support.fake_upstream import ANSWER

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAAA"
PREPARED = b"data:image/png;base64,UFJFUEFSRUQ="
FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": True}


def asked(request: object) -> ResponsesRequest:
    return ResponsesDialect().parse(RawJson(json.dumps(request).encode()), ContentLimits())


def a_request(given: object = "hello", **fields: object) -> dict:
    return {"model": "m", "input": given} | fields


def says(*parts: object, role: str = "user") -> dict:
    return {"role": role, "content": list(parts)}


def text(words: str) -> dict:
    return {"type": "input_text", "text": words}


def image(url: str = PIXEL, **fields: object) -> dict:
    return {"type": "input_image", "image_url": url, **fields}


def call(call_id: str, name: str = "look", arguments: str = "{}", **fields: object) -> dict:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **fields}


def output(call_id: str, response: object) -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": response}


def to_upstream(request: object, *dialects: str) -> UpstreamBody:
    """Write a request as it goes upstream, each image replaced by the one prepared."""
    ask = asked(request)
    for slot in ask.image_slots:
        slot.replace(PREPARED)
    return ask.to_upstream(dialects or ("chat",))


def as_chat(request: object) -> dict:
    return json.loads(to_upstream(request).body)


def messages_of(*items: object, **fields: object) -> list[dict]:
    return as_chat(a_request(list(items), **fields))["messages"]


def completion(message: dict | None = None, finish_reason: str = "stop", **more: object) -> bytes:
    said = {"role": "assistant", "content": "A cat."} if message is None else {"role": "assistant"} | message
    choice = {"index": 0, "message": said, "finish_reason": finish_reason}
    return json.dumps(ANSWER | {"choices": [choice]} | more).encode()


def answered(request: object, upstream_body: bytes | None = None, image_tokens: tuple[int, ...] = ()) -> dict:
    """Return the response that is told of a chat completion."""
    body = completion() if upstream_body is None else upstream_body
    return json.loads(to_upstream(request).reply.answer(body, image_tokens))
