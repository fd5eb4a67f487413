"""Texts of a parsed request rewritten in its tree, such as by redaction: what is rendered afterwards has the new ones.

The rules of the dialect find the texts, and find them again afterwards: what the model may read is in what they return.
"""

import copy
import re
from collections.abc import Callable

import msgspec
from msgspec import Raw

from obscura.dialects.content import NodePath, RequestContent, Texts
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_array, is_object, is_string, open_array, open_object
from obscura.dialects.rules.leaves import Review, Rule, is_identifier_key

type Rewrite = Callable[[str], str]

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


class _PlacedTexts(Texts):
    """Texts with the place of each in the tree, where the review stands when it adds one."""

    def __init__(self, content: RequestContent) -> None:
        super().__init__(content.limits)
        self.places: list[NodePath] = []
        self.review: Review | None = None

    def append(self, text: str) -> None:
        """Add a text and its place."""
        super().append(text)
        if self.review is not None:
            self.places.append(tuple(self.review.path))


def rewrite_texts(content: RequestContent, rule: Rule, rewrite: Rewrite) -> None:
    """Rewrite every text of a request, string by string, in its tree and in ``content.texts``.

    ``rule`` is the dialect's rule of a request. Texts that no rule finds, such as the names of files, are rewritten in
    ``content.texts`` alone, where what puts them into the request reads them.
    """
    found = _collected(content, rule)
    changed = [(place, text) for place, text in zip(found.places, found, strict=True) if rewrite(text) != text]
    for place, text in sorted(dict.fromkeys(changed), key=lambda one: -len(one[0])):
        last = place[-1] if place else ""
        is_key = text == last and not is_identifier_key(last)
        _rewrite_at(content.body.root, place, content.body, rewrite, is_key=is_key)
    own = [rewrite(text) for text in content.texts[: content.unruled_texts]]
    content.texts[:] = [*own, *_collected(content, rule)]


def _collected(content: RequestContent, rule: Rule) -> _PlacedTexts:
    """Return what the rules find in the tree as it is; ``content`` itself stays as it is."""
    texts = _PlacedTexts(content)
    walked = copy.copy(content)
    walked.texts = texts
    walked.account_state, walked.stored_items, walked.kept_upstream, walked.cache_hints = [], [], [], []
    walked.unmoderated, walked.unchecked = [], dict(content.unchecked)
    texts.review = Review(walked)
    rule(content.body.root, texts.review)
    return texts


def _rewrite_at(root: RawObject, place: NodePath, body: RawJson, rewrite: Rewrite, *, is_key: bool) -> None:
    *holders, last = place
    node: Node = root
    for depth, key in enumerate(holders):
        child = _child(node, key)
        if isinstance(child, Raw):
            _set(node, key, _rewritten_below(child, place[depth + 1 :], body, rewrite, is_key=is_key))
            return
        node = child
    _rewrite_child(node, last, body, rewrite, is_key=is_key)


def _rewrite_child(node: Node, key: str | int, body: RawJson, rewrite: Rewrite, *, is_key: bool) -> None:
    """Rewrite what an opened node has under a key, or the key itself."""
    if not is_key:
        _set(node, key, _rewritten(_child(node, key), body, rewrite))
    elif isinstance(node, dict) and isinstance(key, str):
        renamed = rewrite(key)
        fields = {renamed if name == key else name: value for name, value in node.items()}
        node.clear()
        node.update(fields)


def _rewritten_below(leaf: Raw, place: NodePath, body: RawJson, rewrite: Rewrite, *, is_key: bool) -> Raw:
    """Return a leaf that stays one, with what stands at ``place`` in it rewritten."""
    opened: Node = open_object(leaf, "") if is_object(leaf) else list(open_array(leaf, ""))
    key, *below = place
    if not below:
        _rewrite_child(opened, key, body, rewrite, is_key=is_key)
    else:
        child = _child(opened, key)
        if isinstance(child, Raw):
            _set(opened, key, _rewritten_below(child, tuple(below), body, rewrite, is_key=is_key))
    return Raw(msgspec.json.encode(opened))


def _rewritten(node: Node, body: RawJson, rewrite: Rewrite) -> Node:
    """Return a node with every string in it rewritten, keys included; opened nodes are rewritten where they are."""
    if isinstance(node, dict):
        fields = {rewrite(key): _rewritten(value, body, rewrite) for key, value in node.items()}
        node.clear()
        node.update(fields)
        return node
    if isinstance(node, list):
        node[:] = [_rewritten(value, body, rewrite) for value in node]
        return node
    if not (is_string(node) or is_object(node) or is_array(node)):
        return node

    def one(found: re.Match[bytes]) -> bytes:
        text = body.text(Raw(found[0]))
        new = rewrite(text)
        return found[0] if new == text else msgspec.json.encode(new)

    return Raw(_STRINGS.sub(one, bytes(node)))


def _child(node: Node, key: str | int) -> Node:
    if isinstance(node, dict) and isinstance(key, str):
        return node[key]
    if isinstance(node, list) and isinstance(key, int):
        return node[key]
    raise TypeError("a place of the review does not fit its tree")


def _set(node: Node, key: str | int, value: Node) -> None:
    if isinstance(node, dict):
        node[str(key)] = value
    elif isinstance(node, list):
        node[int(key)] = value
