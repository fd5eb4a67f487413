"""The rules of objects and arrays, by the rules of their values."""

import unicodedata
from collections.abc import Mapping
from typing import ClassVar

from obscura.dialects.json.raw import Node, RawObject, is_array, is_object, is_string, open_array, open_object
from obscura.dialects.rules.leaves import Review, Rule, review_key, unchecked, unknown
from obscura.errors import InvalidRequest


class Fields:
    """An object with known fields; all others are ``unknown``.

    A key that differs from a known one, of whatever object, in letter case or normal form alone is an error: readers
    such as Go's ``encoding/json`` take one for the other.
    """

    _folded: ClassVar[set[str]] = set()

    def __init__(self, *known: Mapping[str, Rule], other: Rule = unknown) -> None:
        """``known`` are the rules by key; ``other`` is that of any value that is no object."""
        self._known = {key: rule for rules in known for key, rule in rules.items()}
        self._folded.update(map(_fold, self._known))
        self._other = other

    def with_fields(self, more: Mapping[str, Rule]) -> "Fields":
        """Return these fields and some more."""
        return Fields(self._known, more, other=self._other)

    def __call__(self, node: Node, review: Review) -> None:
        """Review every field by its rule."""
        if not isinstance(node, dict):
            if not is_object(node):
                self._other(node, review)
                return
            node = _opened(node, review)
        known, path = self._known, review.path
        for key, value in node.items():
            rule = known.get(key)
            path.append(key)
            if rule is None:
                self._require_spelling(key, review)
                review_key(key, review)
                unknown(value, review)
            else:
                rule(value, review)
            path.pop()

    def _require_spelling(self, key: str, review: Review) -> None:
        if (not key.isascii() or not key.islower()) and _fold(key) in self._folded:
            raise InvalidRequest(
                f"'{review.param}' is spelled almost like a known field, and some servers would read it as that one. "
                "Write the field's exact name.",
                param=review.param,
            )


class Each:
    """An array whose elements have one rule; what is no array has another."""

    def __init__(self, element: Rule, other: Rule = unknown) -> None:
        self._element = element
        self._other = other

    def __call__(self, node: Node, review: Review) -> None:
        """Review every element."""
        if not isinstance(node, list):
            if not is_array(node):
                self._other(node, review)
                return
            node = list(open_array(node, review.param))
        for index, element in enumerate(node):
            review.path.append(index)
            self._element(element, review)
            review.path.pop()


class ByKey:
    """An object with keys of the caller's own, whose values have one rule."""

    def __init__(self, value: Rule) -> None:
        self._value = value

    def __call__(self, node: Node, review: Review) -> None:
        """Review every value; the keys are moderated as text."""
        if not isinstance(node, dict):
            if not is_object(node):
                unknown(node, review)
                return
            node = _opened(node, review)
        for key, value in node.items():
            review.path.append(key)
            review_key(key, review)
            self._value(value, review)
            review.path.pop()


class ByType:
    """An object whose ``type``, or another ``key``, names its rule; unlisted types and other values are ``other``.

    Of a part that was recorded as unchecked, the strings that are no media are moderated, and none is refused: it goes
    to no model but one for which the operator passes it.
    """

    def __init__(self, rules: Mapping[str, Rule], other: Rule = unknown, key: str = "type") -> None:
        self._rules = dict(rules)
        self._other = other
        self._key = key

    def __call__(self, node: Node, review: Review) -> None:
        """Review an object by the rule of its type."""
        if not isinstance(node, dict):
            if not is_object(node):
                self._other(node, review)
                return
            node = _opened(node, review)
        if review.content.unchecked and id(node) in review.content.unchecked:
            unchecked(node, review)
            return
        kind = node.get(self._key)
        name = review.content.body.text(kind) if is_string(kind) else ""
        self._rules.get(name, self._other)(node, review)


def either(string: Rule, array: Rule) -> Rule:
    """Return the rule of a value that is a string or an array."""

    def rule(node: Node, review: Review) -> None:
        if is_string(node):
            string(node, review)
        else:
            array(node, review)

    return rule


def _opened(node: Node, review: Review) -> RawObject:
    """Open an object; the path, which is only in errors, is not written before there is one."""
    try:
        return open_object(node, "")
    except InvalidRequest:
        return open_object(node, review.param)


def _fold(key: str) -> str:
    """Return a key as readers that ignore letter case and normal form compare it (Unicode Standard §3.13, UAX #15)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
