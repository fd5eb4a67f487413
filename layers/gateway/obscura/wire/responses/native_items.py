"""Items and tools that only an upstream with this dialect understands: their texts, and pictures nobody can check."""

from obscura.errors import UnsupportedOperation
from obscura.wire.raw_body import Node, is_array, is_null, is_object, is_string, items, members
from obscura.wire.responses.gathered import Gathered
from obscura.wire.responses.parts import shows_picture, shows_video

_TEXTS = frozenset(
    ("text", "output", "input", "arguments", "content", "summary", "code", "diff", "logs", "stdout", "stderr", "reason")
)
_MASK = "input_image_mask"


def read_native_item(leaf: Node, kind: str, path: str, gathered: Gathered) -> None:
    """Gather an item's texts at any depth, and remember the refusal of a picture or video in it."""
    names = [kind]
    _read(leaf, "", path, gathered, names)
    if any(map(shows_picture, names)) or any(map(shows_video, names)):
        _remember(path, gathered)


def read_native_tools(leaf: Node | None, path: str, gathered: Gathered) -> None:
    """Remember the refusal of a tool that brings a picture with it: the mask of image generation.

    Whatever else a tool says of pictures only describes them.
    """
    if not is_array(leaf):
        return
    for index, tool in enumerate(items(leaf, path)):
        if not is_object(tool):
            continue
        fields = members(tool, f"{path}[{index}]")
        if not is_null(fields.get(_MASK)):
            _remember(f"{path}[{index}].{_MASK}", gathered)
        read_native_tools(fields.get("tools"), f"{path}[{index}].tools", gathered)


def _read(leaf: Node, key: str, path: str, gathered: Gathered, names: list[str]) -> None:
    """Gather the texts below a node that stands under ``key``, and add the names that may speak of a picture.

    What is in a list stands under the list's key.
    """
    if is_string(leaf):
        if key in _TEXTS:
            gathered.texts.append(gathered.body.text(leaf))
        elif key == "type":
            names.append(gathered.body.text(leaf))
    elif is_array(leaf):
        for one in items(leaf, path):
            _read(one, key, path, gathered, names)
    elif is_object(leaf):
        for name, inner in members(leaf, path).items():
            if name == "tools":
                read_native_tools(inner, f"{path}.tools", gathered)
            elif not is_null(inner):
                names.append(name)
                _read(inner, name, path, gathered, names)


def _remember(path: str, gathered: Gathered) -> None:
    gathered.unchecked = gathered.unchecked or UnsupportedOperation(
        f"'{path}' carries a picture or video in a form that cannot be checked. Send an input_image part of a message.",
        param=path,
    )
