"""A case by a compiled policy, from the request to the answer, as commands and tests run it."""

from collections.abc import Iterator
from dataclasses import dataclass

from obscura.policy.cases import Case
from obscura.policy.decision import Decision, Evaluation, evaluation
from obscura.policy.engine import CheckedRequest, CompiledPolicy
from obscura.policy.render import refusal_message, replacement_text


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a case: the decision, the texts that the model gets, and what the caller gets of its answer."""

    case: Case
    checked: CheckedRequest
    evaluation: Evaluation
    output: str | None

    def failures(self) -> Iterator[str]:
        """Yield what differs from what the case expects."""
        expected = self.case.expect
        if expected is None:
            return
        rule = self.evaluation.rule
        if expected.decision is not None and expected.decision != self.evaluation.decision:
            yield f"decision is {self.evaluation.decision}, expected {expected.decision}"
        if expected.reason_code is not None and expected.reason_code != self.evaluation.reason_code:
            yield f"reason_code is {self.evaluation.reason_code}, expected {expected.reason_code}"
        if expected.rule is not None and expected.rule not in {rule, (rule or "").partition(".")[2]}:
            yield f"rule is {rule or 'none'}, expected {expected.rule}"
        if expected.texts is not None and expected.texts != self.checked.texts:
            yield f"texts are {list(self.checked.texts)}, expected {list(expected.texts)}"
        if expected.output is not None and expected.output != self.output:
            yield f"output is {self.output!r}, expected {expected.output!r}"


def try_case(policy: CompiledPolicy, case: Case) -> Trial:
    """Run a case through the policy, enforced."""
    checked = policy.check_request(case.facts(), case.quotas())
    decided = policy.decide(checked, case.moderation.result())
    if not decided.decision.reaches_model:
        return Trial(case, checked, decided, _instead(decided, policy))
    if case.output is None:
        return Trial(case, checked, decided, None)
    scanner, restorer = policy.output_scanner(), checked.redactor.stream()
    first, last = scanner.feed(case.output), scanner.finish()
    output = restorer.feed(first.text) + restorer.feed(last.text) + restorer.finish()
    found = (*first.findings, *last.findings)
    if found:
        decided = evaluation([*decided.findings, *found], decided.coverage, decided.allowlist_hits)
    return Trial(case, checked, decided, output)


def _instead(decided: Evaluation, policy: CompiledPolicy) -> str:
    if decided.decision in {Decision.REWRITE, Decision.SUMMARY}:
        return replacement_text(decided, policy.document)
    return refusal_message(decided, policy.document)
