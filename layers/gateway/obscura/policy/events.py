"""Events: one a decision, with features in place of content, so that a new policy can be replayed on old traffic."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from obscura.policy.decision import Decision, Evaluation
from obscura.policy.facts import HashMatch, ImageFacts, ModerationResult, RequestFacts, Scores
from obscura.policy.render import Shown
from obscura.policy.rollout import Mode
from obscura.policy.versions import PolicyVersion


class Features(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request was decided on, without one word or pixel of it.

    hosts of images stay, their paths and queries do not; texts are lengths, and which entries of lists they hit.
    """

    text_characters: tuple[int, ...] = ()
    term_hits: tuple[str, ...] = ()
    allowlist_hits: tuple[str, ...] = ()
    redacted: dict[str, int] = {}
    images: tuple[dict[str, Any], ...] = ()
    moderation: tuple[dict[str, Any], ...] = ()
    blocked: str | None = None
    zero_retention: bool = False
    checks_failed: tuple[str, ...] = ()
    """Rules of checks that were skipped, with the reason and whether that was open or closed."""


class DecisionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, by the names that connectors of policy gateways send."""

    event_id: str
    event_type: Literal["enforcement", "simulation", "revision"] = "enforcement"
    source: str = "policy-gateway"
    created_at: str
    org_id: str | None = None
    user_id: str | None = None
    policy_id: str | None
    policy_version: int | None
    policy_name: str | None = None
    data_classification: str | None = None
    history_id: str | None = None
    decision: str
    effective_decision: str
    enforced: bool
    rollout_mode: str
    reason_code: str
    rule: str | None
    triggered_categories: tuple[str, ...]
    allowlist_hits: tuple[str, ...]
    denylist_hits: tuple[str, ...]
    policy_target: str | None
    policy_user: str | None
    quota_subject: str | None
    project_id: str
    project_label: str | None = None
    model: str
    former_decision: str | None = None
    former_version: int | None = None
    direction: Literal["input", "output"] = "input"
    """What was decided on: a request, or the model's answer to it."""
    features: Features | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a replay reads of an event: the facts without content, and the decision that was made."""

    event_id: str
    facts: RequestFacts
    moderation: ModerationResult
    features: Features
    decision: Decision
    effective: Decision
    reason_code: str
    reported: bool


def features_of(
    facts: RequestFacts, moderation: ModerationResult, shown: Evaluation, redacted: Mapping[str, int]
) -> Features:
    """Return the features of a request; only what was found and how large it was."""
    return Features(
        tuple(map(len, facts.texts)),
        shown.denylist_hits,
        shown.allowlist_hits,
        dict(redacted),
        tuple(_without_content(image) for image in facts.images),
        tuple(msgspec.to_builtins(item) for item in moderation.items),
        moderation.blocked,
        facts.zero_retention,
        tuple(f"{name}: {reason}" for name, reason in shown.coverage.skipped if ".checks." in name),
    )


def event_of(  # noqa: PLR0913 what an event is of
    shown: Shown,
    facts: RequestFacts,
    *,
    event_id: str,
    created_at: str,
    name: str | None = None,
    data_classification: str | None = None,
    project_label: str | None = None,
    former: tuple[int, Evaluation] | None = None,
    features: Features | None = None,
) -> DecisionEvent:
    """Return the event of a decision; without ``features`` for a zero-retention caller, who is only counted."""
    outcome, reported = shown.outcome, shown.outcome.reported
    return DecisionEvent(
        event_id=event_id,
        created_at=created_at,
        policy_id=shown.policy_id,
        policy_version=shown.version,
        policy_name=name,
        data_classification=data_classification,
        decision=outcome.decision.value,
        effective_decision=outcome.effective.value,
        enforced=outcome.enforced,
        rollout_mode=outcome.mode.value,
        reason_code=reported.reason_code,
        rule=reported.rule,
        triggered_categories=reported.triggered_categories,
        allowlist_hits=reported.allowlist_hits,
        denylist_hits=reported.denylist_hits,
        policy_target=shown.target,
        policy_user=facts.user,
        user_id=facts.user,
        quota_subject=facts.user,
        project_id=facts.project,
        project_label=project_label,
        model=facts.model,
        former_version=former[0] if former else None,
        former_decision=former[1].decision.value if former else None,
        features=UNSET if features is None or facts.zero_retention else features,
    )


def revision_event(version: PolicyVersion) -> DecisionEvent:
    """Return the event of a saved version, which decides on no request."""
    document = version.document
    rollout = document.rollout
    mode = Mode.SHADOW if rollout.shadow.enabled else Mode.CANARY if rollout.canary.enabled else Mode.ENFORCED
    return DecisionEvent(
        event_id=f"evt_{secrets.token_hex(12)}",
        event_type="revision",
        created_at=version.created_at.isoformat().replace("+00:00", "Z"),
        policy_id=document.policy_id,
        policy_version=version.number,
        policy_name=document.name or None,
        data_classification=document.org_controls.data_classification,
        history_id=version.reference,
        decision=Decision.ALLOW.value,
        effective_decision=Decision.ALLOW.value,
        enforced=not document.draft and mode is Mode.ENFORCED,
        rollout_mode=mode.value,
        reason_code="DRAFT_SAVED" if document.draft else "VERSION_SAVED",
        rule=None,
        triggered_categories=(),
        allowlist_hits=(),
        denylist_hits=(),
        policy_target=None,
        policy_user=None,
        quota_subject=None,
        project_id="",
        model="",
    )


def _without_content(image: ImageFacts) -> dict[str, Any]:
    shown = {key: value for key, value in msgspec.to_builtins(image).items() if value is not None and value != ()}
    if image.codes is not None:
        shown["codes"] = len(image.codes)
    # A SHA-256 identifies what was sent; a replay of hash rules needs the PDQ alone.
    return {key: value for key, value in shown.items() if key not in {"sha256", "prepared_sha256", "path"}}


def read_event(line: bytes) -> Recorded:
    """Read an event of one JSON line; raises ValueError for what is none. Unknown members are passed over."""
    event = msgspec.json.decode(line, type=DecisionEvent)
    reported = isinstance(event.features, Features)
    features = event.features if isinstance(event.features, Features) else Features()
    images = tuple(_image_of(dict(image)) for image in features.images)
    facts = RequestFacts(
        images=images,
        model=event.model,
        project=event.project_id,
        user=event.policy_user,
        target=event.policy_target,
        zero_retention=features.zero_retention,
    )
    items = tuple(msgspec.convert(item, Scores) for item in features.moderation)
    moderation = ModerationResult(items, features.blocked)
    return Recorded(
        event.event_id,
        facts,
        moderation,
        features,
        Decision(event.decision),
        Decision(event.effective_decision),
        event.reason_code,
        reported,
    )


def _image_of(image: dict[str, Any]) -> ImageFacts:
    codes = image.pop("codes", None)
    matches = tuple(msgspec.convert(match, HashMatch) for match in image.pop("list_matches", ()))
    # What the codes said was not kept: their number is enough for qr: refuse.
    facts = msgspec.convert(image, ImageFacts)
    kept = {name: getattr(facts, name) for name in facts.__slots__} | {"list_matches": matches}
    return ImageFacts(**kept | {"codes": None if codes is None else ("",) * codes})
