"""A parsed Responses request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from obscura.wire.dialect import ImageSlot, Outbound, VideoSlot
from obscura.wire.responses.chat_request import chat_request
from obscura.wire.responses.chat_tools import read_tools
from obscura.wire.responses.echo import echo_members
from obscura.wire.responses.gathered import Gathered
from obscura.wire.responses.native import NativeReply
from obscura.wire.responses.reply import TranslatedReply


@dataclass(frozen=True, slots=True)
class ResponsesAsk:
    """A request for a model response."""

    model: str
    streamed: bool
    gathered: Gathered

    @property
    def image_slots(self) -> Sequence[ImageSlot]:
        """Every picture, in request order."""
        return self.gathered.image_slots

    @property
    def video_slots(self) -> Sequence[VideoSlot]:
        """None: Responses have no videos."""
        return ()

    @property
    def texts(self) -> Sequence[str]:
        """Instructions, every text of the input, outputs of functions included."""
        return self.gathered.texts

    def outbound(self, dialects: Collection[str] = ("chat",)) -> Outbound:
        """Write the request as it came for an upstream with this dialect, else as a chat completion request.

        Raises UnsupportedField, InvalidRequest, or UnsupportedOperation for a picture that nobody could check.
        """
        body = self.gathered.body
        if "responses" in dialects:
            if self.gathered.unchecked is not None:
                raise self.gathered.unchecked
            return Outbound("/responses", body.render(), self.streamed, NativeReply())
        tools = read_tools(body)
        chat = chat_request(self.gathered, tools, self.streamed)
        reply = TranslatedReply(self.model, echo_members(body, tools))
        return Outbound("/chat/completions", body.render(chat), self.streamed, reply)
