"""The rules of objects and arrays, by the rules of their values."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache

from obscura.dialects.content import RequestContent
from obscura.dialects.json.raw import Node, RawObject, is_array, is_object, is_string, open_array, open_object
from obscura.dialects.rules.leaves import Review, Rule, review_key, unchecked, unknown
from obscura.errors import InvalidRequest


class Fields:
    """An object with known fields; all others are ``unknown``.

    A key that differs from a known one, of whatever object of the dialect, in letter case or normal form alone is an
    error: readers such as Go's ``encoding/json`` take one for the other, and may have one type for several objects.
    """

    def __init__(self, *known: Mapping[str, Rule], other: Rule = unknown) -> None:
        """``known`` are the rules by key; ``other`` is that of any value that is no object."""
        self._known = {key: rule for rules in known for key, rule in rules.items()}
        self._other = other

    @property
    def names(self) -> Iterable[str]:
        """The names of the known fields."""
        return self._known

    @property
    def inner(self) -> Iterable[Rule]:
        """The rules of its values."""
        return (*self._known.values(), self._other)

    def with_fields(self, more: Mapping[str, Rule]) -> "Fields":
        """Return these fields and some more."""
        return Fields(self._known, more, other=self._other)

    def __call__(self, node: Node, review: Review) -> None:
        """Review every field by its rule."""
        fields = _opened(node, review)
        if fields is None:
            self._other(node, review)
            return
        known, path = self._known, review.path
        for key, value in fields.items():
            rule = known.get(key)
            path.append(key)
            if rule is None:
                review.count_unknown(len(key))
                _require_spelling(key, review)
                review_key(key, review)
                unknown(value, review)
            else:
                rule(value, review)
            path.pop()


class Each:
    """An array whose elements have one rule; what is no array has another."""

    def __init__(self, element: Rule, other: Rule = unknown) -> None:
        self._element = element
        self._other = other

    @property
    def inner(self) -> Iterable[Rule]:
        """The rules of its elements, and of what is no array."""
        return (self._element, self._other)

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

    @property
    def inner(self) -> Iterable[Rule]:
        """The rule of its values."""
        return (self._value,)

    def __call__(self, node: Node, review: Review) -> None:
        """Review every value; the keys are moderated as text."""
        fields = _opened(node, review)
        if fields is None:
            unknown(node, review)
            return
        for key, value in fields.items():
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

    @property
    def inner(self) -> Iterable[Rule]:
        """The rules of all types."""
        return (*self._rules.values(), self._other)

    def __call__(self, node: Node, review: Review) -> None:
        """Review an object by the rule of its type."""
        fields = _opened(node, review)
        if fields is None:
            self._other(node, review)
            return
        if review.content.unchecked and id(fields) in review.content.unchecked:
            unchecked(fields, review)
            return
        kind = fields.get(self._key)
        name = review.content.body.text(kind) if is_string(kind) else ""
        self._rules.get(name, self._other)(fields, review)


class Either:
    """A value that is a string or an array."""

    def __init__(self, string: Rule, array: Rule) -> None:
        self.inner = (string, array)

    def __call__(self, node: Node, review: Review) -> None:
        """Review the value by one of the two rules."""
        string, array = self.inner
        (string if is_string(node) else array)(node, review)


def either(string: Rule, array: Rule) -> Rule:
    """Return the rule of a value that is a string or an array."""
    return Either(string, array)


def review(root: RawObject, rule: Rule, content: RequestContent) -> None:
    """Review a whole request; raises UnsupportedOperation or InvalidRequest, each with the JSON path as its param."""
    content.unruled_texts = len(content.texts)
    rule(root, Review(content, _folded_names(rule)))


@cache
def _folded_names(request: Rule) -> frozenset[str]:
    """Return the names of all fields that the rules below one know, folded."""
    names: set[str] = set()
    seen: set[int] = set()
    rules: list[Rule] = [request]
    while rules:
        rule = rules.pop()
        if id(rule) not in seen:
            seen.add(id(rule))
            names.update(map(fold, getattr(rule, "names", ())))
            rules += getattr(rule, "inner", ())
    return frozenset(names)


def _require_spelling(key: str, review: Review) -> None:
    if (not key.isascii() or not key.islower()) and fold(key) in review.folded_names:
        raise InvalidRequest(
            f"'{review.param}' is spelled almost like a known field, and some servers would read it as that one. "
            "Write the field's exact name.",
            param=review.param,
        )


def _opened(node: Node, review: Review) -> RawObject | None:
    """Open an object, None if it is none; the path, which is only in errors, is not written before there is one."""
    if isinstance(node, dict):
        return node
    if not is_object(node):
        return None
    try:
        return open_object(node, "")
    except InvalidRequest:
        return open_object(node, review.param)


def fold(key: str) -> str:
    """Return a key as readers that ignore letter case and normal form compare it (Unicode Standard §3.13, UAX #15)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
