"""The source of an image block: base64, a URL or a file id; once an image is prepared, its data URL stands there."""

from dataclasses import dataclass, field

from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot, SourceKind
from obscura.dialects.json.fields import (
    one_of,
    require_part_count,
    required_object,
    required_string,
    required_text,
    text_or_empty,
)
from obscura.dialects.json.raw import (
    Node,
    RawJson,
    RawObject,
    is_array,
    is_object,
    is_string,
    open_array,
    open_object,
    quoted,
)
from obscura.errors import InvalidRequest, UnsupportedOperation

_KINDS = {
    "base64": (SourceKind.BASE64, "data"),
    "url": (SourceKind.URL, "url"),
    "file": (SourceKind.FILE_ID, "file_id"),
}


def image_slot(block: RawObject, block_path: str, body: RawJson) -> ImageSlot:
    """Open the source of an image block (API reference, "Image block"); the declared media type is not believed.

    Anthropic's images have no detail, so it is auto. Raises InvalidRequest on a source of another shape.
    """
    path = f"{block_path}.source"
    source = open_object(required_object(block, "source", block_path), path)
    block["source"] = source
    kind, key = _KINDS[one_of(source, "type", _KINDS, body, path)]
    if key not in source:
        raise InvalidRequest(f"'{path}' has no {key}.", param=f"{path}.{key}")
    leaf = required_string(source, key, path)

    def replace(data_url: bytes) -> None:
        block["source"] = quoted(data_url)

    return ImageSlot(f"{path}.{key}", body.string_slice(leaf), "auto", replace, kind)


def as_base64_source(block: RawObject) -> None:
    """Write a prepared image's data URL as the base64 source that Anthropic's API takes, in its place.

    Raises TypeError on an image that was not prepared: what nobody checked never leaves.
    """
    data_url = block["source"]
    if not isinstance(data_url, Raw):
        raise TypeError("the image is not prepared")
    head, _, data = bytes(memoryview(data_url)[1:-1]).partition(b";base64,")
    block["source"] = {
        "type": quoted(b"base64"),
        "media_type": quoted(head.removeprefix(b"data:")),
        "data": quoted(data),
    }


_TEXTS = ("text", "thinking", "title", "context")


@dataclass(slots=True)
class RequestContent:
    """What a request's content holds for Obscura, in request order; ``image_blocks`` are those of the slots."""

    image_blocks: list[RawObject] = field(default_factory=list)
    image_slots: list[ImageSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


class ContentCollector:
    """Opens content wherever it stands: in messages, in tool results, in documents."""

    def __init__(self, body: RawJson, limits: ContentLimits) -> None:
        """Start with nothing ``found``."""
        self._body = body
        self._limits = limits
        self.found = RequestContent()

    def content(self, leaf: Node, path: str) -> Node:
        """Open a string, an array of blocks, or one block; anything else stays as it came.

        Raises InvalidRequest on a block that is none, UnsupportedOperation on one with an image or video in a form
        that nobody could check.
        """
        if is_string(leaf):
            self.found.texts.append(self._body.text(leaf))
        elif is_array(leaf):
            return [self._block(block, f"{path}[{index}]") for index, block in enumerate(open_array(leaf, path))]
        elif is_object(leaf):
            return self._block(leaf, path)
        return leaf

    def collect_limited(self, leaf: Node, path: str) -> Node:
        """Open content whose blocks are bounded; raises TooManyContentParts."""
        if is_array(leaf):
            require_part_count(open_array(leaf, path), path, self._limits)
        return self.content(leaf, path)

    def _block(self, leaf: Raw, path: str) -> RawObject:
        block = open_object(leaf, path)
        kind = required_text(self._body, block, "type", path)
        _refuse_unchecked(block, kind, path)
        if kind == "image":
            self.found.image_slots.append(image_slot(block, path, self._body))
            self.found.image_blocks.append(block)
        elif kind != "tool_use":
            self.found.texts += [self._body.text(text) for key in _TEXTS if is_string(text := block.get(key))]
            if "content" in block:
                open_inner = self.collect_limited if kind == "tool_result" else self.content
                block["content"] = open_inner(block["content"], f"{path}.content")
            if is_object(source := block.get("source")):
                block["source"] = self._document_source(source, f"{path}.source")
        return block

    def _document_source(self, leaf: Raw, path: str) -> RawObject:
        """Open what a document consists of: text, or blocks again; a file of another kind rides along."""
        source = open_object(leaf, path)
        kind = text_or_empty(source.get("type"), self._body)
        if text_or_empty(source.get("media_type"), self._body).casefold().startswith(("image/", "video/")):
            raise UnsupportedOperation(f"'{path}' is an image or a video. Send images as image blocks.", param=path)
        if kind == "text" and is_string(data := source.get("data")):
            self.found.texts.append(self._body.text(data))
        if "content" in source:
            source["content"] = self.content(source["content"], f"{path}.content")
        return source


def _refuse_unchecked(block: RawObject, kind: str, path: str) -> None:
    """Refuse videos, and images in the forms of other APIs, which a lenient upstream might read."""
    spelled = [kind.casefold(), *(key.casefold() for key in block)]
    if any("video" in word for word in spelled):
        raise UnsupportedOperation(
            f"'{path}' is a video. Only /v1/chat/completions takes videos, as video_url parts; send frames here.",
            param=path,
        )
    if kind != "image" and any("image" in word for word in spelled):
        raise UnsupportedOperation(
            f"'{path}' carries an image in a form that cannot be checked. Send it as a block of type image.",
            param=path,
        )
