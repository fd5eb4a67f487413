"""The rules of what cannot be checked: types that no rule knows, and fields that show the model an unseen file.

Each is recorded as unchecked: it goes to no model but one whose catalog entry passes the type.
"""

from obscura.dialects.base import UncheckedPart
from obscura.dialects.json.raw import Node, is_array, is_null, is_object, is_string, open_array, open_object
from obscura.dialects.rules.containers import Fields, either
from obscura.dialects.rules.leaves import Review, Rule, identifier, number, schema, unchecked, unknown
from obscura.errors import FileNotFound, ObscuraError, UnsupportedOperation

address = either(schema, unknown)
"""The URL of a web page or another address, which no model loads: text, but no data URL. Any other value is unknown."""

_MAX_WORD_CHARS = 16


def word(node: Node, review: Review) -> None:
    """A piece of a text, such as a token of the model's: text if it is shorter than any address of a file."""
    if is_string(node) and memoryview(node).nbytes <= _MAX_WORD_CHARS + 2:
        review.content.texts.append(review.content.body.text(node))
    else:
        unknown(node, review)


def flat(*names: str) -> Fields:
    """Return the rule of an object whose fields are enumerations and ids."""
    return Fields(dict.fromkeys(names, identifier))


def numbers(*names: str) -> dict[str, Rule]:
    """Return the rules of fields that are numbers or booleans."""
    return dict.fromkeys(names, number)


def unlisted(expected: str) -> Rule:
    """Return the rule of objects whose type is not listed; ``expected`` names those that are, for the error."""

    def rule(node: Node, review: Review) -> None:
        if not isinstance(node, dict):
            unknown(node, review)
            return
        kind = node.get("type")
        name, path = review.content.body.text(kind) if is_string(kind) else "", review.param
        error = UnsupportedOperation(
            f"'{path}' is of a type that is not known here, so it cannot be checked. Send {expected}; or have the "
            "operator pass the type (pass_types of the model in the catalog).",
            param=path,
        )
        _record(node, UncheckedPart(name, path, error), review)

    return rule


def unseen_image(kind: str) -> Rule:
    """Return the rule of a field whose image cannot be checked; ``kind`` is the type that is to be passed for it."""

    def rule(node: Node, review: Review) -> None:
        if not is_null(node):
            error = UnsupportedOperation(
                f"'{review.param}' carries an image or a file in a form that cannot be checked. Send an input_image "
                f"part of a message; or have the operator pass the type '{kind}' (pass_types of the model in the "
                "catalog).",
                param=review.param,
            )
            opened = open_object(node, review.param) if is_object(node) else node
            has_id = isinstance(opened, dict) and not is_null(opened.get("file_id"))
            _record(node, _part(kind, review, error, f"{review.param}.file_id" if has_id else None), review)

    return rule


def provider_files(kind: str) -> Rule:
    """Return the rule of a list of file ids that only the upstream can read, so that they are not checked."""

    def rule(node: Node, review: Review) -> None:
        if is_null(node) or (is_array(node) and not open_array(node, review.param)):
            return
        error = FileNotFound(
            f"'{review.param}' has files of the upstream's, which are not known here. Send files as content parts.",
            param=review.param,
        )
        _record(node, _part(kind, review, error, review.param), review)

    return rule


def _part(kind: str, review: Review, error: ObscuraError, account_id: str | None) -> UncheckedPart:
    return UncheckedPart(kind, review.param, error, account_id)


def _record(node: Node, part: UncheckedPart, review: Review) -> None:
    # The record is its own key: the node may be gone after this, and its id then another node's.
    review.content.unchecked[id(part)] = part
    if isinstance(node, (dict, list)) or is_string(node) or is_array(node) or is_object(node):
        unchecked(node, review)
