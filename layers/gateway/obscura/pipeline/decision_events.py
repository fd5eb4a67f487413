"""The events of one request: of the decision on it, and of another that its answer made."""

import secrets
from collections.abc import Mapping

import msgspec

from obscura.clock import Clock
from obscura.pipeline.named_policy import NamedPolicy
from obscura.pipeline.policy_answer import AnswerPolicy
from obscura.pipeline.policy_versions import Versions
from obscura.policy.base import EventSink
from obscura.policy.engine import CheckedRequest
from obscura.policy.events import DecisionEvent, Features, event_of, features_of
from obscura.policy.facts import ModerationResult
from obscura.policy.gate import Decided, Gate
from obscura.policy.render import Shown


class DecisionEvents:
    """Makes the events while the upstream is waited for: neither they nor their log line delay the request."""

    def __init__(self, named: NamedPolicy, versions: Versions, gate: Gate, clock: Clock, sink: EventSink) -> None:
        """``versions`` and ``gate`` as they were chosen for the request that ``named`` its policy."""
        self._named = named
        self._versions = versions
        self._gate = gate
        self._clock = clock
        self._sink = sink
        self._event: DecisionEvent | None = None

    def send(self, shown: Shown, checked: CheckedRequest, moderation: ModerationResult, decided: Decided) -> None:
        """Send the event of the decision on a request, when the event loop is next free."""
        self._sink.put_soon(lambda: self._of_request(shown, checked, moderation, decided))

    def send_output(self, answer: AnswerPolicy) -> None:
        """Send the event of what was found in the answer, or not checked of it, beside that of the request."""
        if answer.findings or answer.failed_checks:
            self._sink.put_soon(lambda: self._of_answer(answer.shown, answer.failed_checks))

    def _of_request(
        self, shown: Shown, checked: CheckedRequest, moderation: ModerationResult, decided: Decided
    ) -> DecisionEvent:
        former, live = self._versions.former, self._versions.live
        document = None if live is None else live.document
        features = features_of(checked.facts, moderation, shown.outcome.reported, checked.redactor.kinds)
        self._event = event_of(
            shown,
            checked.facts,
            event_id=_new_id(),
            created_at=self._now(),
            name=None if document is None else document.name or None,
            data_classification=None if document is None else document.org_controls.data_classification,
            project_label=self._named.project,
            former=None if former is None or decided.former is None else (former.number, decided.former),
            features=features if self._gate.is_audited else None,
        )
        return self._event

    def _of_answer(self, shown: Shown, failed_checks: Mapping[str, str]) -> DecisionEvent | None:
        if self._event is None:
            return None
        features = self._event.features
        if isinstance(features, Features) and failed_checks:
            failed = tuple(f"{name}: {reason}" for name, reason in failed_checks.items())
            features = msgspec.structs.replace(features, checks_failed=failed)
        outcome, reported = shown.outcome, shown.outcome.reported
        return msgspec.structs.replace(
            self._event,
            event_id=_new_id(),
            created_at=self._now(),
            direction="output",
            decision=outcome.decision.value,
            effective_decision=outcome.effective.value,
            reason_code=reported.reason_code,
            rule=reported.rule,
            triggered_categories=reported.triggered_categories,
            denylist_hits=reported.denylist_hits,
            features=features,
        )

    def _now(self) -> str:
        return self._clock.now().isoformat().replace("+00:00", "Z")


def _new_id() -> str:
    return f"evt_{secrets.token_hex(12)}"
