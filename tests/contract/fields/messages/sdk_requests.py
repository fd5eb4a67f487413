"""Requests with every field of the anthropic SDK's request types, made from the types themselves, beta included."""

import types
import typing
from collections import abc
from collections.abc import Iterator
from typing import Any

import typing_extensions
from anthropic._types import SequenceNotStr
from anthropic.types import message_create_params, tool_result_block_param
from anthropic.types.beta import beta_content_block_param, beta_tool_result_block_param
from anthropic.types.beta import message_create_params as beta

from tests.unit.dialects.messages.conversations import OURS, PDF

HEADERS = {"betas", "user_profile_id", "workspace_id"}
"""Fields of the SDK's types that it sends as headers."""
WORD = "word"
MAX_FIELDS = 26
"""More only has the list of a toolset's members, which are all alike."""

ARRAYS = {list, abc.Iterable, abc.Sequence, typing_extensions.get_origin(SequenceNotStr[str])}

type Keys = tuple[str | int, ...]


def fields_of(kind: object) -> dict[str, object]:
    """The fields of one of the SDK's types, with their types."""
    return {
        name: hint for name, hint in typing.get_type_hints(kind, include_extras=False).items() if name not in HEADERS
    }


def members(hint: object) -> list[object]:
    """The types that a union is of, however nested; another type alone."""
    if isinstance(hint, typing.TypeAliasType):
        return members(hint.__value__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Annotated, typing_extensions.Required, typing_extensions.NotRequired}:
        return members(args[0])
    if origin in {typing.Union, types.UnionType}:
        return [member for arg in args for member in members(arg)]
    return [hint]


def typed_dicts(hint: object) -> list[object]:
    """The TypedDicts among the members of a union, or of the elements of an array."""
    if typing.get_origin(hint) in ARRAYS:
        return typed_dicts(typing.get_args(hint)[0])
    found = [member for member in members(hint) if typing_extensions.is_typeddict(member)]
    arrays = [member for member in members(hint) if typing.get_origin(member) in ARRAYS]
    return found + [kind for array in arrays for kind in typed_dicts(array)]


def block_types() -> dict[str, object]:
    """The SDK's types of the blocks of messages and tool results, by their ``type``; those of the beta win."""
    unions = (
        *(tool_result_block_param.Content, beta_tool_result_block_param.Content),
        beta_content_block_param.BetaContentBlockParam,
    )
    return {name: kind for union in unions for kind in typed_dicts(union) for name in type_names(kind)}


def type_names(kind: object) -> tuple[str, ...]:
    """The values of the ``type`` of one of the SDK's types."""
    return tuple(name for member in members(fields_of(kind)["type"]) for name in map(str, typing.get_args(member)))


def tool_types() -> list[object]:
    """The SDK's types of tools."""
    return typed_dicts(fields_of(beta.MessageCreateParamsBase)["tools"])


def examples(hint: object) -> list[object]:
    """Values of a type with all of its fields: one for each member of a union, wherever it stands."""
    if len(union := members(hint)) > 1 or union[0] is not hint:
        return [example for member in union for example in examples(member)]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return [args[0]]
    if origin is dict:
        return [{"key": value} for value in examples(args[1])]
    if origin in ARRAYS:
        return [examples(args[0])]
    if typing_extensions.is_typeddict(hint):
        return _objects(hint)
    values: dict[object, object] = {str: WORD, int: 1, bool: True, object: WORD}
    return [values[hint]] if hint in values else []


def requests() -> Iterator[dict[str, object]]:
    """Requests that together have every field and every member of every union: one for each field and block."""
    for kind in (message_create_params.MessageCreateParamsBase, beta.MessageCreateParamsBase):
        for name, hint in fields_of(kind).items():
            if name not in {"messages", "model", "max_tokens"}:
                yield from ({**_request(), name: value} for value in _one_by_one(examples(hint)))
        for role in typed_dicts(fields_of(kind)["messages"]):
            for example in _objects(role):
                yield _request() | {"messages": [_with_few_blocks(example)]}
    for block_type in block_types().values():
        yield from (_request(block) for block in _objects(block_type))


def places(values: list[dict[str, object]]) -> list[tuple[dict[str, object], Keys]]:
    """A request and the keys to one of its values, for each field of an object in each field of another."""
    found = {kinds[-4:]: (value, keys) for value in values for kinds, keys in _places(value, (), ())}
    return list(found.values())


def _places(value: object, kinds: tuple[object, ...], keys: Keys) -> Iterator[tuple[tuple[object, ...], Keys]]:
    if isinstance(value, dict):
        kinds = (*kinds, str(value.get("type")))
        for key, inner in list(value.items())[:MAX_FIELDS]:
            yield (*kinds, key), (*keys, key)
            if key != "definition":  # of a tool: as in tools
                yield from _places(inner, (*kinds, key), (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*kinds, type(inner)), (*keys, index)
            yield from _places(inner, kinds, (*keys, index))


def at(value: Any, keys: Keys) -> Any:
    """The value that the keys lead to."""
    for key in keys:
        value = value[key]
    return value


def _request(*blocks: object) -> dict[str, object]:
    content = list(blocks) or [{"type": "text", "text": "hello"}]
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}


def _objects(kind: object) -> list[object]:
    """Objects of a TypedDict with all fields: as many as the field with the most variants has."""
    by_field = {name: values for name, hint in fields_of(kind).items() if (values := examples(hint))}
    count = max((len(values) for values in by_field.values()), default=1)
    made = [{name: values[index % len(values)] for name, values in by_field.items()} for index in range(count)]
    return [_with_pdf(value) if value.get("type") == "document" else value for value in made]


def _with_pdf(block: dict[str, object]) -> dict[str, object]:
    """A document whose file is a PDF, which has no citations."""
    source = block["source"]
    assert isinstance(source, dict)
    files: dict[object, dict[str, object]] = {"base64": {"data": PDF}, "url": {}, "file": {"file_id": OURS}}
    if source["type"] not in files:
        return block
    return block | {"source": source | files[source["type"]], "citations": {"enabled": False}}


def _one_by_one(values: list[object]) -> Iterator[object]:
    """The values, arrays with one element each: small requests."""
    for value in values:
        yield from ([element] for element in value) if isinstance(value, list) else (value,)


def _with_few_blocks(message: object) -> object:
    """A message's own fields; its blocks have requests of their own."""
    assert isinstance(message, dict)
    return message | {"content": "hello"}
