"""Decisions, what leads to them, and the most severe of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from obscura.policy.document import PolicyDocument
from obscura.policy.facts import QuotaResult


class Decision(StrEnum):
    """What becomes of a request, the least severe first."""

    ALLOW = "allow"
    FLAG = "flag"
    REDACT = "redact"
    REWRITE = "rewrite"
    SUMMARY = "summary"
    ESCALATE = "escalate"
    REFUSE = "refuse"

    @property
    def severity(self) -> int:
        """The rank; of several decisions the one with the highest holds."""
        return _SEVERITY[self]

    @property
    def reaches_model(self) -> bool:
        """Whether the request goes on to the model."""
        return self.severity <= Decision.REDACT.severity

    @property
    def is_error(self) -> bool:
        """Whether the caller gets an error: rewrite and summary are answers."""
        return self in {Decision.ESCALATE, Decision.REFUSE}


_SEVERITY = {decision: rank for rank, decision in enumerate(Decision)}

OF_ACTION = {
    "flag": Decision.FLAG,
    "redact": Decision.REDACT,
    "rewrite": Decision.REWRITE,
    "summarize": Decision.SUMMARY,
    "escalate": Decision.ESCALATE,
    "block": Decision.REFUSE,
}

REASON_CODES = {
    "moderation": "MODERATION_BLOCKED",
    "allowlist": "ALLOWLIST_MISS",
    "denylist": "DENYLIST_HIT",
    "flagged_categories": "CATEGORY_FLAGGED",
    "thresholds": "CATEGORY_THRESHOLD",
    "redact_pii": "REDACT",
    "redact_secrets": "REDACT",
    "redact_terms": "REDACT",
    "checks": "EXTERNAL_CHECK",
    "user_quota": "USER_QUOTA_EXCEEDED",
    "project_quota": "PROJECT_QUOTA_EXCEEDED",
}
"""The built-in reason codes; a rule about images has its name in capitals, such as ``IMAGES_MAX_COUNT``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired.

    rule         path of the rule: ``policy.denylist``, ``floor.images.max_count``, ``gateway.moderation``
    param        JSON path of what it fired on in the request, if it is one place
    detail       what was found, of numbers and of names in the document: never content of the request
    hits         entries of the list that were hit
    """

    rule: str
    decision: Decision
    reason_code: str
    detail: str = ""
    param: str | None = None
    categories: tuple[str, ...] = ()
    hits: tuple[str, ...] = ()
    quota: QuotaResult | None = None

    @property
    def name(self) -> str:
        """The rule without its layer."""
        return self.rule.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was checked of a request, and what was not and why."""

    images: int = 0
    images_total: int = 0
    text_characters: int = 0
    text_characters_total: int = 0
    run: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decision on a request by one version of a policy and the floor, with all findings, the most severe first."""

    findings: tuple[Finding, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    allowlist_hits: tuple[str, ...] = ()

    @property
    def decision(self) -> Decision:
        """The most severe decision."""
        return self.findings[0].decision if self.findings else Decision.ALLOW

    @property
    def reason_code(self) -> str:
        """The reason code of the decision; ``ALLOW`` if no rule fired."""
        return self.findings[0].reason_code if self.findings else "ALLOW"

    @property
    def rule(self) -> str | None:
        """The path of the rule that decided."""
        return self.findings[0].rule if self.findings else None

    @property
    def triggered_categories(self) -> tuple[str, ...]:
        """Every moderation category that a rule fired on."""
        return _all(finding.categories for finding in self.findings) if self.findings else ()

    @property
    def denylist_hits(self) -> tuple[str, ...]:
        """Every entry of a denylist that was hit, in texts or in codes of images."""
        return _all(finding.hits for finding in self.findings) if self.findings else ()

    def only(self, *layers: str) -> "Evaluation":
        """Return the evaluation by some layers alone: ``gateway``, ``floor``, ``policy``."""
        kept = tuple(found for found in self.findings if found.rule.partition(".")[0] in layers)
        return Evaluation(kept, self.coverage, self.allowlist_hits)


def evaluation(findings: Iterable[Finding], coverage: Coverage, allowlist_hits: tuple[str, ...] = ()) -> Evaluation:
    """Return the evaluation of findings in the order of the rules; of equal severity the first one decides."""
    ordered = sorted(findings, key=lambda finding: -finding.decision.severity)
    return Evaluation(tuple(ordered), coverage, allowlist_hits)


def _all(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry for group in groups for entry in group))


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A document whose rules hold, under the name that begins the paths of its rules: ``policy`` or ``floor``."""

    name: str
    document: PolicyDocument

    def found(  # noqa: PLR0913 the fields of a finding
        self,
        rule: str,
        detail: str,
        *,
        action: str | None = None,
        param: str | None = None,
        categories: tuple[str, ...] = (),
        hits: tuple[str, ...] = (),
        quota: QuotaResult | None = None,
    ) -> Finding:
        """Return the finding that a rule fired, with the action and the reason code that the document has for it."""
        rules = self.document.rules
        chosen = rules.actions.get(rule) or action or rules.enforcement_action
        if chosen == "block":
            chosen = self.document.refusal_replacement.mode or chosen
        code = rules.reason_codes.get(rule) or REASON_CODES.get(rule) or rule.replace(".", "_").upper()
        return Finding(f"{self.name}.{rule}", OF_ACTION[chosen], code, detail, param, categories, hits, quota)
