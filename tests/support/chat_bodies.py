"""Chat requests built without a gateway: as Python values, parsed as the gateway parses them."""

import json

from obscura.wire.chat import ChatAsk, ChatDialect
from obscura.wire.dialect import ContentLimits
from obscura.wire.raw_body import RawBody

PIXEL = "data:image/png;base64,AAAA"


def parsed(request: object) -> ChatAsk:
    return ChatDialect().parse(RawBody(json.dumps(request).encode()), ContentLimits())


def a_request(*messages: object, **fields: object) -> dict:
    return {"model": "m", "messages": list(messages)} | fields


def says(*parts: object, role: str = "user") -> dict:
    return {"role": role, "content": list(parts)}
