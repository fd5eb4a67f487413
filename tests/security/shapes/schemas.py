"""The request schemas of the three APIs, read from the type definitions of the installed SDKs.

A new version of an SDK extends the schemas, and with them the request shapes, by itself.
"""

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from anthropic.types import message_create_params as messages_params
from anthropic.types.beta import message_create_params as beta_messages_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as responses_params
from openai.types.responses.response_input_audio_param import ResponseInputAudioParam
from typing_extensions import is_typeddict

from tests.security.shapes.plants import data_url, encoded, image, pdf, video, wave


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """One of some strings (or numbers)."""

    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, a boolean or null."""

    sample: object


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value: a JSON schema, the arguments of a tool."""


@dataclass(frozen=True, slots=True)
class List:
    """An array."""

    item: "Type"


@dataclass(frozen=True, slots=True)
class Table:
    """An object with keys of the caller's own."""

    value: "Type"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A union."""

    variants: tuple["Type", ...]


@dataclass(slots=True, eq=False)
class Object:
    """An object with known fields; filled after it was made, since types are recursive."""

    name: str
    fields: dict[str, "Type"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """Its ``type`` or ``role``, if that is fixed, else the name of its class."""
        for key in ("type", "role"):
            fixed = self.fields.get(key)
            if isinstance(fixed, Enumeration) and key in self.required:
                return str(fixed.values[0])
        return self.name

    def fits(self, value: Mapping[str, object]) -> bool:
        """Whether the enumerations of a value, its ``type`` above all, are those of this object."""
        for key, known in self.fields.items():
            if isinstance(known, Enumeration) and key in {"type", "role"}:
                if key in value and value[key] not in known.values:
                    return False
                if key not in value and key in self.required:
                    return False
        return True


type Type = Text | Enumeration | Scalar | Anything | List | Table | OneOf | Object

_made: dict[type, Object] = {}


def _type_of(hint: Any) -> Type | None:
    """Return the type of a hint; None if it is no JSON (a file handle) or a response class beside its parameters."""
    origin = get_origin(hint)
    if origin in {Required, NotRequired, Annotated}:
        return _type_of(get_args(hint)[0])
    if is_typeddict(hint):
        return _object(hint)
    if origin is Literal:
        return Enumeration(get_args(hint))
    if origin in {Union, types.UnionType}:
        return _union(get_args(hint))
    return _plain(hint) if origin is None else _collection(origin, get_args(hint))


def _union(hints: Iterable[Any]) -> Type:
    found = [each for hint in hints if (each := _type_of(hint)) is not None]
    flat = [inner for each in found for inner in (each.variants if isinstance(each, OneOf) else (each,))]
    return flat[0] if len(flat) == 1 else OneOf(tuple(flat))


def _collection(origin: Any, hints: Sequence[Any]) -> Type | None:
    inner = _type_of(hints[-1])
    if origin in {dict, Mapping}:
        return Anything() if inner is None or isinstance(inner, Anything) else Table(inner)
    iterable = isinstance(origin, type) and issubclass(origin, Iterable)
    return List(inner) if iterable and inner is not None else None


def _plain(hint: Any) -> Type | None:
    plain: dict[Any, Type] = {
        str: Text(),
        bool: Scalar(True),
        int: Scalar(1),
        float: Scalar(0.5),
        object: Anything(),
        dict: Anything(),
        Any: Anything(),
    }
    return plain.get(hint)


def _object(hint: Any) -> Object:
    if hint not in _made:
        made = _made[hint] = Object(hint.__name__.removesuffix("Param").removesuffix("Params"))
        hints = get_type_hints(hint, include_extras=True)
        found = {name: _type_of(inner) for name, inner in hints.items()}
        made.fields = {name: inner for name, inner in found.items() if inner is not None}
        needed = {name for name, inner in hints.items() if get_origin(inner) is Required or hint.__total__}
        made.required = frozenset(needed & made.fields.keys())
    return _made[hint]


def _extended(base: Object, extra: dict[str, Type]) -> Object:
    return Object(base.name, extra | base.fields, base.required)


@cache
def request_type(dialect: str) -> Object:
    """Return the schema of a dialect's requests; that of Messages is the beta's, which has all of the stable one."""
    if dialect == "chat":
        return _chat()
    if dialect == "responses":
        return _responses()
    stable = _object(messages_params.MessageCreateParamsNonStreaming)
    beta = _object(beta_messages_params.MessageCreateParamsNonStreaming)
    fields = {name: inner for name, inner in beta.fields.items() if name != "betas"}  # a header
    headers = {"workspace_id", "user_profile_id"}
    fields = {name: inner for name, inner in fields.items() if name not in headers}
    extra = {name: inner for name, inner in stable.fields.items() if name not in headers}
    return _with_stream(_extended(Object(beta.name, fields, beta.required), extra))


def _with_stream(base: Object) -> Object:
    base.fields["stream"] = Scalar(True)
    return base


def _chat() -> Object:
    """OpenAI's schema, and the one content part that the gateway takes beyond it: ``video_url``."""
    base = _with_stream(_object(chat_params.CompletionCreateParamsNonStreaming))
    url = Object("VideoURL", {"url": Text()}, frozenset({"url"}))
    part = Object(
        "VideoPart", {"type": Enumeration(("video_url",)), "video_url": url}, frozenset({"type", "video_url"})
    )
    _add_part(next(each for each in objects(base.fields["messages"]) if each.label == "user"), part)
    return base


def _responses() -> Object:
    """OpenAI's schema, with the ``input_audio`` part that its SDK has, but in no union."""
    base = _with_stream(_object(responses_params.ResponseCreateParamsNonStreaming))
    part = _object(ResponseInputAudioParam)
    _add_part(next(each for each in objects(base.fields["input"]) if each.name == "EasyInputMessage"), part)
    return base


def _add_part(message: Object, part: Object) -> None:
    """Add a part to the list that a message's content may be."""
    content = message.fields["content"]
    assert isinstance(content, OneOf)
    [parts] = [each for each in content.variants if isinstance(each, List)]
    assert isinstance(parts.item, OneOf)
    others = tuple(each for each in content.variants if each is not parts)
    message.fields["content"] = OneOf((*others, List(OneOf((*parts.item.variants, part)))))


_GOOD_IMAGE = data_url(image("PNG"), "image/png")
_EXAMPLES: dict[tuple[str, str], Any] = {
    ("ImageURL", "url"): _GOOD_IMAGE,
    ("VideoURL", "url"): data_url(video(), "video/mp4"),
    ("InputAudio", "data"): encoded(wave()),
    ("FileFile", "file_data"): data_url(pdf(), "application/pdf"),
    ("FileFile", "filename"): "a.pdf",
    ("ResponseInputImage", "image_url"): _GOOD_IMAGE,
    ("ResponseInputImageContent", "image_url"): _GOOD_IMAGE,
    ("ResponseComputerToolCallOutputScreenshot", "image_url"): _GOOD_IMAGE,
    ("ResponseInputFile", "file_data"): data_url(pdf(), "application/pdf"),
    ("ResponseInputFileContent", "file_data"): data_url(pdf(), "application/pdf"),
    ("BetaBase64ImageSource", "data"): encoded(image("PNG")),
    ("BetaBase64PDFSource", "data"): encoded(pdf()),
}
"""Values of fields in which any other is an error of its own, so that the places beside them are reached."""


def _example_of(kind: Object, name: str, inner: Type) -> Any:
    return _EXAMPLES[kind.name, name] if (kind.name, name) in _EXAMPLES else example(inner)


def example(kind: Type) -> Any:
    """Return the smallest value of a type: the required fields, the first variant that ends."""
    found: Any = "x"
    match kind:
        case Enumeration():
            found = kind.values[0]
        case Scalar():
            found = kind.sample
        case Anything():
            found = {}
        case List():
            found = [example(kind.item)]
        case Table():
            found = {"k": example(kind.value)}
        case OneOf():
            found = example(kind.variants[0])
        case Object():
            names = [name for name in kind.fields if name in kind.required or (kind.name, name) in _EXAMPLES]
            found = {name: _example_of(kind, name, kind.fields[name]) for name in names}
    return found


def variants(kind: Type) -> Sequence[Type]:
    """Return the members of a union, or the type itself."""
    return kind.variants if isinstance(kind, OneOf) else (kind,)


def objects(kind: Type) -> list[Object]:
    """Return every object of a schema, once."""
    found: dict[Object, None] = {}

    def visit(inner: Type) -> None:
        match inner:
            case Object() if inner not in found:
                found[inner] = None
                for known in inner.fields.values():
                    visit(known)
            case List():
                visit(inner.item)
            case Table():
                visit(inner.value)
            case OneOf():
                for variant in inner.variants:
                    visit(variant)

    visit(kind)
    return list(found)
