"""Items and tools that only an upstream with this dialect understands: their texts, and pictures nobody can check."""

from collections.abc import Iterator

from msgspec import Raw

from obscura.errors import UnsupportedOperation
from obscura.wire.raw_body import RawObject, is_array, is_null, is_object, is_string, items, members
from obscura.wire.responses.gathered import Gathered
from obscura.wire.responses.parts import shows_picture

_TEXTS = frozenset(
    ("text", "output", "input", "arguments", "content", "summary", "code", "diff", "logs", "stdout", "stderr", "reason")
)


def read_native_item(leaf: Raw, kind: str, path: str, gathered: Gathered) -> None:
    """Gather an item's texts at any depth, and remember the refusal of a picture in it."""
    picture = shows_picture(kind)
    for key, inner in _strings(leaf, path):
        if key in _TEXTS:
            gathered.texts.append(gathered.body.text(inner))
        picture = picture or shows_picture(key) or (key == "type" and shows_picture(gathered.body.text(inner)))
    if picture:
        _remember(path, gathered)


def read_native_tools(root: RawObject, gathered: Gathered) -> None:
    """Remember the refusal of a tool that brings a picture with it: the mask of image generation."""
    tools = root.get("tools")
    if not is_array(tools):
        return
    for index, tool in enumerate(items(tools, "tools")):
        path = f"tools[{index}]"
        if is_object(tool) and not is_null(members(tool, path).get("input_image_mask")):
            _remember(f"{path}.input_image_mask", gathered)


def _remember(path: str, gathered: Gathered) -> None:
    gathered.unchecked = gathered.unchecked or UnsupportedOperation(
        f"'{path}' carries a picture in a form that cannot be checked. Send it as an input_image part of a message.",
        param=path,
    )


def _strings(leaf: Raw, path: str, key: str = "") -> Iterator[tuple[str, Raw]]:
    """Every string below a node with the key that it stands under; those of a list stand under the list's key."""
    if is_string(leaf):
        yield key, leaf
    elif is_object(leaf):
        for name, inner in members(leaf, path).items():
            if isinstance(inner, Raw):
                yield from _strings(inner, path, name)
    elif is_array(leaf):
        for inner in items(leaf, path):
            yield from _strings(inner, path, key)
