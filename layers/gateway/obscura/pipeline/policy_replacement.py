"""The answer in place of the model's, where a policy decides that there is one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from obscura.dialects.base import ParsedRequest, ResponseTranslator
from obscura.errors import ObscuraError
from obscura.pipeline.apply_policy import RequestPolicy
from obscura.pipeline.call_upstream import EVENT_STREAM
from obscura.pipeline.request import GatewayResponse, StreamingBody
from obscura.policy.render import Shown, replacement_text, splice, splice_events


@dataclass(frozen=True, slots=True)
class Replacement:
    """Makes the answer in place of the model's; without the request, whose megabytes are free by then."""

    model: str
    streamed: bool
    translator: ResponseTranslator

    @classmethod
    def of(cls, parsed: ParsedRequest) -> "Replacement":
        """Return that of a request."""
        return cls(parsed.model, parsed.streamed, parsed.answer_translator())

    def response(self, policy: RequestPolicy, shown: Shown) -> GatewayResponse:
        """Return the answer, whole or as a stream, in the dialect of the request."""
        text = replacement_text(shown.outcome.held, policy.gate.held.document)
        message = {"role": "assistant", "content": text}
        completion = {"id": "chatcmpl-policy", "created": 0, "model": self.model}
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        created = {**completion, "created": int(policy.now_s)}
        headers = shown.headers()
        if not self.streamed:
            choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
            whole = {**created, "object": "chat.completion", "choices": choices, "usage": usage}
            body = self.translator.translate(msgspec.json.encode(whole), ())
            return GatewayResponse(200, "application/json", splice(body, shown.json()), headers)
        stream = self.translator.stream(())
        chunk = {**created, "object": "chat.completion.chunk"}
        choices = [
            {"index": 0, "delta": message, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
        frames = b"".join(b"data: %b\n\n" % msgspec.json.encode({**chunk, "choices": [choice]}) for choice in choices)
        frames += b"data: [DONE]\n\n"
        events = splice_events(stream.feed(frames) + stream.finish(), shown.json())

        async def chunks() -> AsyncIterator[bytes]:
            yield events

        async def nothing() -> None:
            return

        def fail(error: ObscuraError, request_id: str) -> bytes:
            return splice_events(stream.fail(error, request_id), shown.json())

        return GatewayResponse(200, EVENT_STREAM, StreamingBody(chunks(), fail, nothing), headers)
