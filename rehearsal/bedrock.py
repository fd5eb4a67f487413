"""A stand-in for Amazon Bedrock's runtime: it checks each signature, and answers Converse and ConverseStream.

Signatures are made again from what arrived, by AWS's own signer ("Create a signed AWS API request", IAM user guide).
"""

import binascii
import hmac
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import override

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rehearsal.stack import REGION

ANSWER = "Signed, and answered."
SIGNED_WITHIN_S = 300
"""As AWS allows clocks to differ."""

_USAGE = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}
_PATH = re.compile(r"/model/[^/]+/(converse|converse-stream)")
_AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=\S+, SignedHeaders=(\S+), Signature=([0-9a-f]{64})")


class _StandIn(ThreadingHTTPServer):
    """``refusals`` says why each request was refused that was."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.credentials = Credentials(
            credentials["AWS_ACCESS_KEY_ID"],
            credentials["AWS_SECRET_ACCESS_KEY"],
            credentials["AWS_SESSION_TOKEN"],
        )
        self.refusals: list[str] = []


@contextmanager
def bedrock(credentials: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve Bedrock to a role's credentials; gives its origin, and why requests were refused, as far as any were."""
    server = _StandIn(credentials)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.refusals
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        operation = _PATH.fullmatch(self.path)
        reason = "no such path" if operation is None else _refusal(self, body, self.server.credentials)
        if operation is None or reason is not None:
            self.server.refusals.append(f"{self.path}: {reason}")
            self._answer(403, "application/json", json.dumps({"message": reason}).encode())
        elif operation[1] == "converse":
            message = {"role": "assistant", "content": [{"text": ANSWER}]}
            answer = {"output": {"message": message}, "stopReason": "end_turn", "usage": _USAGE}
            self._answer(200, "application/json", json.dumps(answer).encode())
        else:
            self._answer(200, "application/vnd.amazon.eventstream", b"".join(_events()))

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the rehearsal reports."""


def _refusal(request: BaseHTTPRequestHandler, body: bytes, credentials: Credentials) -> str | None:
    """Return what is wrong with a request's signature, or None."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return "no signature of version 4"
    names, signature = found.groups()
    signed = {name: request.headers[name] for name in names.split(";")}
    missing = {"host", "x-amz-date", "x-amz-security-token"} - signed.keys()
    if missing:
        return f"{sorted(missing)} not signed"
    age_s = abs((datetime.now(UTC) - datetime.strptime(signed["x-amz-date"], "%Y%m%dT%H%M%S%z")).total_seconds())
    if age_s > SIGNED_WITHIN_S:
        return f"signed {age_s:.0f} s ago"
    again = AWSRequest("POST", f"http://{signed['host']}{request.path}", signed, body)
    again.context["timestamp"] = signed["x-amz-date"]
    signer = SigV4Auth(credentials, "bedrock", REGION)
    right = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return None if hmac.compare_digest(right, signature) else "the signature does not match"


def _events() -> Iterator[bytes]:
    yield _event("messageStart", {"role": "assistant"})
    yield _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": ANSWER}})
    yield _event("contentBlockStop", {"contentBlockIndex": 0})
    yield _event("messageStop", {"stopReason": "end_turn"})
    yield _event("metadata", {"usage": _USAGE})


def _event(kind: str, payload: Mapping[str, object]) -> bytes:
    """Return one message of an event stream (Amazon Transcribe developer guide, "Event stream encoding")."""
    body = json.dumps(payload).encode()
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2) + value
        for name, value in ((b":message-type", b"event"), (b":event-type", kind.encode()))
    )
    prelude = (16 + len(headers) + len(body)).to_bytes(4) + len(headers).to_bytes(4)
    message = prelude + binascii.crc32(prelude).to_bytes(4) + headers + body
    return message + binascii.crc32(message).to_bytes(4)
