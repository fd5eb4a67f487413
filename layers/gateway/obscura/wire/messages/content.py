"""Content blocks as they came, opened on the way to their pictures and texts, whatever else they hold."""

from dataclasses import dataclass, field

from msgspec import Raw

from obscura.errors import UnsupportedOperation
from obscura.wire.dialect import ContentLimits, ImageSlot
from obscura.wire.fields import check_part_count, required_text
from obscura.wire.messages.fields import text_of
from obscura.wire.messages.image_source import image_slot
from obscura.wire.raw_body import Node, RawBody, RawObject, is_array, is_object, is_string, items, members

_TEXTS = ("text", "thinking", "title", "context")


@dataclass(slots=True)
class Found:
    """What a request's content holds for Obscura, in request order; ``image_blocks`` are those of the slots."""

    image_blocks: list[RawObject] = field(default_factory=list)
    image_slots: list[ImageSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


class ContentOpener:
    """Opens content wherever it stands: in messages, in tool results, in documents."""

    def __init__(self, body: RawBody, limits: ContentLimits) -> None:
        """Start with nothing ``found``."""
        self._body = body
        self._limits = limits
        self.found = Found()

    def content(self, leaf: Node, path: str) -> Node:
        """Open a string, an array of blocks, or one block; anything else stays as it came.

        Raises InvalidRequest on a block that is none, UnsupportedOperation on one with a picture or video in a form
        that nobody could check.
        """
        if is_string(leaf):
            self.found.texts.append(self._body.text(leaf))
        elif is_array(leaf):
            return [self._block(block, f"{path}[{index}]") for index, block in enumerate(items(leaf, path))]
        elif is_object(leaf):
            return self._block(leaf, path)
        return leaf

    def counted_content(self, leaf: Node, path: str) -> Node:
        """Open content whose blocks are bounded; raises TooManyContentParts."""
        if is_array(leaf):
            check_part_count(items(leaf, path), path, self._limits)
        return self.content(leaf, path)

    def _block(self, leaf: Raw, path: str) -> RawObject:
        block = members(leaf, path)
        kind = required_text(self._body, block, "type", path)
        _refuse_unchecked(block, kind, path)
        if kind == "image":
            self.found.image_slots.append(image_slot(block, path, self._body))
            self.found.image_blocks.append(block)
        elif kind != "tool_use":
            self.found.texts += [self._body.text(text) for key in _TEXTS if is_string(text := block.get(key))]
            if "content" in block:
                open_inner = self.counted_content if kind == "tool_result" else self.content
                block["content"] = open_inner(block["content"], f"{path}.content")
            if is_object(source := block.get("source")):
                block["source"] = self._document_source(source, f"{path}.source")
        return block

    def _document_source(self, leaf: Raw, path: str) -> RawObject:
        """Open what a document consists of: text, or blocks again; a file of another kind rides along."""
        source = members(leaf, path)
        kind = text_of(source.get("type"), self._body)
        if text_of(source.get("media_type"), self._body).casefold().startswith(("image/", "video/")):
            raise UnsupportedOperation(f"'{path}' is a picture or a video. Send pictures as image blocks.", param=path)
        if kind == "text" and is_string(data := source.get("data")):
            self.found.texts.append(self._body.text(data))
        if "content" in source:
            source["content"] = self.content(source["content"], f"{path}.content")
        return source


def _refuse_unchecked(block: RawObject, kind: str, path: str) -> None:
    """Refuse videos, and pictures in the forms of other APIs, which a lenient upstream might read."""
    spelled = [kind.casefold(), *(key.casefold() for key in block)]
    if any("video" in word for word in spelled):
        raise UnsupportedOperation(
            f"'{path}' is a video. Only /v1/chat/completions takes videos, as video_url parts; send frames here.",
            param=path,
        )
    if kind != "image" and any("image" in word for word in spelled):
        raise UnsupportedOperation(
            f"'{path}' carries a picture in a form that cannot be checked. Send it as a block of type image.",
            param=path,
        )
