"""Counting a request's tokens: the upstream's count where it speaks Messages, an estimate where not.

The estimate is the tokens of the prepared pictures; and, of what the model reads besides, one token for every four
bytes of UTF-8 (four English letters, a Chinese character and a third): system, text and thinking blocks, tool results,
the names and inputs of tool calls, tool definitions as JSON; and four tokens a message for what stands between them.
"""

from collections.abc import Collection, Sequence

import msgspec

from obscura.wire.dialect import Outbound
from obscura.wire.messages.ask import NATIVE, MessagesAsk
from obscura.wire.messages.native import NATIVE_REPLY
from obscura.wire.messages.to_chat import chat_request
from obscura.wire.raw_body import Node

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


class _Count(msgspec.Struct):
    input_tokens: int
    estimate: bool


class CountAsk(MessagesAsk):
    """A request whose tokens are to be counted."""

    def check_carried(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField or InvalidRequest on what could not be asked for."""
        if NATIVE not in dialects:
            chat_request(self.body, False, needs_max_tokens=False)

    def outbound(self, dialects: Collection[str] = (NATIVE,)) -> Outbound:
        """Write the request for an upstream that counts; only those that speak Messages do."""
        return Outbound("/messages/count_tokens", self.native_body(), False, NATIVE_REPLY)

    def counted_by(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts by itself."""
        return NATIVE in dialects

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Write the answer that says it is an estimate."""
        read_bytes = sum(len(text.encode()) for text in self.texts)
        messages = self.body.root["messages"]
        turns = messages if isinstance(messages, list) else []
        read_bytes += sum(self._calls_bytes(turn["content"]) for turn in turns if isinstance(turn, dict))
        if "tools" in self.body.root:
            read_bytes += len(self.body.render(self.body.root["tools"]))
        counted = -(-read_bytes // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(turns) + sum(image_tokens)
        return msgspec.json.encode(_Count(counted, True))

    def _calls_bytes(self, content: Node) -> int:
        calls = [block for block in (content if isinstance(content, list) else []) if isinstance(block, dict)]
        return sum(len(self.body.render(block[key])) for block in calls for key in ("name", "input") if key in block)
