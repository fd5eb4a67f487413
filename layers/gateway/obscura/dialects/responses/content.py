"""The content of a request: its items and parts as nodes of the body's tree, and the images taken out of them."""

from dataclasses import dataclass, field
from functools import partial

from obscura.dialects.content import RequestContent, drop_cache_ids
from obscura.dialects.json.fields import require_part_count, required_string
from obscura.dialects.json.raw import Node, RawObject, open_array, open_object
from obscura.dialects.responses.media_parts import collect_file, collect_image
from obscura.errors import UnsupportedOperation


@dataclass(frozen=True, slots=True)
class Part:
    """One content part; ``fields`` is a node of the body's tree, so it shows a replaced image too."""

    path: str
    parsed_kind: str
    fields: RawObject

    @property
    def kind(self) -> str:
        """Its type: that of a text if one took the place of its image."""
        is_image = self.parsed_kind != "input_image" or "image_url" in self.fields or "file_id" in self.fields
        return self.parsed_kind if is_image else "input_text"


@dataclass(frozen=True, slots=True)
class Item:
    """One input item; ``parts`` are those of a message or of a function's output, None without a list of them."""

    path: str
    kind: str
    fields: RawObject
    parts: list[Part] | None = None


@dataclass(slots=True)
class ResponsesContent(RequestContent):
    """The media and texts of a request, and its input items."""

    items: list[Item] = field(default_factory=list)


def collect_parts(leaf: Node, path: str, content: RequestContent) -> list[Part]:
    """Collect a list of content parts; raises what ``collect_part`` raises, and TooManyContentParts."""
    parts = open_array(leaf, path)
    require_part_count(parts, path, content.limits)
    collected: list[Part] = []
    for index, part in enumerate(parts):
        collected.append(collect_part(part, f"{path}[{index}]", content, collected))
    return collected


def collect_part(leaf: Node, path: str, content: RequestContent, siblings: list[Part] | None = None) -> Part:
    """Take the media of one part out, which is to be added to its ``siblings``, if it has any.

    Raises InvalidRequest for a malformed part, UnsupportedOperation for a video.
    """
    fields = open_object(leaf, path)
    drop_cache_ids(fields)
    kind = required_string(content.body, fields, "type", path)
    match kind:
        case "input_image":
            collect_image(fields, path, content)
        case "input_file":
            replace_part = None if siblings is None else partial(_replace_part, siblings, fields)
            kind = collect_file(fields, path, content, replace_part)
        case "input_audio":
            content.add_unmoderated(kind, path)
        case _ if "video" in kind.lower():
            raise UnsupportedOperation(f"'{path}' is a video; this endpoint takes images. Send frames.", param=path)
    return Part(path, kind, fields)


def _replace_part(siblings: list[Part], fields: RawObject, pages: list[RawObject]) -> None:
    """Write the parts of a document's pages in the place of its own part."""
    position = next(index for index, part in enumerate(siblings) if part.fields is fields)
    path = siblings[position].path
    kinds = ("input_text", "input_image")
    siblings[position : position + 1] = [Part(path, kinds[number % 2], page) for number, page in enumerate(pages)]
