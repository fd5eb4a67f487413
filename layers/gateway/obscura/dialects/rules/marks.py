"""Marks of fields: ids of what the upstream's account holds, what the upstream would keep, entries of its cache.

A dialect's table wraps the rule of such a field, and the review notes where a request has one. What follows is decided
later, by who is calling and which model it goes to (``pipeline.upstream_state``).
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Raw

from obscura.dialects.json.fields import text_or_empty
from obscura.dialects.json.raw import FALSE, Node, is_array, is_null, is_object, open_array, open_object
from obscura.dialects.rules.leaves import Review, Rule

type Note = Callable[[Review], None]

DEFAULT_TTL = Raw(b'"5m"')
"""How long Anthropic's cache keeps an entry that says nothing of it (API reference, "Prompt caching")."""


class Marked:
    """The rule of a field that is noted, before its rule, unless it is null or one of ``harmless``."""

    def __init__(self, note: Note, rule: Rule, harmless: Iterable[Node] = ()) -> None:
        self._note = note
        self._rule = rule
        self._harmless = tuple(harmless)

    @property
    def inner(self) -> Iterable[Rule]:
        """The rule of the value."""
        return (self._rule,)

    def __call__(self, node: Node, review: Review) -> None:
        """Note the field, and review its value."""
        if not is_null(node) and node not in self._harmless:
            self._note(review)
        self._rule(node, review)


def loaded_by_provider(kind: str, rule: Rule) -> Rule:
    """Return the rule of a field by which the provider loads something itself, which does not pass by here."""
    return Marked(lambda review: review.content.add_loaded_by_provider(kind, review.param), rule)


class LoadingTool:
    """The rule of a tool, which is noted as ``loaded_by_provider`` notes a field if its type begins with a kind."""

    def __init__(self, kinds: Sequence[str], rule: Rule) -> None:
        self._kinds = tuple(kinds)
        self._rule = rule

    @property
    def inner(self) -> Iterable[Rule]:
        """The rule of the tool."""
        return (self._rule,)

    def __call__(self, node: Node, review: Review) -> None:
        """Note the tool, and review it."""
        opened = open_object(node, review.param) if is_object(node) else node
        if isinstance(opened, dict):
            name = text_or_empty(review.content.body, opened.get("type"))
            for kind in self._kinds:
                if name.startswith(kind):
                    review.content.add_loaded_by_provider(kind, review.param)
        self._rule(opened, review)


def account_state(rule: Rule) -> Rule:
    """Return the rule of an id of what the upstream's account holds, which any caller can name, such as a response."""
    return Marked(lambda review: review.content.account_state.append(review.param), rule)


def kept_upstream(rule: Rule, harmless: Iterable[Node] = ()) -> Rule:
    """Return the rule of a field by which the upstream keeps something of the request after it has answered."""
    return Marked(lambda review: review.content.kept_upstream.append(review.param), rule, harmless)


def kept_if_true(rule: Rule) -> Rule:
    """Return the rule of a switch by which the upstream keeps something; false is as good as absent."""
    return kept_upstream(rule, harmless=(FALSE,))


def cache_hint(rule: Rule) -> Rule:
    """Return the rule of a field that names or makes an entry of the upstream's cache, and says nothing to the model.

    It is taken off a zero-retention request.
    """
    return Marked(lambda review: review.content.cache_hints.append(tuple(review.path)), rule)


def stored_unless(*contents: str, fields: Rule) -> Rule:
    """Return the rule of an item that, with an id and none of ``contents``, is one that the upstream has stored."""

    def rule(node: Node, review: Review) -> None:
        if isinstance(node, dict) and not is_null(node.get("id")) and all(_is_empty(node.get(key)) for key in contents):
            review.content.stored_items.append(f"{review.param}.id")
        fields(node, review)

    return _Wrapped(rule, fields)


class _Wrapped:
    """A function as a rule that shows the rule below it."""

    def __init__(self, rule: Rule, fields: Rule) -> None:
        self._rule = rule
        self.inner = (fields,)

    def __call__(self, node: Node, review: Review) -> None:
        self._rule(node, review)


def _is_empty(leaf: Node | None) -> bool:
    return leaf is None or is_null(leaf) or (is_array(leaf) and not open_array(leaf, ""))
