"""Builders of Messages requests and of chat completions, parsed and translated as the gateway does it."""

import base64
import json

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.json.raw import RawJson
from obscura.dialects.messages.request import MessagesDialect, MessagesRequest

PREPARED = b"data:image/jpeg;base64,UFJFUA=="
PAGE_TEXT = "words of the page"
PDF = base64.b64encode(b"%PDF-1.7 and its objects").decode()
OURS = f"file_{'0' * 36}"


def a_request(*messages: dict, **fields: object) -> dict:
    """A request of these messages, or of a single hello."""
    return {"model": "m", "max_tokens": 100, "messages": list(messages) or [user("hello")]} | fields


def user(*content: object) -> dict:
    return {"role": "user", "content": _content(content)}


def assistant(*content: object) -> dict:
    return {"role": "assistant", "content": _content(content)}


def text(words: str, **fields: object) -> dict:
    return {"type": "text", "text": words} | fields


def image(**fields: object) -> dict:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}} | fields


def a_document(**fields: object) -> dict:
    """A document of text."""
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}} | fields


def tool_use(call_id: str = "toolu_1", name: str = "look_up", **call_input: object) -> dict:
    return {"type": "tool_use", "id": call_id, "name": name, "input": call_input}


def tool_result(call_id: str = "toolu_1", *content: object, **fields: object) -> dict:
    return {"type": "tool_result", "tool_use_id": call_id, "content": _content(content)} | fields


def a_tool(name: str = "look_up", **fields: object) -> dict:
    return {"name": name, "input_schema": {"type": "object", "properties": {}}} | fields


def parse(request: object) -> MessagesRequest:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return MessagesDialect().parse(RequestHead(), RawJson(body), ContentLimits())


def with_images[R: MessagesRequest](parsed_request: R) -> R:
    """The same request with a prepared image in place of each of its images, and one page in place of each PDF."""
    for slot in parsed_request.images:
        slot.replace(PREPARED)
    for document in parsed_request.documents:
        document.replace([PREPARED], [PAGE_TEXT])
    return parsed_request


def in_chat(request: object) -> dict:
    """A request as a chat upstream gets it."""
    return json.loads(with_images(parse(request)).to_upstream().body)


def passed_natively(request: object) -> dict:
    """A request as an upstream that speaks Messages gets it."""
    return json.loads(with_images(parse(request)).to_upstream({"chat", "messages"}).body)


def translated(completion: dict, image_tokens: tuple[int, ...] = (), **request_fields: object) -> dict:
    """The message that a chat upstream's completion becomes."""
    translator = parse(a_request(**request_fields)).to_upstream().translator
    return json.loads(translator.translate(json.dumps(completion).encode(), image_tokens))


def a_completion(finish_reason: str = "stop", *, usage: dict | None = None, **message: object) -> dict:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish_reason}
    return {"id": "chatcmpl-7", "object": "chat.completion", "choices": [choice]} | ({"usage": usage} if usage else {})


def streamed(*pieces: bytes, image_tokens: tuple[int, ...] = (), **request_fields: object) -> bytes:
    """The stream that these bytes of a chat stream become."""
    translator = parse(a_request(**request_fields, stream=True)).to_upstream().translator.stream(image_tokens)
    return b"".join([*map(translator.feed, pieces), translator.finish()])


def _content(content: tuple[object, ...]) -> object:
    return content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)
