"""Replay of recorded events by another document: what would change, and what the record cannot say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from obscura.policy.decision import Coverage, Decision, Evaluation, Finding, Layer, evaluation
from obscura.policy.document import PolicyDocument
from obscura.policy.events import Recorded
from obscura.policy.image_rules import check_images
from obscura.policy.moderation_rules import check_moderation
from obscura.policy.secret_patterns import SECRET_KINDS
from obscura.policy.terms import ListMatcher


@dataclass(frozen=True, slots=True)
class Replayed:
    """One event by the new document; ``unknown`` are rules that ask for what was not recorded."""

    event_id: str
    before: Decision
    after: Evaluation
    unknown: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether the new document decides otherwise."""
        return self.before is not self.after.decision


def replay(
    recorded: Recorded,
    document: PolicyDocument,
    floor: PolicyDocument | None = None,
    known: PolicyDocument | None = None,
) -> Replayed:
    """Decide on an event again. ``known`` is the document that it was recorded by, if it is at hand.

    Image rules, thresholds and categories are exact. Of lists, the entries that were hit are known: entries that
    ``known`` does not have are unknown, and so are all that were not hit where there is no ``known``.
    """
    layers = [Layer(name, one) for name, one in (("floor", floor), ("policy", document)) if one is not None]
    findings: list[Finding] = []
    if recorded.moderation.blocked is not None:
        blocked = recorded.moderation.blocked
        findings.append(Finding("gateway.moderation", Decision.REFUSE, "MODERATION_BLOCKED", blocked, None, (blocked,)))
    findings += (
        Finding("gateway.hash_lists", Decision.REFUSE, "HASH_MATCH", f"list {match.list_name}")
        for image in recorded.facts.images
        for match in image.list_matches
    )
    unknown: list[str] = []
    for layer in layers:
        findings += _lists(layer, recorded, known, unknown)
        findings += check_images(layer, recorded.facts, ListMatcher(()))
        findings += check_moderation(layer, recorded.moderation)
        unknown += _unrecorded(layer, recorded)
    return Replayed(
        recorded.event_id, recorded.decision, evaluation(findings, Coverage()), tuple(dict.fromkeys(unknown))
    )


def _lists(layer: Layer, recorded: Recorded, known: PolicyDocument | None, unknown: list[str]) -> Iterator[Finding]:
    features = recorded.features
    denied = _entries(layer.document, "deny")
    hits = tuple(hit for hit in features.term_hits if hit in denied)
    if hits:
        yield layer.found("denylist", f"entries hit: {len(hits)}", hits=hits)
    allowed = _entries(layer.document, "allow")
    if allowed and not any(hit in allowed for hit in features.allowlist_hits):
        yield layer.found("allowlist", "no entry of the allowlist is hit")
    for rule, entries, kind in (("denylist", denied, "deny"), ("allowlist", allowed, "allow")):
        if set(entries) - set(() if known is None else _entries(known, kind)):
            unknown.append(f"{layer.name}.{rule}")
    for rule, kinds in _redacted_kinds(layer.document).items():
        found = [kind for kind in kinds if features.redacted.get(kind)]
        if found:
            yield layer.found(rule, ", ".join(found), action="redact")
        known_entries = set() if known is None else _redacted_entries(known)[rule]
        if _redacted_entries(layer.document)[rule] - known_entries:
            unknown.append(f"{layer.name}.{rule}")


def _redacted_kinds(document: PolicyDocument) -> dict[str, Sequence[str]]:
    """Return the kinds of values that each rule redacts, as they are recorded."""
    entries = _redacted_entries(document)
    return {
        "redact_pii": sorted(entries["redact_pii"]),
        "redact_secrets": sorted(entries["redact_secrets"]),
        "redact_terms": ["term"] if entries["redact_terms"] else [],
    }


def _redacted_entries(document: PolicyDocument) -> dict[str, set[str]]:
    """Return what each rule looks for: kinds, and the terms and expressions themselves."""
    rules = document.rules
    return {
        "redact_pii": set(rules.pii) if rules.redact_pii else set(),
        "redact_secrets": set(SECRET_KINDS) if rules.redact_secrets else set(),
        "redact_terms": {*rules.redact_terms, *(regex.name for regex in rules.regexes if regex.kind == "redact")},
    }


def _entries(document: PolicyDocument, kind: str) -> Sequence[str]:
    terms = document.rules.denylist if kind == "deny" else document.rules.allowlist
    return [*terms, *(regex.name for regex in document.rules.regexes if regex.kind == kind)]


def _unrecorded(layer: Layer, recorded: Recorded) -> Iterator[str]:
    images = layer.document.images
    hashes = [*images.blocked_hashes, *(images.allowed_hashes or ())]
    if recorded.facts.images and any(not entry.startswith("pdq:") for entry in hashes):
        yield f"{layer.name}.images.hashes"
    if images.qr == "check" and any(image.codes for image in recorded.facts.images):
        yield f"{layer.name}.images.qr"
    if layer.document.checks:
        yield f"{layer.name}.checks"
