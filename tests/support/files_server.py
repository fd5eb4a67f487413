"""An upstream with a Files API, OpenAI's or Anthropic's, which refuses a request that names a file it does not have."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback_server import Received, Wire

ANSWERS: dict[str, Any] = {
    "/v1/responses": {"id": "resp_1", "object": "response", "status": "completed", "output": []},
    "/v1/messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "A cat."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "/v1/messages/count_tokens": {"input_tokens": 1},
}
CHAT_ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A cat."}, "finish_reason": "stop"}],
}


@dataclass
class FilesServer:
    """An upstream with a Files API: ``files`` by their ids, as they were uploaded."""

    missing: tuple[int, str] = (404, "No such File object: {id}")
    expires_in_s: int | None = None
    upload_status: int = 200
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: list[Received] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    asked: list[Received] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def respond(self, request: Received, wire: Wire) -> None:
        if request.path == "/v1/files":
            await self._upload(request, wire)
        elif request.path.startswith("/v1/files/"):
            self.deleted.append(request.path.rpartition("/")[2])
            self.files.pop(self.deleted[-1], None)
            await wire.answer(200, b"{}")
        else:
            self.asked.append(request)
            named = re.findall(rb'"file_id":"([^"]+)"', request.body)
            lost = [name.decode() for name in named if name.decode() not in self.files]
            if lost:
                status, message = self.missing
                error = {"error": {"message": message.format(id=lost[0]), "type": "invalid_request_error"}}
                await wire.answer(status, json.dumps(error).encode())
            else:
                await wire.answer(200, json.dumps(ANSWERS.get(request.path.split("?")[0], CHAT_ANSWER)).encode())

    async def _upload(self, request: Received, wire: Wire) -> None:
        self.uploads.append(request)
        if self.gate:
            await self.gate.wait()
        if self.upload_status != 200:
            await wire.answer(self.upload_status, b"{}")
            return
        file_id = f"file-{len(self.uploads)}"
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        last = request.body.split(b"--" + boundary)[-2]
        self.files[file_id] = last.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        times = {} if self.expires_in_s is None else {"created_at": 5, "expires_at": 5 + self.expires_in_s}
        await wire.answer(200, json.dumps({"id": file_id} | times).encode())
