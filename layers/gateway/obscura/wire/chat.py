"""OpenAI chat completions: the request, read only where pictures and text stand; the answer, passed on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Raw

from obscura.errors import (
    InvalidRequest,
    ObscuraError,
    TooManyContentParts,
    TooManyImages,
    UnsupportedOperation,
)
from obscura.wire.chat_usage import ChatPassage, with_image_tokens
from obscura.wire.dialect import Ask, ContentLimits, ImageSlot, Outbound, StreamPassage
from obscura.wire.error_shapes import openai_error
from obscura.wire.raw_body import (
    Node,
    RawBody,
    RawObject,
    is_array,
    is_null,
    is_object,
    is_string,
    items,
    members,
)
from obscura.wire.sse import data_event

DETAILS = ("low", "auto", "high")


@dataclass(slots=True)
class ChatAsk:
    """A chat completion request."""

    model: str
    streamed: bool
    body: RawBody
    image_slots: list[ImageSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def outbound(self) -> Outbound:
        """Write the request for an upstream that speaks chat, as every one does."""
        return Outbound("/chat/completions", self.body.render(), self.streamed, ChatReply())


class ChatReply:
    """A chat completion passed on to a caller of chat completions."""

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Give the upstream's completion with the image tokens in its usage."""
        return with_image_tokens(upstream_body, image_tokens)

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a stream of chunks."""
        return ChatPassage(image_tokens)


class ChatDialect:
    """``POST /v1/chat/completions`` (OpenAI's API reference, "Create chat completion")."""

    name = "chat"

    def parse(self, body: RawBody, limits: ContentLimits) -> Ask:
        """Read a request: model, stream, and the messages' pictures and texts."""
        root = body.root
        ask = ChatAsk(_required_text(body, root, "model"), _flag(root, "stream"), body)
        if is_null(root.get("messages")):
            raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
        messages = items(root["messages"], "messages")
        if not messages:
            raise InvalidRequest("'messages' is empty. Send at least one message.", param="messages")
        root["messages"] = [
            _open_message(message, f"messages[{index}]", ask, limits) for index, message in enumerate(messages)
        ]
        if len(ask.image_slots) > limits.images:
            raise TooManyImages(
                f"The request has {len(ask.image_slots)} images; {limits.images} are allowed. Split it.",
                param=ask.image_slots[limits.images].path,
            )
        body.check_unread()
        return ask

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Write OpenAI's error body."""
        return openai_error(error)

    def render_error_event(self, error: ObscuraError, request_id: str) -> bytes:
        """Write the chunk that OpenAI's SDKs raise as an APIError."""
        return data_event(openai_error(error))


def _open_message(leaf: Raw, path: str, ask: ChatAsk, limits: ContentLimits) -> RawObject:
    message = members(leaf, path)
    _required_text(ask.body, message, "role", path)
    content = message.get("content")
    if is_null(content):
        return message
    if is_string(content):
        ask.texts.append(ask.body.text(content))
    elif is_array(content):
        message["content"] = _open_parts(items(content, f"{path}.content"), f"{path}.content", ask, limits)
    else:
        raise InvalidRequest(f"'{path}.content' must be a string or an array of parts.", param=f"{path}.content")
    return message


def _open_parts(parts: list[Raw], path: str, ask: ChatAsk, limits: ContentLimits) -> list[Node]:
    if len(parts) > limits.content_parts:
        raise TooManyContentParts(
            f"'{path}' has {len(parts)} parts; {limits.content_parts} are allowed in a message. Use more messages.",
            param=path,
        )
    opened: list[Node] = []
    for index, part in enumerate(parts):
        if is_string(part):
            ask.texts.append(ask.body.text(part))
            opened.append(part)
        else:
            opened.append(_open_part(part, f"{path}[{index}]", ask))
    return opened


def _open_part(leaf: Raw, path: str, ask: ChatAsk) -> RawObject:
    part = members(leaf, path)
    kind = _required_text(ask.body, part, "type", path) if "type" in part else ""
    if "image_url" in part:
        _open_image(part, path, ask)
    elif kind in {"image_url", "input_image"}:
        raise InvalidRequest(f"'{path}' has no image_url.", param=f"{path}.image_url")
    elif "image" in kind or "image_embeds" in part or "image_pil" in part:
        raise UnsupportedOperation(
            f"'{path}' carries a picture in a form that cannot be checked. Send it as an image_url part.", param=path
        )
    elif "video" in kind or "video_url" in part:
        raise UnsupportedOperation(f"'{path}' is a video; this endpoint takes pictures. Send frames.", param=path)
    for key in ("text", "refusal"):
        text = part.get(key)
        if is_string(text):
            ask.texts.append(ask.body.text(text))
    return part


def _open_image(part: RawObject, part_path: str, ask: ChatAsk) -> None:
    path = f"{part_path}.image_url"
    image_url = part["image_url"]
    if is_object(image_url):
        holder = members(image_url, path)
        part["image_url"] = holder
        path, key, detail = f"{path}.url", "url", holder.get("detail", part.get("detail"))
    else:
        holder, key, detail = part, "image_url", part.get("detail")
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}' must be a string: an https URL or a base64 data URL.", param=path)
    detail_path = path.removesuffix(".url").removesuffix(".image_url") if holder is part else path.removesuffix(".url")
    ask.image_slots.append(
        ImageSlot(path, ask.body.string_slice(leaf), _detail(detail, f"{detail_path}.detail", ask), holder, key)
    )


def _detail(leaf: Node | None, path: str, ask: ChatAsk) -> str:
    if is_null(leaf):
        return "auto"
    detail = ask.body.text(leaf) if is_string(leaf) else ""
    if detail not in DETAILS:
        raise InvalidRequest(f"'{path}' must be one of low, auto and high.", param=path)
    return detail


def _required_text(body: RawBody, holder: RawObject, key: str, path: str = "") -> str:
    full_path = f"{path}.{key}" if path else key
    leaf = holder.get(key)
    text = body.text(leaf) if is_string(leaf) else ""
    if not text:
        raise InvalidRequest(f"'{full_path}' is required and must be a string.", param=full_path)
    return text


def _flag(holder: RawObject, key: str) -> bool:
    leaf = holder.get(key)
    if is_null(leaf):
        return False
    if not isinstance(leaf, Raw) or bytes(leaf) not in {b"true", b"false"}:
        raise InvalidRequest(f"'{key}' must be true or false.", param=key)
    return bytes(leaf) == b"true"
