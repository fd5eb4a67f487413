"""Content parts, opened: pictures become slots, texts are gathered, what cannot be checked is refused."""

from obscura.errors import UnsupportedOperation
from obscura.wire.fields import check_part_count, required_text
from obscura.wire.raw_body import Node, RawObject, is_null, is_string, items, members
from obscura.wire.responses.gathered import Gathered, Part
from obscura.wire.responses.pictures import open_file, open_image


def open_parts(leaf: Node, path: str, gathered: Gathered) -> list[Part]:
    """Open a list of content parts; raises what ``open_part`` raises, and TooManyContentParts."""
    parts = items(leaf, path)
    check_part_count(parts, path, gathered.limits)
    return [open_part(part, f"{path}[{index}]", gathered) for index, part in enumerate(parts)]


def open_part(leaf: Node, path: str, gathered: Gathered) -> Part:
    """Open one part; raises InvalidRequest, or UnsupportedOperation for a picture or video that cannot be checked."""
    fields = members(leaf, path)
    kind = required_text(gathered.body, fields, "type", path)
    _refuse_unchecked(kind, fields, path)
    if kind == "input_file" and open_file(fields, path, gathered):
        kind = "input_image"
    elif kind == "input_image":
        open_image(fields, path, gathered)
    for key in ("text", "refusal"):
        text = fields.get(key)
        if is_string(text):
            gathered.texts.append(gathered.body.text(text))
    return Part(path, kind, fields)


def shows_picture(name: str) -> bool:
    """Whether a type or a key speaks of a picture."""
    return "image" in name.lower()


def shows_video(name: str) -> bool:
    """Whether a type or a key speaks of a video."""
    return "video" in name.lower()


def _refuse_unchecked(kind: str, fields: RawObject, path: str) -> None:
    names = [kind, *(key for key, leaf in fields.items() if not is_null(leaf))]
    if any(map(shows_video, names)):
        raise UnsupportedOperation(f"'{path}' is a video; this endpoint takes pictures. Send frames.", param=path)
    known = {"input_image", "image_url"} if kind == "input_image" else set()
    if any(shows_picture(name) for name in names if name not in known):
        raise UnsupportedOperation(
            f"'{path}' carries a picture in a form that cannot be checked. Send it as an input_image part.", param=path
        )
