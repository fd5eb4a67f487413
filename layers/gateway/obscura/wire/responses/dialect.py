"""The Responses dialect as the pipeline sees it."""

from obscura.wire.dialect import Ask, ContentLimits
from obscura.wire.error_shapes import OpenAIShape
from obscura.wire.fields import check_image_count, flag, required_text
from obscura.wire.raw_body import RawBody
from obscura.wire.responses.ask import ResponsesAsk
from obscura.wire.responses.gathered import Gathered
from obscura.wire.responses.reading import read_request


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
