"""The strings of an upstream body, each with what the official schema says of its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from tests.security.shapes.schemas import (
    Anything,
    Enumeration,
    List,
    Object,
    OneOf,
    Scalar,
    Table,
    Text,
    Type,
    objects,
    request_type,
)


class Role(Enum):
    """What a place is."""

    TEXT = "text"
    """A known text field, the arguments or the result of a tool: its strings are text, addresses and base64 too."""
    SCHEMA = "schema"
    """A string in a JSON schema: text, but no data URL of media."""
    TOKEN = "token"
    """An id, a role or an enumeration in a known field: a short simple token, else text; no media, no address."""
    IMAGE = "image"
    """A known field that holds an image or a document."""
    CLIP = "clip"
    """A known field that holds sound or a video."""
    OPAQUE = "opaque"
    """A value that a provider made (issue 10, point 1)."""
    UNKNOWN = "unknown"
    """A field that is not known, or a value of another type than its field has."""
    UNKNOWN_TYPE = "unknown type"
    """A content part, block or item of a type that is not known; the value is its type."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One string, or one list of numbers; ``clip`` is the name of the media of a CLIP."""

    path: str
    value: Any
    role: Role
    clip: str = ""


_IMAGES = {
    "ImageURL": {"url"},
    "FileFile": {"file_data", "file_id"},
    "ImageGenerationCall": {"result"},
    "ImageGenerationInputImageMask": {"file_id", "image_url"},
    "ToolImageGenerationInputImageMask": {"file_id", "image_url"},
    "CodeInterpreterContainerCodeInterpreterToolAuto": {"file_ids"},
    "ToolCodeInterpreterContainerCodeInterpreterToolAuto": {"file_ids"},
    "ContainerAuto": {"file_ids"},
    "InlineSkillSource": {"data"},
    "OutputImage": {"url"},
    "ResponseComputerToolCallOutputScreenshot": {"file_id", "image_url"},
    "ResponseInputFile": {"file_data", "file_id", "file_url"},
    "ResponseInputFileContent": {"file_data", "file_id", "file_url"},
    "ResponseInputImage": {"file_id", "image_url"},
    "ResponseInputImageContent": {"file_id", "image_url"},
    "Base64ImageSource": {"data"},
    "Base64PDFSource": {"data"},
    "BashCodeExecutionOutputBlock": {"file_id"},
    "CodeExecutionOutputBlock": {"file_id"},
    "ContainerUploadBlock": {"file_id"},
    "FileDocumentSource": {"file_id"},
    "FileImageSource": {"file_id"},
    "URLImageSource": {"url"},
    "URLPDFSource": {"url"},
}
_CLIPS = {("InputAudio", "data"): "input_audio", ("VideoURL", "url"): "video_url"}
_OPAQUE = re.compile(r"encrypted_(content|index|stdout)|signature")
_TOKENS = re.compile(
    r"(.*_)?ids?|keys?|model|user|version|voice|size|type|mode|token|namespace|container|conversation|inference_geo|"
    r"safety_identifier|prompt_cache_key|fingerprint|authorization(_token)?|fallback_credit_token|metadata|headers"
)
_SCHEMAS = {"parameters", "schema", "input_schema", "output_schema"}
_UNKNOWN_SCHEMAS = {"guided_json", "json_schema", "input_schema", "structured_outputs"}
"""What local servers call the schema of an answer (vLLM, SGLang)."""
_PART = re.compile(r"(^input|^messages|content|output|system)\[\]$")


def leaves(body: Any, dialect: str) -> Iterator[Leaf]:
    """Yield every string of a request body, keys of the caller's own included."""
    yield from _known(body, request_type(dialect), "", None, "", dialect)


def _known(value: Any, kind: Type, path: str, holder: Object | None, key: str, dialect: str) -> Iterator[Leaf]:
    match kind:
        case Object() if isinstance(value, dict):
            yield from _members(value, kind, path, dialect)
        case OneOf():
            yield from _one_of(value, kind, path, holder, key, dialect)
        case List() if isinstance(value, list):
            for item in value:
                yield from _known(item, kind.item, f"{path}[]", holder, key, dialect)
        case Table() | Anything():
            yield from _open(value, _role(holder, key), path)
        case Text() if isinstance(value, str):
            yield Leaf(path, value, _role(holder, key), _CLIPS.get((_name(holder), key), ""))
        case Enumeration() | Scalar() if isinstance(value, str):
            if not (isinstance(kind, Enumeration) and value in kind.values):
                yield Leaf(path, value, Role.TOKEN if isinstance(kind, Enumeration) else Role.UNKNOWN)
        case _:
            yield from _unknown(value, path)


def _members(value: dict[str, Any], kind: Object, path: str, dialect: str) -> Iterator[Leaf]:
    for name, inner in value.items():
        at = f"{path}.{name}".lstrip(".")
        if name in kind.fields and name in _SCHEMAS:
            yield from _open(inner, Role.SCHEMA, at)
        elif name in kind.fields:
            yield from _known(inner, kind.fields[name], at, kind, name, dialect)
        else:
            yield from _unknown_member(name, inner, at)


def _one_of(value: Any, kind: OneOf, path: str, holder: Object | None, key: str, dialect: str) -> Iterator[Leaf]:
    found: list[Type]
    if isinstance(value, str):
        wanted: tuple[type, ...] = (Text, Enumeration, Anything)
        found = [each for wanted_type in wanted for each in kind.variants if isinstance(each, wanted_type)]
    elif isinstance(value, list):
        found = [each for each in kind.variants if isinstance(each, List | Anything)]
    elif isinstance(value, dict):
        known = [each for each in kind.variants if isinstance(each, Object)]
        fitting = [each for each in known if each.fits(value)]
        found = [*sorted(fitting, key=lambda each: -len(each.fields.keys() & value.keys()))]
        found += [each for each in kind.variants if isinstance(each, Table | Anything)]
        if not found and known and _PART.search(path):
            elsewhere = _by_type(dialect).get(str(value.get("type")))
            if elsewhere is not None:
                found = [elsewhere]
            elif "type" in value or "role" not in value:
                yield Leaf(path, str(value.get("type")), Role.UNKNOWN_TYPE)
            else:
                found = [known[0]]
    else:
        return
    if found:
        yield from _known(value, found[0], path, holder, key, dialect)
    else:
        yield from _unknown(value, path)


@cache
def _by_type(dialect: str) -> dict[str, Object]:
    """Return every object of an API by its ``type``, for a part that stands where the schema has it not."""
    found: dict[str, Object] = {}
    root = request_type(dialect)
    conversation = objects(root.fields["input" if dialect == "responses" else "messages"])
    for each in (*conversation, *objects(root)):
        if "type" in each.required and isinstance(fixed := each.fields["type"], Enumeration):
            found.setdefault(str(fixed.values[0]), each)
    return found


def _role(holder: Object | None, key: str) -> Role:
    name = _name(holder)
    if (name, key) in _CLIPS:
        return Role.CLIP
    if key in _IMAGES.get(name, ()):
        return Role.IMAGE
    if _OPAQUE.fullmatch(key) or (name, key) == ("RedactedThinkingBlock", "data"):
        return Role.OPAQUE
    return Role.TOKEN if _TOKENS.fullmatch(key) else Role.TEXT


def _name(holder: Object | None) -> str:
    return holder.name.removeprefix("Beta") if holder else ""


def _open(value: Any, role: Role, path: str) -> Iterator[Leaf]:
    """Yield the strings of a value that may be any JSON, all of one role."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield Leaf(f"{path}.{{}}", name, role)
            yield from _open(inner, role, f"{path}.{{}}")
    elif isinstance(value, list):
        for item in value:
            yield from _open(item, role, f"{path}[]")
    elif isinstance(value, str):
        yield Leaf(path, value, role)


_MADE_BY_PROVIDERS = re.compile(r"reasoning_details\[\]\.(data|signature)$|google\.thought_signature$")


def _unknown(value: Any, path: str) -> Iterator[Leaf]:
    """Yield the strings, keys and lists of numbers of a value in a field that is not known."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unknown_member(name, inner, f"{path}.{name}")
    elif isinstance(value, list):
        if value and not any(isinstance(item, str | list | dict) for item in value):
            yield Leaf(path, value, Role.UNKNOWN)
        for item in value:
            yield from _unknown(item, f"{path}[]")
    elif isinstance(value, str):
        yield Leaf(path, value, Role.UNKNOWN)


def _unknown_member(name: str, value: Any, path: str) -> Iterator[Leaf]:
    yield Leaf(path, name, Role.UNKNOWN)
    if isinstance(value, str) and _MADE_BY_PROVIDERS.search(path):
        yield Leaf(path, value, Role.OPAQUE)
    elif name in _UNKNOWN_SCHEMAS:
        yield from _open(value, Role.SCHEMA, path)
    else:
        yield from _unknown(value, path)
