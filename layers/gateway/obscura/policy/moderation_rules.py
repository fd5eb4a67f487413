"""The rules about moderation results: flagged categories and thresholds, by modality and direction."""

from collections.abc import Iterator

from obscura.policy.decision import Finding, Layer
from obscura.policy.document import Threshold
from obscura.policy.facts import ModerationResult, Scores


def check_moderation(layer: Layer, result: ModerationResult) -> Iterator[Finding]:
    """Yield a finding for flagged categories, and one for each threshold that is reached."""
    rules = layer.document.rules
    flagged: dict[str, str | None] = {}
    for item in result.items:
        for category in item.flagged:
            if any(includes(wanted, category) for wanted in rules.flagged_categories):
                flagged.setdefault(category, item.path)
    if flagged:
        categories = tuple(flagged)
        param = next(iter(flagged.values()))
        yield layer.found("flagged_categories", ", ".join(categories), param=param, categories=categories)
    for threshold in rules.thresholds:
        reached = [(item, name, score) for item in result.items for name, score in reached_by(threshold, item)]
        if reached:
            item, name, score = max(reached, key=lambda found: found[2])
            yield layer.found(
                "thresholds",
                f"{name} {score:.2f} in {item.modality} of the {item.direction}, {threshold.score:g} is the threshold",
                action=threshold.action,
                param=item.path,
                categories=tuple(dict.fromkeys(name for _, name, _ in reached)),
            )


def includes(category: str, other: str) -> bool:
    """Whether a category of a policy holds for another: itself, one below it (``a`` for ``a/b``), or all (``*``)."""
    return category in {"*", other} or other.startswith(f"{category}/")


def reached_by(threshold: Threshold, item: Scores) -> Iterator[tuple[str, float]]:
    """Yield the categories and scores of an item that reach a threshold."""
    if threshold.modality in {"any", item.modality} and threshold.direction in {"any", item.direction}:
        for name, score in item.scores.items():
            if includes(threshold.category, name) and score >= threshold.score:
                yield name, score
