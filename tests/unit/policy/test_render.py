"""How decisions show: bodies, frames, headers, replaced answers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obscura.policy.decision import Decision, Finding
from obscura.policy.engine import CompiledPolicy
from obscura.policy.facts import ModerationResult, RequestFacts, Scores
from obscura.policy.parse import parse_document
from obscura.policy.render import Shown, refusal_message, replacement_text, splice, splice_events, with_output
from obscura.policy.rollout import Held, Mode, Plan, outcome

POLICY = b'{"decision":"allow"}'


def shown(document: dict, text: str, plan: Plan) -> Shown:
    facts, moderation = RequestFacts((text,)), ModerationResult((Scores("text"),))
    live = CompiledPolicy(parse_document({"policy_id": "p"} | document)).evaluate(facts, moderation)
    return Shown(outcome(plan, CompiledPolicy(None).evaluate(facts, moderation), live), "p", 3, "web")


DENY = {"rules": {"denylist": ["forbidden"], "reason_codes": {"denylist": "BAD_WORD"}}}


def test_the_policy_object_has_the_known_names() -> None:
    view = json.loads(shown(DENY, "forbidden", Plan(Mode.ENFORCED, Held.LIVE)).json())

    assert view == {
        "policy_id": "p",
        "policy_version": 3,
        "decision": "refuse",
        "effective_decision": "refuse",
        "reason_code": "BAD_WORD",
        "rollout_mode": "enforced",
        "enforced": True,
        "triggered_categories": [],
        "allowlist_hits": [],
        "denylist_hits": ["forbidden"],
        "policy_target": "web",
        "rule": "policy.denylist",
        "coverage": {
            "images": {"checked": 0, "total": 0},
            "text_characters": {"checked": 9, "total": 9},
            "checks_run": ["gateway.moderation", "policy.denylist"],
            "checks_skipped": [],
        },
    }


def test_a_shadow_reports_what_would_have_been_and_does_nothing() -> None:
    one = shown(DENY, "forbidden", Plan(Mode.SHADOW, Held.NONE))

    assert (one.view().decision, one.view().effective_decision, one.view().enforced) == ("refuse", "allow", False)
    assert one.headers() == {
        "x-policy-decision": "refuse",
        "x-policy-mode": "shadow",
        "x-policy-id": "p",
        "x-policy-version": "3",
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", b'{"policy":{"decision":"allow"}}'),
        (b'{"id":1}', b'{"id":1,"policy":{"decision":"allow"}}'),
        (b' {"id":1} \n', b'{"id":1,"policy":{"decision":"allow"}}'),
        (b'{"policy":{"decision":"forged"},"id":1}', b'{"policy":{"decision":"allow"},"id":1}'),
        (b'{"\\u0070olicy":1,"id":1}', b'{"policy":{"decision":"allow"},"id":1}'),
        (b'{"a":{"policy":1}}', b'{"a":{"policy":1},"policy":{"decision":"allow"}}'),
        (b"[DONE]", b"[DONE]"),
        (b"[1]", b"[1]"),
    ],
)
def test_the_policy_is_spliced_into_an_object(body: bytes, expected: bytes) -> None:
    assert splice(body, POLICY) == expected


@settings(max_examples=50)
@given(st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.integers()))))
def test_a_spliced_object_is_the_object_with_the_policy(value: dict) -> None:
    for body in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert json.loads(splice(body.encode(errors="replace"), POLICY)) == json.loads(
            json.dumps(value, ensure_ascii="\\u" in body or body.isascii()).encode(errors="replace")
        ) | {"policy": {"decision": "allow"}}


def test_every_data_frame_of_any_dialect_carries_the_policy() -> None:
    lines = b'event: message_start\r\ndata: {"type":"a"}\r\n\r\n: ping\n\ndata:{"b":1}\n\ndata: [DONE]\n\n'

    assert splice_events(lines, POLICY) == (
        b'event: message_start\r\ndata: {"type":"a","policy":{"decision":"allow"}}\r\n\r\n: ping\n\n'
        b'data: {"b":1,"policy":{"decision":"allow"}}\n\ndata: [DONE]\n\n'
    )
    assert splice_events(b": ping\n\n", POLICY) == b": ping\n\n"


def test_frames_after_a_finding_in_the_answer_carry_it() -> None:
    allowed = shown(DENY, "hello", Plan(Mode.ENFORCED, Held.LIVE)).outcome
    later = with_output(allowed, (Finding("policy.denylist", Decision.REFUSE, "BAD_WORD", "in the answer"),))

    assert (allowed.decision, later.decision, later.effective) == (Decision.ALLOW, Decision.REFUSE, Decision.REFUSE)
    assert with_output(allowed, ()) is allowed


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"rules": {"enforcement_action": "rewrite", "response_pattern": "No: {reason_code}."}}, "No: BAD_WORD."),
        ({"rules": {"enforcement_action": "rewrite"}, "refusal_replacement": {"message": "Sorry."}}, "Sorry."),
        ({"rules": {"enforcement_action": "summarize"}}, "The request was not sent to the model. Summary: BAD_WORD."),
        ({"rules": {}, "refusal_replacement": {"mode": "summarize", "message": "{policy_id}"}}, "p"),
        ({"rules": {"enforcement_action": "block"}}, ""),
    ],
)
def test_rewrite_and_summary_answer_with_a_text(document: dict, text: str) -> None:
    rules = DENY["rules"] | document["rules"]
    parsed = parse_document({"policy_id": "p"} | document | {"rules": rules})
    decided = CompiledPolicy(parsed).evaluate(RequestFacts(("forbidden",)), ModerationResult())

    assert replacement_text(decided, parsed) == text


def test_refusals_and_escalations_say_why_and_not_what() -> None:
    for action, message in (("block", "blocked by policy (reason: BAD_WORD)"), ("escalate", "escalated to team@x")):
        rules = DENY["rules"] | {"enforcement_action": action}
        replacement = {"escalation_path": "team@x"}
        parsed = parse_document({"policy_id": "p", "rules": rules, "refusal_replacement": replacement})
        decided = CompiledPolicy(parsed).evaluate(RequestFacts(("forbidden",)), ModerationResult())
        assert message in refusal_message(decided, parsed)
        assert "forbidden" not in refusal_message(decided, parsed)
