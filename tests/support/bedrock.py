"""A stand-in for Amazon Bedrock: it checks each signature by its own reckoning, and writes event streams bytewise.

Written from AWS's documents ("Create a signed AWS API request", "Event stream encoding"), without botocore.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from tests.support.loopback_server import Received, Respond, Wire

REGION = "eu-central-1"
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a-session-token"
EVENT_STREAM = "application/vnd.amazon.eventstream"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_SESSION_TOKEN": SESSION_TOKEN,
}
USAGE = {"inputTokens": 10, "outputTokens": 2, "totalTokens": 12}


def expected_signature(request: Received, region: str = REGION, secret_key: str = SECRET_KEY) -> str:
    """Reckon the signature of a request from what arrived."""
    scheme, _, fields = request.headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    given = dict(part.strip().split("=", 1) for part in fields.split(","))
    _, date, signed_region, service, terminator = given["Credential"].split("/")
    assert (signed_region, service, terminator) == (region, "bedrock", "aws4_request")
    names = given["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "content-type", "x-amz-content-sha256"} <= set(names)
    checksum = hashlib.sha256(request.body).hexdigest()
    assert request.headers["x-amz-content-sha256"] == checksum
    parts = urlsplit(request.path)
    path = "/".join(quote(segment, safe="-_.~") for segment in parts.path.split("/"))
    query = "&".join(sorted(parts.query.split("&")))
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    canonical = "\n".join((request.method, path, query, headers, ";".join(names), checksum))
    stamp = request.headers["x-amz-date"]
    assert stamp.startswith(date)
    scope = f"{date}/{region}/{service}/{terminator}"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, terminator):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def is_signed(request: Received, secret_key: str = SECRET_KEY) -> bool:
    authorization = request.headers.get("authorization", "")
    if f"Credential={ACCESS_KEY}/" not in authorization or request.headers.get("x-amz-security-token") != SESSION_TOKEN:
        return False
    return authorization.endswith(f"Signature={expected_signature(request, secret_key=secret_key)}")


def requiring_signatures(respond: Respond, secret_key: str = SECRET_KEY) -> Respond:
    """Answer as ``respond``, but as Bedrock does if the signature is not right."""

    async def checked(request: Received, wire: Wire) -> None:
        if is_signed(request, secret_key):
            await respond(request, wire)
        else:
            await fails("InvalidSignatureException", 403, "The signature does not match.")(request, wire)

    return checked


def fails(name: str, status: int, message: str = "It failed.", **headers: str) -> Respond:
    async def respond(request: Received, wire: Wire) -> None:
        named = {"x_amzn_errortype": f"{name}:http://internal.amazon.com/coral/", **headers}
        await wire.answer(status, json.dumps({"message": message}).encode(), **named)

    return respond


def converse_answer(*blocks: dict[str, Any], stop: str = "end_turn", usage: dict[str, int] = USAGE) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": list(blocks or ({"text": "A cat."},))}},
        "stopReason": stop,
        "usage": usage,
        "metrics": {"latencyMs": 5},
    }


def answering(answer: dict[str, Any] | None = None) -> Respond:
    async def respond(request: Received, wire: Wire) -> None:
        body = json.dumps(answer or converse_answer()).encode()
        await wire.answer(200, body, x_amzn_requestid="bedrock-request-1")

    return respond


def frame(payload: bytes, **headers: str) -> bytes:
    """Write one message of an event stream, its headers as strings (type 7)."""
    written = b"".join(
        bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2) + value
        for name, value in ((f":{key.replace('_', '-')}".encode(), text.encode()) for key, text in headers.items())
    )
    prelude = (16 + len(written) + len(payload)).to_bytes(4) + len(written).to_bytes(4)
    before = prelude + zlib.crc32(prelude).to_bytes(4) + written + payload
    return before + zlib.crc32(before).to_bytes(4)


def event(kind: str, payload: dict[str, Any]) -> bytes:
    body = json.dumps(payload | {"p": "abcdefgh"}).encode()
    return frame(body, message_type="event", event_type=kind, content_type="application/json")


def exception(kind: str, message: str = "It failed.") -> bytes:
    body = json.dumps({"message": message}).encode()
    return frame(body, message_type="exception", exception_type=kind, content_type="application/json")


def text_events(*texts: str, stop: str = "end_turn", usage: dict[str, int] = USAGE) -> list[bytes]:
    return [
        event("messageStart", {"role": "assistant"}),
        *(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in texts),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        *end_events(stop, usage),
    ]


def tool_events(*calls: tuple[str, str, tuple[str, ...]]) -> list[bytes]:
    """Calls of tools, each an id, a name, and the pieces of its input."""
    events = [event("messageStart", {"role": "assistant"})]
    for index, (call_id, name, pieces) in enumerate(calls):
        start = {"toolUse": {"toolUseId": call_id, "name": name}}
        events.append(event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        events += [
            event("contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}})
            for piece in pieces
        ]
        events.append(event("contentBlockStop", {"contentBlockIndex": index}))
    return [*events, *end_events("tool_use", USAGE)]


def end_events(stop: str, usage: dict[str, int]) -> list[bytes]:
    return [
        event("messageStop", {"stopReason": stop}),
        event("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}),
    ]


def invoke_events(*events: dict[str, Any]) -> list[bytes]:
    """Anthropic's own events, as InvokeModelWithResponseStream has them."""
    return [event("chunk", {"bytes": base64.b64encode(json.dumps(each).encode()).decode()}) for each in events]


def streaming(frames: list[bytes], then: str = "ends", *, cut: Callable[[bytes], list[bytes]] | None = None) -> Respond:
    """Send each frame by itself, or the stream as ``cut`` cuts it; then end, break the connection, or stay silent."""

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type=EVENT_STREAM, transfer_encoding="chunked")
        for piece in cut(b"".join(frames)) if cut else frames:
            await wire.chunk(piece)
        if then == "ends":
            await wire.chunk(b"")
        elif then == "breaks":
            wire.drop()
        else:
            await request.caller_left.wait()

    return respond
