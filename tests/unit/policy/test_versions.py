"""Versions, their diff, their events and the replay of those."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from obscura.errors import InvalidRequest
from obscura.policy.decision import Decision
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CompiledPolicy
from obscura.policy.events import event_of, features_of, read_event
from obscura.policy.facts import HashMatch, ImageFacts, ModerationResult, RequestFacts, Scores
from obscura.policy.parse import parse_document
from obscura.policy.render import Shown
from obscura.policy.replay import replay
from obscura.policy.rollout import Held, Mode, Plan, outcome
from obscura.policy.versions import diff, live_and_former, next_version, parse_reference, revert, satisfies_if_match

AT = datetime(2026, 11, 27, tzinfo=UTC)


def document(**parts: object) -> PolicyDocument:
    return parse_document({"policy_id": "p"} | parts)


def test_versions_are_numbered_and_known_by_their_content() -> None:
    first = next_version(document(), None, AT)
    second = next_version(document(draft=True), first, AT)
    third = next_version(document(rules={"denylist": ["a1"]}), second, AT)

    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert (third.reference, third.etag) == ("p@3", f'"3-{third.sha256[:16]}"')
    assert live_and_former([first, second]) == (first, None)
    assert live_and_former([third, first, second]) == (third, first)
    back = revert(second, third, AT)
    assert (back.number, back.reverted_from, back.document.draft) == (4, 2, False)


def test_a_save_honours_if_match() -> None:
    first = next_version(document(), None, AT)

    assert satisfies_if_match(None, None)
    assert satisfies_if_match(first.etag, first)
    assert satisfies_if_match(f'"x", {first.etag}', first)
    assert satisfies_if_match("*", first)
    assert not satisfies_if_match("*", None)
    assert not satisfies_if_match('"1-0"', first)


def test_a_request_may_pin_a_version() -> None:
    assert parse_reference("p") == ("p", None)
    assert parse_reference("p@12") == ("p", 12)
    for wrong in ("p@", "p@0", "p@x", "p@1.5", "p@-1", "p@²", "p@" + "9" * 10):
        with pytest.raises(InvalidRequest):
            parse_reference(wrong)


def test_a_diff_names_paths_and_entries() -> None:
    old = document(rules={"denylist": ["a1", "b1"], "redact_pii": True}, images={"max_count": 2})
    new = document(
        rules={"denylist": ["b1", "c1"]}, images={"max_count": 1}, org_controls={"user_quota": {"tokens": 5}}
    )

    assert [change.as_json() for change in diff(old, new)] == [
        {"path": "images.max_count", "change": "changed", "from": 2, "to": 1},
        {"path": "org_controls.user_quota.tokens", "change": "added", "to": 5},
        {"path": "rules.denylist", "change": "removed", "from": "a1"},
        {"path": "rules.denylist", "change": "added", "to": "c1"},
        {"path": "rules.redact_pii", "change": "removed", "from": True},
    ]
    assert diff(old, old) == []


SECRET_TEXT = "forbidden: ann@example.com lives here"
FACTS = RequestFacts(
    (SECRET_TEXT,),
    (ImageFacts("messages[0]", "url", ("img.example",), "PNG", 900, 3000, 20, 50, sha256="a" * 64, pdq="b" * 64,
                codes=("https://secret.example",), list_matches=()),),
    user="ann", project="shop", model="m",
)  # fmt: skip
MODERATION = ModerationResult((Scores("image", scores={"violence": 0.4}, path="messages[0]"), Scores("text")))


def recorded(facts: RequestFacts = FACTS, moderation: ModerationResult = MODERATION, **rules: object) -> bytes:
    policy = CompiledPolicy(document(rules=rules))
    checked = policy.check_request(facts)
    decided = policy.decide(checked, moderation)
    shown = Shown(outcome(Plan(Mode.ENFORCED, Held.LIVE), decided, decided), "p", 1)
    features = features_of(facts, moderation, decided, checked.redactor.kinds)
    return msgspec.json.encode(
        event_of(shown, facts, event_id="evt_1", created_at="2026-11-27T00:00:00Z", features=features)
    )


def test_an_event_holds_features_and_no_content() -> None:
    line = recorded(denylist=["forbidden"], redact_pii=True)
    event = json.loads(line)

    for secret in (SECRET_TEXT, "ann@example.com", "secret.example", "a" * 64, "lives"):
        assert secret not in line.decode()
    assert event["decision"] == event["effective_decision"] == "refuse"
    assert event["features"]["text_characters"] == [len(SECRET_TEXT)]
    assert event["features"]["redacted"] == {"email": 1}
    assert event["features"]["images"][0]["codes"] == 1
    assert "features" not in json.loads(recorded(replace(FACTS, zero_retention=True), denylist=["forbidden"]))


@pytest.mark.parametrize(
    ("rules", "images", "decision", "rule"),
    [
        ({}, {}, Decision.ALLOW, None),
        ({"denylist": ["forbidden"]}, {}, Decision.REFUSE, "policy.denylist"),
        ({"redact_pii": True}, {}, Decision.REDACT, "policy.redact_pii"),
        ({"thresholds": {"violence": {"image": 0.4}}}, {}, Decision.REFUSE, "policy.thresholds"),
        ({}, {"max_side_px": 2999}, Decision.REFUSE, "policy.images.max_side_px"),
        ({}, {"denied_hosts": ["img.example"]}, Decision.REFUSE, "policy.images.denied_hosts"),
        ({}, {"qr": "refuse"}, Decision.REFUSE, "policy.images.qr"),
        ({}, {"blocked_hashes": ["pdq:" + "b" * 64]}, Decision.REFUSE, "policy.images.blocked_hashes"),
    ],
)
def test_a_replay_decides_as_the_request_would_be(
    rules: dict, images: dict, decision: Decision, rule: str | None
) -> None:
    was = document(rules={"denylist": ["forbidden"], "redact_pii": True})
    event = read_event(recorded(denylist=["forbidden"], redact_pii=True))
    new = document(rules=rules, images=images)

    replayed = replay(event, new, known=was)

    assert (replayed.after.decision, replayed.after.rule) == (decision, rule)
    assert replayed.after.decision is CompiledPolicy(new).evaluate(FACTS, MODERATION).decision
    assert replayed.changes is (decision is not Decision.REFUSE)
    assert replayed.unknown == ()


def test_a_replay_says_what_the_record_does_not() -> None:
    event = read_event(recorded(denylist=["forbidden"]))
    new = document(
        rules={"denylist": ["lives"], "redact_secrets": True}, images={"blocked_hashes": ["a" * 64], "qr": "check"}
    )

    assert replay(event, new, known=document(rules={"denylist": ["forbidden"]})).unknown == (
        "policy.denylist",
        "policy.redact_secrets",
        "policy.images.hashes",
        "policy.images.qr",
    )


def test_what_the_gateway_blocked_stays_blocked_in_a_replay() -> None:
    blocked = read_event(recorded(moderation=ModerationResult(blocked="violence")))
    listed = replace(FACTS, images=(ImageFacts(list_matches=(HashMatch("a", 0),)),))

    assert replay(blocked, document()).after.rule == "gateway.moderation"
    assert replay(read_event(recorded(listed)), document()).after.rule == "gateway.hash_lists"


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"{}", b'{"event_id":1}', b"\xff"])
def test_what_is_no_event_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        read_event(line)
