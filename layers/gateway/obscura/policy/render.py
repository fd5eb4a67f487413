"""How a decision shows: the ``policy`` object in bodies and SSE frames, the ``x-policy-`` headers, replaced answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from msgspec import Raw

from obscura.policy.decision import Decision, Evaluation, Finding
from obscura.policy.document import PolicyDocument
from obscura.policy.rollout import Outcome

MAX_LISTED = 20
"""Hits that are listed in answers; events have all."""


class CoverageView(msgspec.Struct):
    """What was checked."""

    images: dict[str, int]
    text_characters: dict[str, int]
    checks_run: list[str]
    checks_skipped: list[dict[str, str]]


class PolicyView(msgspec.Struct):
    """The ``policy`` object, by the names that users of policy gateways know, with version, rule and coverage."""

    policy_id: str | None
    policy_version: int | None
    decision: str
    effective_decision: str
    reason_code: str
    rollout_mode: str
    enforced: bool
    triggered_categories: list[str]
    allowlist_hits: list[str]
    denylist_hits: list[str]
    policy_target: str | None
    rule: str | None
    coverage: CoverageView


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a decision is shown: its outcome, and the version that it names; None where the floor alone holds."""

    outcome: Outcome
    policy_id: str | None = None
    version: int | None = None
    target: str | None = None

    def view(self) -> PolicyView:
        """Return the ``policy`` object."""
        outcome, reported = self.outcome, self.outcome.reported
        return PolicyView(
            policy_id=self.policy_id,
            policy_version=self.version,
            decision=outcome.decision.value,
            effective_decision=outcome.effective.value,
            reason_code=reported.reason_code,
            rollout_mode=outcome.mode.value,
            enforced=outcome.enforced,
            triggered_categories=list(reported.triggered_categories[:MAX_LISTED]),
            allowlist_hits=list(reported.allowlist_hits[:MAX_LISTED]),
            denylist_hits=list(reported.denylist_hits[:MAX_LISTED]),
            policy_target=self.target,
            rule=reported.rule,
            coverage=_coverage(reported),
        )

    def json(self) -> bytes:
        """Return the ``policy`` object as JSON: encoded once, spliced into every frame."""
        return msgspec.json.encode(self.view())

    def headers(self) -> dict[str, str]:
        """Return the headers, of the same decision as ``decision`` in the body."""
        headers = {"x-policy-decision": self.outcome.decision.value, "x-policy-mode": self.outcome.mode.value}
        if self.policy_id is not None:
            headers["x-policy-id"] = self.policy_id
        if self.version is not None:
            headers["x-policy-version"] = str(self.version)
        return headers


def _coverage(evaluation: Evaluation) -> CoverageView:
    coverage = evaluation.coverage
    return CoverageView(
        {"checked": coverage.images, "total": coverage.images_total},
        {"checked": coverage.text_characters, "total": coverage.text_characters_total},
        list(coverage.run),
        [{"check": check, "reason": reason} for check, reason in coverage.skipped],
    )


def with_output(outcome: Outcome, findings: tuple[Finding, ...]) -> Outcome:
    """Return the outcome after findings in the answer, for the frames from there on."""
    if not findings:
        return outcome
    held = _with(outcome.held, findings)
    reported = held if outcome.reported is outcome.held else _with(outcome.reported, findings)
    return Outcome(outcome.mode, reported.decision, held.decision, outcome.enforced, held, reported)


def with_shadow_output(outcome: Outcome, findings: tuple[Finding, ...]) -> Outcome:
    """Return the outcome after findings of a version in shadow: what is reported of the answer, and no effect."""
    if not findings:
        return outcome
    reported = _with(outcome.reported, findings)
    return replace(outcome, decision=reported.decision, reported=reported)


def with_failed_checks(outcome: Outcome, failed: Mapping[str, str]) -> Outcome:
    """Return the outcome with checks of the answer that had no result, and why, in its coverage."""
    held = _without_checks(outcome.held, failed)
    reported = held if outcome.reported is outcome.held else _without_checks(outcome.reported, failed)
    return replace(outcome, held=held, reported=reported)


def _with(evaluation: Evaluation, findings: tuple[Finding, ...]) -> Evaluation:
    known = set(evaluation.findings)
    new = [found for found in dict.fromkeys(findings) if found not in known]
    ordered = sorted([*new, *evaluation.findings], key=lambda found: -found.decision.severity)
    return replace(evaluation, findings=tuple(ordered))


def _without_checks(evaluation: Evaluation, failed: Mapping[str, str]) -> Evaluation:
    coverage = evaluation.coverage
    run = tuple(name for name in coverage.run if name not in failed)
    skipped = tuple(dict.fromkeys((*coverage.skipped, *failed.items())))
    return replace(evaluation, coverage=replace(coverage, run=run, skipped=skipped))


def splice(body: bytes, policy: bytes) -> bytes:
    """Return a JSON object with ``policy`` as its last member; an own member of that name is replaced.

    What is no JSON object is returned as it is.
    """
    stripped = body.strip()
    if not (stripped.startswith(b"{") and stripped.endswith(b"}")):
        return body
    # A backslash could spell the name in escapes.
    if b'"policy"' in stripped or b"\\u" in stripped:
        try:
            members = msgspec.json.decode(stripped, type=dict[str, Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return body
        if "policy" in members:
            members["policy"] = Raw(policy)
            return msgspec.json.encode(members)
    separator = b"" if stripped[1:-1].isspace() or len(stripped) == 2 else b","
    return b'%b%b"policy":%b}' % (stripped[:-1], separator, policy)


def splice_events(lines: bytes, policy: bytes) -> bytes:
    """Return whole SSE lines with ``policy`` in each data frame that is a JSON object; ``[DONE]`` stays as it is.

    Upstreams and dialects of this gateway write an event's data on one line; a data line that is no whole JSON object
    passes unchanged.
    """
    if b"data:" not in lines:
        return lines
    return b"".join(_spliced_line(line, policy) for line in lines.splitlines(keepends=True))


def _spliced_line(line: bytes, policy: bytes) -> bytes:
    if not line.startswith(b"data:"):
        return line
    data = line[5:].rstrip(b"\r\n")
    end = line[5 + len(data) :]
    return b"data: %b%b" % (splice(data.strip(), policy), end) if b"{" in data else line


REPLACEMENTS = {
    Decision.REWRITE: "I can't help with that request as written. Please rephrase it within this service's policy.",
    Decision.SUMMARY: "The request was not sent to the model. Summary: {reason_code}{categories}.",
}


def replacement_text(evaluation: Evaluation, document: PolicyDocument | None) -> str:
    """Return the answer in place of a rewritten or summarized one; empty for decisions that need none."""
    template = REPLACEMENTS.get(evaluation.decision, "")
    if not template:
        return ""
    if document is not None:
        template = document.rules.response_pattern or document.refusal_replacement.message or template
    categories = ", ".join(evaluation.triggered_categories)
    values = {
        "{reason_code}": evaluation.reason_code,
        "{policy_id}": document.policy_id if document else "",
        "{categories}": f" ({categories})" if categories and template is REPLACEMENTS[Decision.SUMMARY] else categories,
    }
    for name, value in values.items():
        template = template.replace(name, value)
    return template


def refusal_message(evaluation: Evaluation, document: PolicyDocument | None) -> str:
    """Return the message of the error for a refusal or an escalation, without what was found in the request."""
    replacement = document.refusal_replacement if document is not None else None
    if replacement is not None and replacement.message:
        return replacement.message
    message = f"The request was blocked by policy (reason: {evaluation.reason_code}). Change it and send it again."
    if evaluation.decision is Decision.ESCALATE:
        where = f" to {replacement.escalation_path}" if replacement is not None and replacement.escalation_path else ""
        message = f"The request was held back by policy and escalated{where} (reason: {evaluation.reason_code})."
    return message
