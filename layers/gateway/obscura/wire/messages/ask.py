"""A request to Messages: passed on where the upstream speaks Messages itself, translated to chat where not."""

from collections.abc import Collection
from dataclasses import dataclass

from obscura.wire.dialect import ImageSlot, Outbound, VideoSlot
from obscura.wire.messages.content import Found
from obscura.wire.messages.image_source import as_base64_source
from obscura.wire.messages.native import NATIVE_REPLY
from obscura.wire.messages.reply import MessagesReply
from obscura.wire.messages.to_chat import chat_request
from obscura.wire.raw_body import RawBody

NATIVE = "messages"


@dataclass(slots=True)
class MessagesAsk:
    """A request for a message; its content stands opened in ``body.root``."""

    model: str
    streamed: bool
    body: RawBody
    found: Found

    @property
    def image_slots(self) -> list[ImageSlot]:
        """Every picture, in request order: system, then messages."""
        return self.found.image_slots

    @property
    def video_slots(self) -> list[VideoSlot]:
        """None: Messages have no videos."""
        return []

    @property
    def texts(self) -> list[str]:
        """Every text: system, text and thinking blocks, tool results, documents."""
        return self.found.texts

    def check_carried(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField or InvalidRequest on what cannot be translated."""
        if NATIVE not in dialects:
            chat_request(self.body, self.streamed)

    def outbound(self, dialects: Collection[str] = ("chat",)) -> Outbound:
        """Write the request; translated, it raises UnsupportedField or InvalidRequest on what cannot be carried."""
        if NATIVE in dialects:
            return Outbound("/messages", self.native_body(), self.streamed, NATIVE_REPLY)
        told = chat_request(self.body, self.streamed)
        reply = MessagesReply(self.model, told.stop_sequences, told.thinking_shown)
        return Outbound("/chat/completions", self.body.render(told.tree), self.streamed, reply)

    def native_body(self) -> bytes:
        """Write the request as it came, with the prepared pictures as base64 sources."""
        for block in self.found.image_blocks:
            as_base64_source(block)
        return self.body.render()
