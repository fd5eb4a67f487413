"""How a chat completion's end and its usage are told in a response."""

from collections.abc import Sequence

from msgspec import UNSET

from obscura.wire.chat_answer import Usage
from obscura.wire.responses.objects import (
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    ResponseUsage,
)


def incomplete_details(finish_reason: str | None) -> IncompleteDetails | None:
    """Say why an answer is incomplete, None when it is complete."""
    match finish_reason:
        case "length":
            return IncompleteDetails("max_output_tokens")
        case "content_filter":
            return IncompleteDetails("content_filter")
        case _:
            return None


def response_usage(usage: Usage | None, image_tokens: Sequence[int]) -> ResponseUsage | None:
    """Tell the upstream's usage, and the images' tokens; None when the upstream told none."""
    if usage is None:
        return None
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    reasoning = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None
    return ResponseUsage(
        usage.prompt_tokens,
        InputTokensDetails(cached or 0, sum(image_tokens) if image_tokens else UNSET),
        usage.completion_tokens,
        OutputTokensDetails(reasoning or 0),
        usage.prompt_tokens + usage.completion_tokens,
    )
