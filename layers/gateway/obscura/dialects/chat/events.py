"""The events of a chat stream: how it ends, how it fails, and where it carries the image tokens."""

import re

from obscura.dialects.errors import openai_error
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse
from obscura.dialects.sse import format_event
from obscura.errors import ObscuraError


def error_event(error: ObscuraError, request_id: str) -> bytes:
    """Render an error as the last event of a stream: a chunk that OpenAI's SDKs raise as an APIError."""
    return format_event(openai_error(error))


# Some servers send no [DONE].
_END_MARKERS = EndMarkers(
    terminal=re.compile(rb"^data: ?\[DONE\]", re.MULTILINE),
    sufficient=re.compile(rb'"finish_reason": ?"|^data: ?\{"error"', re.MULTILINE),
    hints=(b"[DONE]", b'finish_reason":"', b'finish_reason": "', b'{"error"'),
)
_TOKEN_PATH = ("usage", "prompt_tokens_details", "image_tokens")

PASSTHROUGH = PassthroughResponse(_TOKEN_PATH, (_TOKEN_PATH,), error_event, _END_MARKERS, "choices")
