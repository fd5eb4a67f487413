"""How a chat upstream's answer is told to a caller of Messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from obscura.wire.dialect import StreamPassage
from obscura.wire.messages.completion import message_of
from obscura.wire.messages.passage import MessagesPassage


@dataclass(frozen=True, slots=True)
class MessagesReply:
    """What the way back knows of the request; ``model`` is named as it was asked for."""

    model: str
    stop_sequences: tuple[str, ...]
    thinking_shown: bool

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Write the completion as a message."""
        return message_of(upstream_body, self.model, self.stop_sequences, self.thinking_shown, image_tokens)

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a stream of chunks, which becomes one of events."""
        return MessagesPassage(self.model, self.stop_sequences, self.thinking_shown, image_tokens)
