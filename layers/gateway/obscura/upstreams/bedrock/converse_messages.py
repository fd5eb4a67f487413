"""Chat's messages as Converse's (Bedrock API reference, "Message", "ContentBlock", "SystemContentBlock")."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from obscura.errors import ImageTooLarge, InvalidRequest, TooManyImages, UnsupportedOperation
from obscura.upstreams.bedrock.spliced import SplicedJson

MAX_IMAGES = 20
MAX_IMAGE_BASE64_CHARS = 5_242_880
"""3.75 MiB of an image, in base64."""
_FORMATS = frozenset({"png", "jpeg", "gif", "webp"})
_HINTS = frozenset({"cache_control", "prompt_cache_breakpoint", "annotations", "detail", "index", "extra_content"})
_UNSIGNED_REASONING = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
"""Sent back by clients; only signed reasoning (``thinking_blocks``) can be given to a model again."""
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}

type Block = dict[str, Any]


def unsupported(path: str, hint: str) -> UnsupportedOperation:
    """Return the error for a field or a value that Converse cannot carry."""
    return UnsupportedOperation(f"'{path}' cannot be carried to Amazon Bedrock's Converse. {hint}", param=path)


def is_set(value: object) -> bool:
    """Whether a field says something: null, [] and {} do not."""
    return value is not None and value not in ([], {})


def refuse_others(holder: Mapping[str, Any], known: Sequence[str], path: str) -> None:
    """Raise UnsupportedOperation for a field that is neither known nor a hint."""
    for key, value in holder.items():
        if key not in known and key not in _HINTS and is_set(value):
            raise unsupported(f"{path}.{key[:100]}", "Leave it out.")


def mapping(value: object, path: str) -> dict[str, Any]:
    """Return an object; raises InvalidRequest for anything else."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{path}' must be an object.", param=path)
    return value


def items(value: object, path: str) -> list[Any]:
    """Return an array, empty if it is absent or null; raises InvalidRequest for anything else."""
    if value is not None and not isinstance(value, list):
        raise InvalidRequest(f"'{path}' must be an array.", param=path)
    return value or []


def text_of(value: object, path: str) -> str:
    """Return a string; raises InvalidRequest for anything else."""
    if not isinstance(value, str):
        raise InvalidRequest(f"'{path}' must be a string.", param=path)
    return value


class ConverseMessages:
    """Writes the messages of one request; ``system`` and ``messages`` are Converse's once ``add`` has had them all."""

    def __init__(self, body: SplicedJson, *, caches: bool) -> None:
        """``caches`` whether the model takes cache points."""
        self._body = body
        self._caches = caches
        self._images = 0
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self.has_tool_blocks = False

    def add(self, message: dict[str, Any], path: str) -> None:
        """Add one message of chat; those that follow each other in one role become one, which Bedrock requires."""
        match text_of(message.get("role"), f"{path}.role"):
            case "system" | "developer":
                refuse_others(message, ("role", "content"), path)
                self.system += self._content(message, path, images=False)
            case "user":
                refuse_others(message, ("role", "content"), path)
                self._append("user", self._content(message, path))
            case "assistant":
                self._append("assistant", self._assistant(message, path))
            case "tool":
                refuse_others(message, ("role", "content", "tool_call_id", "name"), path)
                self._append("user", self._tool_result(message, path))
            case _:
                raise unsupported(f"{path}.role", "Send system, developer, user, assistant or tool.")

    def _append(self, role: str, blocks: list[Block]) -> None:
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    def _assistant(self, message: dict[str, Any], path: str) -> list[Block]:
        known = ("role", "content", "refusal", "tool_calls", "thinking_blocks", *_UNSIGNED_REASONING)
        refuse_others(message, known, path)
        blocks = [
            block
            for index, part in enumerate(items(message.get("thinking_blocks"), f"{path}.thinking_blocks"))
            for block in _reasoning(mapping(part, f"{path}.thinking_blocks[{index}]"))
        ]
        blocks += self._content(message, path, images=False)
        if message.get("refusal"):
            blocks.append({"text": text_of(message["refusal"], f"{path}.refusal")})
        for index, call in enumerate(items(message.get("tool_calls"), f"{path}.tool_calls")):
            blocks.append(self._tool_use(mapping(call, f"{path}.tool_calls[{index}]"), f"{path}.tool_calls[{index}]"))
        return blocks

    def _tool_use(self, call: dict[str, Any], path: str) -> Block:
        if call.get("type", "function") != "function":
            raise unsupported(f"{path}.type", "Send functions.")
        function = mapping(call.get("function"), f"{path}.function")
        arguments = text_of(function.get("arguments") or "{}", f"{path}.function.arguments")
        try:
            given = msgspec.json.decode(arguments.strip() or "{}")
        except (msgspec.DecodeError, RecursionError):
            given = None
        if not isinstance(given, dict):
            where = f"{path}.function.arguments"
            raise InvalidRequest(f"'{where}' must be a JSON object, which Amazon Bedrock takes alone.", param=where)
        self.has_tool_blocks = True
        name = text_of(function.get("name"), f"{path}.function.name")
        return {"toolUse": {"toolUseId": text_of(call.get("id"), f"{path}.id"), "name": name, "input": given}}

    def _tool_result(self, message: dict[str, Any], path: str) -> list[Block]:
        self.has_tool_blocks = True
        blocks = self._content(message, path)
        points = [block for block in blocks if "cachePoint" in block]
        content = [block for block in blocks if "cachePoint" not in block] or [{"text": "(empty)"}]
        call_id = text_of(message.get("tool_call_id"), f"{path}.tool_call_id")
        return [{"toolResult": {"toolUseId": call_id, "content": content}}, *points]

    def _content(self, message: dict[str, Any], path: str, *, images: bool = True) -> list[Block]:
        content = message.get("content")
        blocks: list[Block] = []
        if isinstance(content, str):
            blocks += [{"text": content}] if content else []
        elif content is not None:
            if not isinstance(content, list):
                raise InvalidRequest(f"'{path}.content' must be a string or an array.", param=f"{path}.content")
            for index, part in enumerate(content):
                part_path = f"{path}.content[{index}]"
                blocks += self._part(mapping(part, part_path), part_path, images=images)
        return blocks + self.cache_point(message)

    def _part(self, part: dict[str, Any], path: str, *, images: bool) -> list[Block]:
        kind = text_of(part.get("type") or ("text" if "text" in part else "image_url"), f"{path}.type")
        if kind in _TEXTS:
            key = _TEXTS[kind]
            refuse_others(part, ("type", key), path)
            text = text_of(part.get(key), f"{path}.{key}")
            return ([{"text": text}] if text else []) + self.cache_point(part)
        if kind not in {"image_url", "input_image"}:
            raise unsupported(f"{path}.type", "Send text and images.")
        refuse_others(part, ("type", "image_url"), path)
        if not images:
            raise unsupported(path, "Images stand in messages of the user and in results of tools.")
        return [self._image(part.get("image_url"), f"{path}.image_url"), *self.cache_point(part)]

    def _image(self, value: object, path: str) -> Block:
        url = value.get("url") if isinstance(value, dict) else value
        image = self._body.image(url)
        if image is None or image.subtype not in _FORMATS:
            raise unsupported(path, "Send an image of your own, which the gateway prepares as PNG, JPEG or WEBP.")
        self._images += 1
        if self._images > MAX_IMAGES:
            raise TooManyImages(f"Amazon Bedrock takes {MAX_IMAGES} images in a request. Send fewer.", param=path)
        if len(image.base64) > MAX_IMAGE_BASE64_CHARS:
            raise ImageTooLarge(
                f"The prepared image has {len(image.base64):,} bytes as base64; Amazon Bedrock takes "
                f"{MAX_IMAGE_BASE64_CHARS:,} (3.75 MiB of image). Send a smaller one, or a lower detail.",
                param=path,
            )
        return {"image": {"format": image.subtype, "source": {"bytes": image.mark}}}

    def cache_point(self, holder: Mapping[str, Any]) -> list[Block]:
        """Return the cache point that a part, a message or a tool asks for after it, if the model takes them."""
        control = holder.get("cache_control")
        if not self._caches or not isinstance(control, dict):
            return []
        ttl = {"ttl": control["ttl"]} if control.get("ttl") in ("5m", "1h") else {}
        return [{"cachePoint": {"type": "default", **ttl}}]


def _reasoning(block: dict[str, Any]) -> list[Block]:
    if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
        return [{"reasoningContent": {"redactedContent": block["data"]}}]
    text, signature = block.get("thinking"), block.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str) or not signature:
        return []
    return [{"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}]
