"""The media in the blocks of a Messages request, each taken out of the tree until it is checked."""

from collections.abc import Collection, Sequence

import msgspec
from msgspec import Raw

from obscura.dialects.base import ImageSlot, SourceKind, UncheckedPart
from obscura.dialects.content import RequestContent, drop_cache_ids
from obscura.dialects.file_ids import is_file_id
from obscura.dialects.file_parts import page_text, string_start
from obscura.dialects.json.fields import (
    one_of,
    optional_bool,
    optional_object,
    raw_object_at,
    raw_string_at,
    require_part_count,
    required_string,
    text_or_empty,
)
from obscura.dialects.json.raw import (
    MAX_NAME_CHARS,
    NULL,
    Node,
    RawJson,
    RawObject,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
    quoted,
)
from obscura.dialects.media import MediaKind, base64_kind
from obscura.dialects.messages.rules import BLOCKS
from obscura.errors import FileNotFound, InvalidRequest, ObscuraError, UnsupportedOperation

_SOURCES = {
    "base64": (SourceKind.BASE64, "data"),
    "url": (SourceKind.URL, "url"),
    "file": (SourceKind.FILE_ID, "file_id"),
}
_DOCUMENT_FIELDS = ("type", "source", "title", "context", "citations", "cache_control")
_WITH_CONTENT = frozenset({"tool_result", "search_result", "mcp_tool_result"})
_SEND_INSTEAD = (
    "Send its text, and its images as image blocks; or have the operator pass the type (pass_types of the model in the "
    "catalog)."
)


def collect_content(leaf: Node, path: str, content: RequestContent) -> Node:
    """Take the media of some content out, and return it: a string as it came, an array of blocks or a block opened.

    Raises InvalidRequest on a malformed block, UnsupportedOperation on an image that is no image block.
    """
    if is_array(leaf):
        blocks: list[Node] = []
        opened = open_array(leaf, path)
        content.count_items(len(opened))
        for index, block in enumerate(opened):
            blocks.append(_collect_block(block, f"{path}[{index}]", content, blocks))
        return blocks
    return _collect_block(leaf, path, content) if is_object(leaf) else leaf


def collect_limited(leaf: Node, path: str, content: RequestContent) -> Node:
    """Collect content whose number of blocks is limited, calls, their results and thinking aside.

    Raises TooManyContentParts too: agents call many tools in parallel, but show few things at once.
    """
    collected = collect_content(leaf, path, content)
    if isinstance(collected, list) and len(collected) > content.limits.content_parts:
        counted = [block for block in collected if not _is_uncounted(block, content.body)]
        require_part_count(counted, path, content.limits)
    return collected


_UNCOUNTED = ("tool_use", "tool_result", "thinking", "redacted_thinking")


def _is_uncounted(block: Node, body: RawJson) -> bool:
    return isinstance(block, dict) and text_or_empty(body, block.get("type")) in _UNCOUNTED


def _collect_block(leaf: Raw, path: str, content: RequestContent, siblings: list[Node] | None = None) -> RawObject:
    """Collect one block, which is to be added to its ``siblings``: without any, a PDF's pages cannot stand there."""
    block = open_object(leaf, path)
    drop_cache_ids(block)
    kind = required_string(content.body, block, "type", path)
    if kind == "image":
        content.images.append(_image_slot(block, path, content.body))
    elif kind == "document":
        _collect_document(block, path, content, siblings)
    elif kind in _WITH_CONTENT:
        if "content" in block:
            collect = collect_limited if kind == "tool_result" else collect_content
            block["content"] = collect(block["content"], f"{path}.content", content)
    elif kind == "web_fetch_tool_result":
        _collect_fetched(block, path, content)
    elif kind not in BLOCKS:
        content.add_unchecked(block, _unchecked_block(kind, path))
    return block


def _image_slot(block: RawObject, block_path: str, body: RawJson) -> ImageSlot:
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
    source[key] = NULL

    def replace(image: bytes | str) -> None:
        if isinstance(image, str):
            kept = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
            block.clear()
            block.update(_text_block(image) | kept)
        else:
            block["source"] = _base64_source(image)

    def refer(file_id: str) -> None:
        block["source"] = {"type": quoted(b"file"), "file_id": quoted(file_id.encode())}

    return ImageSlot(f"{path}.{key}", body.string_slice(leaf), "auto", replace, kind, refer=refer)


def _text_block(text: str) -> RawObject:
    return {"type": quoted(b"text"), "text": Raw(msgspec.json.encode(text))}


def _base64_source(data_url: bytes) -> RawObject:
    head, _, data = data_url.partition(b";base64,")
    return {"type": quoted(b"base64"), "media_type": quoted(head.removeprefix(b"data:")), "data": quoted(data)}


def _collect_document(block: RawObject, block_path: str, content: RequestContent, siblings: list[Node] | None) -> None:
    """Open the source of a document: its blocks are collected, its text stays; a PDF becomes its pages."""
    if not is_object(leaf := block.get("source")):
        return
    path = f"{block_path}.source"
    source = open_object(leaf, path)
    block["source"] = source
    kind = text_or_empty(content.body, source.get("type"))
    if kind == "content":
        if "content" in source:
            source["content"] = collect_content(source["content"], f"{path}.content", content)
    elif kind != "text" or not _is_plain_text(source, content.body):
        _collect_file(block, source, block_path, content, siblings)


def _is_plain_text(source: RawObject, body: RawJson) -> bool:
    """Whether a text source is text: its data is looked at before its declared type is believed."""
    data = source.get("data")
    if is_string(data) and base64_kind(string_start(body, data)) is not None:
        return False
    return _media_type(source, body).startswith("text/") or is_null(source.get("media_type"))


def _media_type(source: RawObject, body: RawJson) -> str:
    return text_or_empty(body, source.get("media_type")).strip().lower()


def _collect_file(
    block: RawObject, source: RawObject, block_path: str, content: RequestContent, siblings: list[Node] | None
) -> None:
    """Collect a document that is a file: a PDF, or one that may be; others are recorded as unchecked.

    Raises UnsupportedOperation for an image, for citations of a PDF, and for a field that its pages cannot carry.
    """
    body, path = content.body, f"{block_path}.source"
    kind, key = _SOURCES.get(text_or_empty(body, source.get("type")), (None, ""))
    leaf = source.get(key)
    media = base64_kind(string_start(body, leaf)) if key == "data" and is_string(leaf) else None
    if media is MediaKind.IMAGE or (media is None and _media_type(source, body).startswith(("image/", "video/"))):
        raise UnsupportedOperation(f"'{path}' is an image or a video. Send images as image blocks.", param=path)
    is_ours = key != "file_id" or is_file_id(text_or_empty(body, leaf))
    may_be_pdf = is_ours and (key != "data" or media is MediaKind.PDF)
    if kind is None or siblings is None or not is_string(leaf) or not may_be_pdf:
        account_id = None if is_ours else f"{path}.{key}"
        part = UncheckedPart("document", block_path, _file_error(source, path, body), account_id)
        content.add_unchecked(block, part)
        return
    _require_no_citations(block, block_path)
    _require_known(block, _DOCUMENT_FIELDS, block_path)
    _require_known(source, ("type", "media_type", key), path)
    source_slice = body.string_slice(leaf)
    title, context = (_optional_text(block, name, block_path, body) for name in ("title", "context"))
    first = len(content.texts)
    content.texts.append(title)
    content.texts.append(context)
    cache_control = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    block.clear()
    block |= {"type": quoted(b"image"), "source": NULL} | cache_control

    def replace(images: Sequence[bytes | str], texts: Sequence[str]) -> None:
        position = next(index for index, node in enumerate(siblings) if node is block)
        title, context = content.texts[first : first + 2]
        pages: list[Node] = [_text_block(context)] if context else []
        for number, (image, text) in enumerate(zip(images, texts, strict=True), 1):
            pages.append({"type": quoted(b"text"), "text": page_text(title, number, len(images), text)})
            if isinstance(image, str):
                pages.append(_text_block(image))
            else:
                pages.append({"type": quoted(b"image"), "source": _base64_source(image)})
        last = pages[-1]
        if isinstance(last, dict) and "cache_control" in block:
            last["cache_control"] = block["cache_control"]
        siblings[position : position + 1] = pages

    content.add_document(f"{path}.{key}", source_slice, "auto", replace, kind)


def _require_no_citations(block: RawObject, path: str) -> None:
    """Raise UnsupportedOperation if a PDF is to be cited: its pages are images, which have no citations."""
    citations = optional_object(block, "citations", path)
    _require_known(citations, ("enabled",), f"{path}.citations")
    if optional_bool(citations, "enabled", f"{path}.citations"):
        raise UnsupportedOperation(
            f"'{path}.citations.enabled': the pages of a PDF are sent as images here, which cannot be cited. Leave it "
            "out, or send the document's text as a text source.",
            param=f"{path}.citations.enabled",
        )


def _optional_text(block: RawObject, key: str, path: str, body: RawJson) -> str:
    leaf = block.get(key)
    return "" if is_null(leaf) else body.text(raw_string_at(block, key, path))


def _require_known(holder: RawObject, known: Collection[str], path: str) -> None:
    """Raise UnsupportedOperation on a field of a PDF that would be lost when its pages take its place."""
    for key, leaf in holder.items():
        if key not in known and not is_null(leaf):
            param = f"{path}.{key[:MAX_NAME_CHARS]}"
            raise UnsupportedOperation(
                f"'{param}' is a field that the pages of a PDF, which are sent as images, cannot carry. Leave it out.",
                param=param,
            )


def _file_error(source: RawObject, path: str, body: RawJson) -> ObscuraError:
    _, key = _SOURCES.get(text_or_empty(body, source.get("type")), (None, ""))
    if key == "file_id" and not is_file_id(text_or_empty(body, source.get(key))):
        return FileNotFound("There is no file with this id. Upload it here first.", param=f"{path}.{key}")
    param = f"{path}.{key}" if key else path
    return UnsupportedOperation(f"'{param}' is a file whose content cannot be checked. {_SEND_INSTEAD}", param=param)


def _collect_fetched(block: RawObject, path: str, content: RequestContent) -> None:
    """Collect the document in a result of the provider's web fetch, as the caller sends it back."""
    if not is_object(leaf := block.get("content")):
        return
    result = open_object(leaf, f"{path}.content")
    block["content"] = result
    if is_object(document := result.get("content")):
        result["content"] = _collect_block(document, f"{path}.content.content", content)


def _unchecked_block(kind: str, path: str) -> UncheckedPart:
    what = "is a file for the provider's container" if kind == "container_upload" else "is of a type not known here"
    error = UnsupportedOperation(f"'{path}' {what}, which cannot be checked. {_SEND_INSTEAD}", param=path)
    return UncheckedPart(kind, path, error, f"{path}.file_id" if kind == "container_upload" else None)
