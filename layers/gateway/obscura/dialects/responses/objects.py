"""The types of a response (API reference, "The response object"), and how they are written."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from obscura.dialects.chat.response import ChatUsage, TokenLogprob, TopLogprob

type ItemStatus = Literal["in_progress", "completed", "incomplete"]
type Status = Literal["in_progress", "completed", "incomplete", "failed"]


class LikelyToken(Struct):
    """A token that was likely at a position of the text."""

    token: str
    bytes: list[int]
    logprob: float


class Logprob(LikelyToken):
    """A token of the text, with the likeliest ones in its place."""

    top_logprobs: list[LikelyToken]


class OutputText(Struct, tag="output_text", tag_field="type"):
    """The model's text."""

    text: str
    annotations: tuple[()] = ()
    logprobs: Sequence[Logprob] = ()


class Refusal(Struct, tag="refusal", tag_field="type"):
    """The model's refusal to answer."""

    refusal: str


class ReasoningText(Struct, tag="reasoning_text", tag_field="type"):
    """Reasoning text as the upstream sent it."""

    text: str


type Part = OutputText | Refusal | ReasoningText


class MessageItem(Struct, tag="message", tag_field="type"):
    """A message from the model."""

    id: str
    status: ItemStatus
    content: list[Part]
    role: str = "assistant"


class ReasoningItem(Struct, tag="reasoning", tag_field="type"):
    """Reasoning: its text, never a summary."""

    id: str
    status: ItemStatus
    content: list[Part]
    summary: tuple[()] = ()


class FunctionCallItem(Struct, tag="function_call", tag_field="type"):
    """A call of a function; ``arguments`` is JSON text."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


class CustomToolCallItem(Struct, tag="custom_tool_call", tag_field="type"):
    """A call of a custom tool; ``input`` is a text of any form."""

    id: str
    call_id: str
    name: str
    input: str
    namespace: str | UnsetType = UNSET


class ToolSearchCallItem(Struct, tag="tool_search_call", tag_field="type"):
    """A call of the client's own search of tools; ``arguments`` is a JSON object."""

    id: str
    call_id: str
    arguments: Raw
    status: ItemStatus
    execution: str = "client"


type ToolCallItem = FunctionCallItem | CustomToolCallItem | ToolSearchCallItem
type OutputItem = MessageItem | ReasoningItem | ToolCallItem


class InputTokensDetails(Struct):
    """The input tokens by source; ``image_tokens`` only for a request with images."""

    cached_tokens: int
    image_tokens: int | UnsetType = UNSET
    cache_write_tokens: int = 0


class OutputTokensDetails(Struct):
    """The output tokens by use."""

    reasoning_tokens: int


class ResponseUsage(Struct):
    """The tokens of a response."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class IncompleteDetails(Struct):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseError(Struct):
    """Why a response failed."""

    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class ResponseHead(Struct):
    """The fields of a response that do not repeat its request; times in seconds since 1970."""

    id: str
    created_at: int
    model: str
    status: Status
    output: list[OutputItem]
    object: str = "response"
    completed_at: int | None = None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    usage: ResponseUsage | UnsetType | None = UNSET


def logprobs_from_chat(logprobs: Sequence[TokenLogprob]) -> list[Logprob]:
    """Return the log probabilities of a text's tokens as a response has them."""
    return [
        Logprob(one.token, _bytes_of(one), one.logprob, [_likely(other) for other in one.top_logprobs or ()])
        for one in logprobs
    ]


def _likely(one: TopLogprob) -> LikelyToken:
    return LikelyToken(one.token, _bytes_of(one), one.logprob)


def _bytes_of(one: TopLogprob) -> list[int]:
    return list(one.token.encode()) if one.bytes is None else one.bytes


def encode_response(head: ResponseHead, echo: bytes) -> msgspec.Raw:
    """Write a complete response: its head and the fields that repeat the request (``response.request_echo``)."""
    return msgspec.Raw(b"%b,%b}" % (msgspec.json.encode(head)[:-1], echo))


def incomplete_details(finish_reason: str | None) -> IncompleteDetails | None:
    """Return why a response is incomplete, or None if it is complete."""
    match finish_reason:
        case "length":
            return IncompleteDetails("max_output_tokens")
        case "content_filter":
            return IncompleteDetails("content_filter")
        case _:
            return None


def usage_from_chat(usage: ChatUsage | None, image_tokens: Sequence[int]) -> ResponseUsage | None:
    """Return the upstream's usage with the image tokens, or None if the upstream reported none."""
    if usage is None:
        return None
    return ResponseUsage(
        usage.input_tokens,
        InputTokensDetails(usage.cached_tokens, sum(image_tokens) if image_tokens else UNSET),
        usage.output_tokens,
        OutputTokensDetails(usage.reasoning_tokens),
        usage.input_tokens + usage.output_tokens,
    )
