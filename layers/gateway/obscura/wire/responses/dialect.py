"""The Responses dialect as the pipeline sees it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from obscura.wire.dialect import Ask, ContentLimits, ImageSlot, Outbound, VideoSlot
from obscura.wire.error_shapes import OpenAIShape
from obscura.wire.fields import check_image_count, flag, required_text
from obscura.wire.raw_body import RawBody
from obscura.wire.responses.from_chat.echo import echo_members
from obscura.wire.responses.from_chat.reply import TranslatedReply
from obscura.wire.responses.gathered import Gathered
from obscura.wire.responses.native import NATIVE_REPLY
from obscura.wire.responses.reading import read_request
from obscura.wire.responses.to_chat.request import chat_request
from obscura.wire.responses.to_chat.tools import read_tools

NATIVE = "responses"


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

    def check_carried(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField, InvalidRequest, or UnsupportedOperation for a picture that nobody could check."""
        if NATIVE not in dialects:
            chat_request(self.gathered, read_tools(self.gathered.body), self.streamed)
        elif self.gathered.unchecked is not None:
            raise self.gathered.unchecked

    def outbound(self, dialects: Collection[str] = ("chat",)) -> Outbound:
        """Write the request as it came for an upstream with this dialect, else as a chat completion request.

        Raises what ``check_carried`` raises.
        """
        body = self.gathered.body
        if NATIVE in dialects:
            self.check_carried(dialects)
            return Outbound("/responses", body.render(), self.streamed, NATIVE_REPLY)
        tools = read_tools(body)
        chat = chat_request(self.gathered, tools, self.streamed)
        reply = TranslatedReply(self.model, echo_members(body, tools))
        return Outbound("/chat/completions", body.render(chat), self.streamed, reply)


class ResponsesDialect(OpenAIShape):
    """``POST /v1/responses`` (OpenAI's API reference, "Create a model response")."""

    name = "responses"

    def parse(self, body: RawBody, limits: ContentLimits) -> Ask:
        """Read a request: model, stream, and the pictures and texts of its instructions and input."""
        model, streamed = required_text(body, body.root, "model"), flag(body.root, "stream")
        gathered = Gathered(body, limits)
        read_request(gathered)
        check_image_count(gathered.image_slots, limits)
        body.check_unread()
        return ResponsesAsk(model, streamed, gathered)
