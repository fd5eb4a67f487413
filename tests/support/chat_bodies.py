"""Builders of chat requests, parsed as the gateway parses them."""

import json

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect, ChatRequest
from obscura.dialects.json.raw import RawJson

PIXEL = "data:image/png;base64,AAAA"


def parse(request: object) -> ChatRequest:
    return ChatDialect().parse(RequestHead(), RawJson(json.dumps(request).encode()), ContentLimits())


def replaced(parsed_request: ChatRequest) -> ChatRequest:
    """The request with the source of each image and video in its place again, as if it had been checked."""
    for image in parsed_request.images:
        image.replace(bytes(image.source))
    for video in parsed_request.videos:
        video.replace(bytes(video.source))
    return parsed_request


def a_request(*messages: object, **fields: object) -> dict:
    return {"model": "m", "messages": list(messages)} | fields


def a_message(*parts: object, role: str = "user") -> dict:
    return {"role": role, "content": list(parts)}
