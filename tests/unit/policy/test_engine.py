"""Every rule by every action in every mode; the floor; coverage."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obscura.policy.decision import OF_ACTION, Decision
from obscura.policy.document_types import RULE_NAMES
from obscura.policy.engine import CompiledPolicy, may_use
from obscura.policy.facts import CheckResult, HashMatch, ImageFacts, ModerationResult, QuotaResult, RequestFacts, Scores
from obscura.policy.gate import Gate, Policies
from obscura.policy.parse import parse_document, parse_floor
from obscura.policy.rollout import Held, Mode, Plan

SHA, PDQ = "a" * 64, "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
IMAGE = ImageFacts(
    "messages[0].content[0]",
    "data_url",
    (),
    "JPEG",
    1_000,
    800,
    600,
    500,
    False,
    False,
    False,
    SHA,
    "b" * 64,
    PDQ,
    100,
    (),
)
ACTIONS = ("flag", "rewrite", "summarize", "escalate", "block")


def image(**facts: Any) -> dict[str, Any]:
    return {"images": (replace(IMAGE, **facts),)}


FIRING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "allowlist": ({"rules": {"allowlist": ["invoice"]}}, {}),
    "denylist": ({"rules": {"denylist": ["hello"]}}, {}),
    "flagged_categories": ({"rules": {"flagged_categories": ["violence"]}}, {}),
    "thresholds": ({"rules": {"thresholds": {"violence": {"image": 0.5}}}}, {}),
    "redact_pii": ({"rules": {"redact_pii": True}}, {}),
    "redact_secrets": ({"rules": {"redact_secrets": True}}, {}),
    "redact_terms": ({"rules": {"redact_terms": ["hello"]}}, {}),
    "checks": ({"checks": [{"name": "lakera", "url": "https://guard.example"}]}, {}),
    "user_quota": ({"org_controls": {"user_quota": {"requests": 1}}}, {}),
    "project_quota": ({"org_controls": {"project_quota": {"tokens": 1}}}, {}),
    "images.max_count": ({"images": {"max_count": 0}}, {}),
    "images.max_tokens": ({"images": {"max_tokens": 499}}, {}),
    "images.max_total_tokens": ({"images": {"max_total_tokens": 499}}, {}),
    "images.max_bytes": ({"images": {"max_bytes": 999}}, {}),
    "images.min_side_px": ({"images": {"min_side_px": 601}}, {}),
    "images.max_side_px": ({"images": {"max_side_px": 799}}, {}),
    "images.allowed_formats": ({"images": {"allowed_formats": ["png"]}}, {}),
    "images.allowed_hosts": (
        {"images": {"allowed_hosts": ["*.good.example"]}},
        image(source="url", hosts=("a.good.example", "good.example")),
    ),
    "images.denied_hosts": (
        {"images": {"denied_hosts": ["bad.example"]}},
        image(source="url", hosts=("good.example", "cdn.bad.example")),
    ),
    "images.require_file_id": ({"images": {"require_file_id": True}}, {}),
    "images.refuse_data_urls": ({"images": {"refuse_data_urls": True}}, {}),
    "images.require_zero_retention": ({"images": {"require_zero_retention": True}}, {}),
    "images.refuse_animated": ({"images": {"refuse_animated": True}}, image(animated=True)),
    "images.refuse_alpha": ({"images": {"refuse_alpha": True}}, image(alpha=True)),
    "images.refuse_metadata": ({"images": {"refuse_metadata": True}}, image(metadata=True)),
    "images.blocked_hashes": ({"images": {"blocked_hashes": [SHA]}}, {}),
    "images.allowed_hashes": ({"images": {"allowed_hashes": ["sha256:" + "c" * 64]}}, {}),
    "images.qr": ({"images": {"qr": "refuse"}}, image(codes=("https://x.example",))),
}
FACTS = RequestFacts(("hello ann@example.com AKIAIOSFODNN7EXAMPLE",), (IMAGE,), user="ann", project="shop")
MODERATION = ModerationResult(
    (
        Scores("image", scores={"violence": 0.6}, flagged=("violence/graphic",), path=IMAGE.path),
        Scores("text", scores={"violence": 0.1}),
    )
)
QUOTAS = (QuotaResult("user_quota", "requests", 1, "day", 60), QuotaResult("project_quota", "tokens", 1, "day", 60))
CHECKS = (CheckResult("lakera", blocked=True),)
REDACTING = {"redact_pii", "redact_secrets", "redact_terms"}


def firing(rule: str, action: str | None) -> tuple[CompiledPolicy, RequestFacts]:
    document, facts = FIRING[rule]
    if rule in REDACTING and action == "flag":
        action = None
    rules = document.get("rules", {}) | ({"actions": {rule: action}} if action else {})
    return CompiledPolicy(parse_document({"policy_id": "p"} | document | {"rules": rules})), replace(FACTS, **facts)


def test_the_table_has_every_rule() -> None:
    assert set(FIRING) == set(RULE_NAMES)


MODES = {
    "enforced": (Plan(Mode.ENFORCED, Held.LIVE), True),
    "canary": (Plan(Mode.CANARY, Held.LIVE), True),
    "canary, outside": (Plan(Mode.ENFORCED, Held.FORMER, compares=True), False),
    "shadow": (Plan(Mode.SHADOW, Held.NONE, compares=True), False),
    "shadow, outside, no former": (Plan(Mode.ENFORCED, Held.NONE), False),
    "rollback": (Plan(Mode.ROLLBACK, Held.FORMER), False),
}


@pytest.mark.parametrize("rule", RULE_NAMES)
@pytest.mark.parametrize("action", [None, *ACTIONS])
@pytest.mark.parametrize("mode", MODES)
def test_a_rule_decides_by_its_action_where_its_version_holds(rule: str, action: str | None, mode: str) -> None:
    live, facts = firing(rule, action)
    plan, live_holds = MODES[mode]
    nothing = CompiledPolicy(parse_document({"policy_id": "p"}))
    gate = Gate(Policies(CompiledPolicy(None), live, nothing), plan)

    checked = gate.check(facts, QUOTAS if gate.held is live else (), CHECKS)
    decided = gate.decide(MODERATION)

    by_default = Decision.REDACT if rule in REDACTING else Decision.REFUSE
    expected = by_default if action is None or (rule in REDACTING and action == "flag") else OF_ACTION[action]
    quota_elsewhere = rule in {"user_quota", "project_quota"} and not live_holds
    assert decided.outcome.effective is (expected if live_holds else Decision.ALLOW)
    assert decided.outcome.enforced is (plan.held is not Held.NONE)
    assert decided.outcome.mode is plan.mode
    if plan.mode is Mode.SHADOW and not quota_elsewhere:
        assert decided.outcome.decision is expected
    if live_holds:
        assert decided.outcome.held.rule == f"policy.{rule}"
        assert decided.outcome.held.reason_code not in {"", "ALLOW"}
        assert f"policy.{rule}" in " ".join(decided.outcome.held.coverage.run)
    else:
        assert checked.texts == facts.texts
    assert (decided.former is not None) is (plan.compares or plan.held is Held.FORMER)


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_a_rule_that_is_met_does_not_fire(rule: str) -> None:
    document, _ = FIRING[rule]
    policy = CompiledPolicy(parse_document({"policy_id": "p"} | document))
    harmless = RequestFacts(("about the invoice",), ())
    results = (CheckResult("lakera"),)

    assert policy.evaluate(harmless, ModerationResult((Scores("text"),)), (), results).decision is Decision.ALLOW


@pytest.mark.parametrize(
    ("rule", "unknown"),
    [
        ("images.max_tokens", {"tokens": None}),
        ("images.max_bytes", {"raw_bytes": None}),
        ("images.max_side_px", {"width_px": None}),
        ("images.min_side_px", {"height_px": None}),
        ("images.allowed_formats", {"format": None}),
        ("images.allowed_hosts", {"source": "url", "hosts": ()}),
        ("images.refuse_animated", {"animated": None}),
        ("images.refuse_alpha", {"alpha": None}),
        ("images.refuse_metadata", {"metadata": None}),
        ("images.qr", {"codes": None}),
        ("images.allowed_hashes", {"sha256": None, "prepared_sha256": None, "pdq": None}),
    ],
)
def test_what_is_not_known_of_an_image_does_not_pass(rule: str, unknown: dict[str, Any]) -> None:
    policy, facts = firing(rule, None)
    facts = replace(facts, **image(**unknown))

    assert policy.evaluate(facts, MODERATION).rule == f"policy.{rule}"


def test_the_most_severe_decision_wins_and_all_findings_are_listed() -> None:
    document = {"policy_id": "p", "rules": {"denylist": ["hello"], "redact_pii": True, "actions": {"denylist": "flag"}}}
    document["images"] = {"max_count": 0}
    decided = CompiledPolicy(parse_document(document)).evaluate(FACTS, MODERATION)

    assert [(found.rule, found.decision) for found in decided.findings] == [
        ("policy.images.max_count", Decision.REFUSE),
        ("policy.redact_pii", Decision.REDACT),
        ("policy.denylist", Decision.FLAG),
    ]
    assert decided.findings[0].param == IMAGE.path
    assert decided.denylist_hits == ("hello",)


def test_no_policy_lets_through_what_the_gateway_blocks() -> None:
    actions = {name: "flag" for name in RULE_NAMES if name not in REDACTING}
    document = {"policy_id": "p", "rules": {"actions": actions}}
    policy = CompiledPolicy(parse_document(document))
    blocked = policy.evaluate(FACTS, replace(MODERATION, blocked="sexual/minors"))
    listed = policy.evaluate(replace(FACTS, **image(list_matches=(HashMatch("a", 2, "sexual/minors"),))), MODERATION)

    assert (blocked.decision, blocked.reason_code) == (Decision.REFUSE, "MODERATION_BLOCKED")
    assert (listed.decision, listed.rule) == (Decision.REFUSE, "gateway.hash_lists")
    assert listed.triggered_categories == ("sexual/minors",)
    plan = Plan(Mode.SHADOW, Held.NONE)
    gate = Gate(Policies(CompiledPolicy(None), policy), plan)
    gate.check(FACTS)
    assert gate.decide(replace(MODERATION, blocked="violence")).outcome.effective is Decision.REFUSE


@pytest.mark.parametrize(("on_failure", "decision"), [("closed", Decision.REFUSE), ("open", Decision.ALLOW)])
def test_a_check_that_fails_is_closed_or_open_and_is_said(on_failure: str, decision: Decision) -> None:
    check = {"name": "lakera", "url": "https://guard.example", "on_failure": on_failure}
    policy = CompiledPolicy(parse_document({"policy_id": "p", "checks": [check]}))

    for results in ((), (CheckResult("lakera", failed="timeout"),)):
        decided = policy.evaluate(FACTS, MODERATION, (), results)
        assert decided.decision is decision
        assert decided.coverage.skipped[0][0] == "policy.checks.lakera"
        assert f"failed {on_failure}" in decided.coverage.skipped[0][1]


def test_coverage_counts_what_was_moderated() -> None:
    decided = CompiledPolicy(None).evaluate(replace(FACTS, images=(IMAGE, IMAGE)), MODERATION)

    assert (decided.coverage.images, decided.coverage.images_total) == (1, 2)
    assert decided.coverage.text_characters == decided.coverage.text_characters_total == len(FACTS.texts[0])
    assert decided.coverage.run == ("gateway.moderation",)
    skipped = CompiledPolicy(None).evaluate(FACTS, ModerationResult(skipped="off"))
    assert (skipped.coverage.images, skipped.coverage.text_characters) == (0, 0)
    assert skipped.coverage.skipped == (("moderation", "off"),)
    for policy in (None, parse_document({"policy_id": "p", "rules": {"denylist": ["never"]}})):
        ruled = CompiledPolicy(policy)
        text = ruled.evaluate(replace(FACTS, images=()), MODERATION).coverage
        assert (text.images, text.images_total, text.skipped) == (0, 0, ())
        assert text.text_characters == text.text_characters_total == len(FACTS.texts[0])
        assert text.run == ("gateway.moderation", *ruled.active)


def test_a_pdq_hash_matches_within_its_distance_and_quality() -> None:
    near = f"{int(PDQ, 16) ^ (2**31 - 1):064x}"  # 31 bits
    far = f"{int(PDQ, 16) ^ (2**32 - 1):064x}"
    for entry, decision in ((near, Decision.REFUSE), (far, Decision.ALLOW), (f"sha256:{PDQ}", Decision.ALLOW)):
        policy = CompiledPolicy(parse_document({"policy_id": "p", "images": {"blocked_hashes": [entry]}}))
        assert policy.evaluate(FACTS, MODERATION).decision is decision
    policy = CompiledPolicy(parse_document({"policy_id": "p", "images": {"blocked_hashes": [PDQ]}}))
    assert policy.evaluate(replace(FACTS, **image(pdq_quality=49)), MODERATION).decision is Decision.ALLOW


def test_codes_in_images_go_by_the_host_rules_and_the_denylist() -> None:
    facts = replace(FACTS, texts=(), **image(codes=("HTTPS://pay.bad.example./x", "hello")))
    hosts = {"policy_id": "p", "images": {"qr": "check", "denied_hosts": ["bad.example"]}}
    words = {"policy_id": "p", "images": {"qr": "check"}, "rules": {"denylist": ["hello"]}}

    assert CompiledPolicy(parse_document(hosts)).evaluate(facts, MODERATION).rule == "policy.images.denied_hosts"
    decided = CompiledPolicy(parse_document(words)).evaluate(facts, MODERATION)
    assert (decided.rule, decided.denylist_hits) == ("policy.images.qr", ("hello",))


def test_projects_that_may_use_a_policy() -> None:
    document = parse_document({"policy_id": "p", "org_controls": {"project_keys": ["shop"]}})

    assert (may_use(document, "shop"), may_use(document, "other")) == (True, False)
    assert may_use(parse_document({"policy_id": "p"}), "other")


documents = st.builds(
    lambda denied, allowed, redacts, limits, actions, mode: {
        "rules": {"denylist": denied, "allowlist": allowed, "redact_pii": redacts, "actions": actions},
        "images": limits,
        "refusal_replacement": {"mode": mode} if mode else {},
    },
    st.lists(st.sampled_from(["hello", "world", "key"]), max_size=2),
    st.lists(st.sampled_from(["hello", "nothing"]), max_size=1),
    st.booleans(),
    st.fixed_dictionaries({}, optional={"max_count": st.integers(0, 2), "max_side_px": st.integers(1, 1000)}),
    st.dictionaries(st.sampled_from(sorted(set(RULE_NAMES) - REDACTING)), st.sampled_from(ACTIONS), max_size=3),
    st.sampled_from([None, "rewrite", "summarize"]),
)
plans = st.builds(Plan, st.sampled_from(Mode), st.sampled_from(Held), st.booleans())


@settings(max_examples=40)  # each compiles five documents
@given(
    documents, documents, documents, plans, st.sampled_from(["hello ann@b.co", "world", "", "nothing"]), st.booleans()
)
def test_no_policy_loosens_the_floor(
    floor: dict, live: dict, former: dict, plan: Plan, text: str, blocked: bool
) -> None:
    floor_document = parse_floor(floor)
    facts = replace(FACTS, texts=(text,))
    moderation = replace(MODERATION, blocked="violence" if blocked else None)
    alone = CompiledPolicy(None, floor_document)
    compiled = [CompiledPolicy(parse_document({"policy_id": "p"} | one), floor_document) for one in (live, former)]
    gate = Gate(Policies(alone, *compiled), plan)

    checked = gate.check(facts)
    outcome = gate.decide(moderation).outcome

    assert outcome.effective.severity >= alone.evaluate(facts, moderation).decision.severity
    if floor["rules"]["redact_pii"]:
        assert "ann@b.co" not in checked.texts[0]
