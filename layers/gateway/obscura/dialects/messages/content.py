"""The content of a Messages request: its image blocks and its texts, in messages, tool results and documents."""

from dataclasses import dataclass, field
from functools import partial

from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot, SourceKind
from obscura.dialects.json.fields import (
    one_of,
    raw_object_at,
    raw_string_at,
    require_part_count,
    required_string,
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

_SOURCES = {
    "base64": (SourceKind.BASE64, "data"),
    "url": (SourceKind.URL, "url"),
    "file": (SourceKind.FILE_ID, "file_id"),
}
_TEXTS = ("text", "thinking", "title", "context")


@dataclass(slots=True)
class RequestContent:
    """The images and texts of one request, in request order; ``image_blocks`` are the blocks of ``images``."""

    image_blocks: list[RawObject] = field(default_factory=list)
    images: list[ImageSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


class ContentCollector:
    """Opens content, and adds its images and texts to ``content``."""

    def __init__(self, body: RawJson, limits: ContentLimits) -> None:
        self._body = body
        self._limits = limits
        self.content = RequestContent()

    def collect(self, leaf: Node, path: str) -> Node:
        """Return a string as it came, an array of blocks or one block opened; any other leaf as it came.

        Raises InvalidRequest on a malformed block, UnsupportedOperation on an image or video in a form that cannot be
        checked.
        """
        if is_string(leaf):
            self.content.texts.append(self._body.text(leaf))
        elif is_array(leaf):
            return [self._block(block, f"{path}[{index}]") for index, block in enumerate(open_array(leaf, path))]
        elif is_object(leaf):
            return self._block(leaf, path)
        return leaf

    def collect_limited(self, leaf: Node, path: str) -> Node:
        """Collect content whose number of blocks is limited; raises TooManyContentParts too."""
        if is_array(leaf):
            require_part_count(open_array(leaf, path), path, self._limits)
        return self.collect(leaf, path)

    def _block(self, leaf: Raw, path: str) -> RawObject:
        block = open_object(leaf, path)
        kind = required_string(self._body, block, "type", path)
        if kind == "text" and len(block) == 2 and is_string(text := block.get("text")):
            self.content.texts.append(self._body.text(text))
            return block
        _reject_uncheckable(block, kind, path)
        if kind == "image":
            self.content.images.append(image_slot(block, path, self._body))
            self.content.image_blocks.append(block)
        elif kind != "tool_use":
            self.content.texts += [self._body.text(text) for key in _TEXTS if is_string(text := block.get(key))]
            if "content" in block:
                collect = self.collect_limited if kind == "tool_result" else self.collect
                block["content"] = collect(block["content"], f"{path}.content")
            if is_object(source := block.get("source")):
                block["source"] = self._document_source(source, f"{path}.source")
        return block

    def _document_source(self, leaf: Raw, path: str) -> RawObject:
        """Open the source of a document: text, or blocks again; a file of another kind stays as it came."""
        source = open_object(leaf, path)
        if text_or_empty(self._body, source.get("media_type")).casefold().startswith(("image/", "video/")):
            raise UnsupportedOperation(f"'{path}' is an image or a video. Send images as image blocks.", param=path)
        if text_or_empty(self._body, source.get("type")) == "text" and is_string(data := source.get("data")):
            self.content.texts.append(self._body.text(data))
        if "content" in source:
            source["content"] = self.collect(source["content"], f"{path}.content")
        return source


def image_slot(block: RawObject, block_path: str, body: RawJson) -> ImageSlot:
    """Open the source of an image block (API reference, "Image block"); its media type is ignored.

    Anthropic's images have no detail, so it is auto. Raises InvalidRequest on a malformed source.
    """
    path = f"{block_path}.source"
    source = open_object(raw_object_at(block, "source", block_path), path)
    block["source"] = source
    kind, key = _SOURCES[one_of(body, source, "type", _SOURCES, path)]
    if key not in source:
        raise InvalidRequest(f"'{path}' has no {key}.", param=f"{path}.{key}")
    leaf = raw_string_at(source, key, path)
    return ImageSlot(f"{path}.{key}", body.string_slice(leaf), "auto", partial(_replace_source, block), kind)


def set_base64_source(block: RawObject) -> None:
    """Replace a prepared image's data URL by the base64 source that Anthropic's API takes.

    Raises TypeError on an image that is not prepared: no image that was not checked is sent.
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


def _replace_source(block: RawObject, data_url: bytes) -> None:
    block["source"] = quoted(data_url)


def _reject_uncheckable(block: RawObject, kind: str, path: str) -> None:
    """Reject videos, and images in the forms of other APIs, which a lenient upstream might read."""
    names = [kind.casefold(), *(key.casefold() for key in block)]
    if any("video" in name for name in names):
        raise UnsupportedOperation(
            f"'{path}' is a video. Only /v1/chat/completions takes videos, as video_url parts; send frames here.",
            param=path,
        )
    if kind != "image" and any("image" in name for name in names):
        raise UnsupportedOperation(
            f"'{path}' carries an image in a form that cannot be checked. Send it as a block of type image.",
            param=path,
        )
