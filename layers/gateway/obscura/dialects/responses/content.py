"""The content of a request: its items and parts as nodes of the body's tree, and the images taken out of them."""

from dataclasses import dataclass, field

from obscura.dialects.base import UncheckedPart
from obscura.dialects.content import RequestContent
from obscura.dialects.json.fields import require_part_count, required_string
from obscura.dialects.json.raw import Node, RawObject, open_array, open_object
from obscura.dialects.responses.media_parts import collect_file, collect_image
from obscura.errors import UnsupportedOperation


@dataclass(frozen=True, slots=True)
class Part:
    """One content part; ``fields`` is a node of the body's tree, so it shows a replaced image too."""

    path: str
    kind: str
    fields: RawObject


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
    return [collect_part(part, f"{path}[{index}]", content) for index, part in enumerate(parts)]


def collect_part(leaf: Node, path: str, content: RequestContent) -> Part:
    """Take the media of one part out; raises InvalidRequest for a malformed part, UnsupportedOperation for a video."""
    fields = open_object(leaf, path)
    kind = required_string(content.body, fields, "type", path)
    match kind:
        case "input_image":
            collect_image(fields, path, content)
        case "input_file":
            kind = collect_file(fields, path, content)
        case "input_audio":
            content.unmoderated.append(_unmoderated_audio(path))
        case _ if "video" in kind.lower():
            raise UnsupportedOperation(f"'{path}' is a video; this endpoint takes images. Send frames.", param=path)
    return Part(path, kind, fields)


def _unmoderated_audio(path: str) -> UncheckedPart:
    error = UnsupportedOperation(
        f"'{path}' is audio, which cannot be moderated; this deployment, or access without a key, takes only what is. "
        "Send its text.",
        param=path,
    )
    return UncheckedPart("input_audio", path, error)
