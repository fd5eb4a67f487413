"""Documents: what is accepted, what is stored, and where errors point."""

import pytest

from obscura.errors import InvalidRequest
from obscura.imaging.formats import FORMATS
from obscura.policy.document import ALL_PII
from obscura.policy.document_types import ImageFormat
from obscura.policy.parse import (
    content_hash,
    document_schema,
    parse_document,
    parse_json,
    parse_yaml,
    stored_form,
)

WHOLE = {
    "policy_id": "p1",
    "name": "Support",
    "rules": {
        "allowlist": ["invoice"],
        "denylist": ["forbidden"],
        "flagged_categories": ["violence"],
        "redact_pii": True,
        "enforcement_action": "rewrite",
        "reason_codes": {"denylist": "BAD_WORD"},
        "thresholds": [{"category": "sexual", "score": 0.3, "modality": "image"}],
        "regexes": [{"regex": "case-[0-9]{4}", "id": "case"}],
    },
    "images": {"max_count": 1, "allowed_formats": ["png"]},
    "org_controls": {"user_quota": {"requests": 10, "tokens": 1000, "window": "day"}},
    "rollout": {"shadow": {"enabled": True, "sample_percent": 10.0}},
    "refusal_replacement": {"mode": "escalate", "escalation_path": "trust@example.com"},
}


def stored(document: dict) -> dict:
    return stored_form(parse_document(document))


def test_a_whole_document_is_stored_as_it_is_written() -> None:
    assert stored(WHOLE) == WHOLE


@pytest.mark.parametrize(
    ("spelled", "as_stored"),
    [
        ({"rules": {"redact": True}}, {"rules": {"redact_pii": True}}),
        (
            {"rules": {"redact": ["email", "secrets", "Zeus"]}},
            {"rules": {"redact_pii": True, "pii": ["email"], "redact_secrets": True, "redact_terms": ["Zeus"]}},
        ),
        ({"rules": {"rewrite_instead_of_refuse": True}}, {"rules": {"enforcement_action": "rewrite"}}),
        ({"rules": {"enforcement_action": "refuse"}}, {"rules": {"enforcement_action": "block"}}),
        ({"rules": {"enforcement_action": "summary"}}, {"rules": {"enforcement_action": "summarize"}}),
        (
            {"rules": {"thresholds": {"violence": 0.5}}},
            {"rules": {"thresholds": [{"category": "violence", "score": 0.5}]}},
        ),
        (
            {"rules": {"thresholds": {"violence": {"image": {"input": 0.5}}}}},
            {
                "rules": {
                    "thresholds": [{"category": "violence", "score": 0.5, "modality": "image", "direction": "input"}]
                }
            },
        ),
        ({"rollout": {"shadow": {"percentage": 5}}}, {"rollout": {"shadow": {"enabled": True, "sample_percent": 5.0}}}),
        (
            {"rollout": {"canary": {"enabled": True, "percentage": 5, "targets": ["a"]}}},
            {"rollout": {"canary": {"enabled": True, "sample_percent": 5.0, "targets": ["a"]}}},
        ),
        (
            {
                "classification": "internal",
                "config": {
                    "rules": {"denylist": ["x1"], "escalation_path": "team"},
                    "deployment": {
                        "enabled": True,
                        "percentage": 20,
                        "auto_rollback": {"enabled": True, "threshold_pct": 50},
                    },
                },
            },
            {
                "org_controls": {"data_classification": "internal"},
                "rules": {"denylist": ["x1"]},
                "refusal_replacement": {"escalation_path": "team"},
                "rollout": {
                    "canary": {"enabled": True, "sample_percent": 20.0},
                    "rollback_on_spike": True,
                    "rollback_threshold": 0.5,
                },
            },
        ),
        ({"deployment": {"enabled": False}}, {"rollout": {"shadow": {"enabled": True, "sample_percent": 100.0}}}),
        ({"deployment": {"enabled": True, "percentage": 100}}, {"rollout": {}}),
        (
            {"org_controls": {"project_quota": {"requests": 1, "window": "monthly"}}},
            {"org_controls": {"project_quota": {"requests": 1, "window": "month"}}},
        ),
        (
            {"images": {"allowed_formats": ["PNG", "image/jpeg", "jpg"]}},
            {"images": {"allowed_formats": ["png", "jpeg"]}},
        ),
        ({"images": {"qr": True}}, {"images": {"qr": "check"}}),
        ({"rules": {"flagged_categories": ["Violence"]}}, {"rules": {"flagged_categories": ["violence"]}}),
        (
            {"rules": {"reason_codes": {"max_count": "MANY", "rules.redact": "PII"}}},
            {"rules": {"reason_codes": {"images.max_count": "MANY", "redact_pii": "PII"}}},
        ),
        (
            {"org_controls": {"user_quotas": {"ann": 5}}},
            {"org_controls": {"user_quotas": {"ann": {"requests": 5}}}},
        ),
        ({"images": {"denied_hosts": ["Bücher.example."]}}, {"images": {"denied_hosts": ["xn--bcher-kva.example"]}}),
    ],
)
def test_other_spellings_are_stored_as_the_one_form(spelled: dict, as_stored: dict) -> None:
    assert stored({"policy_id": "p"} | spelled) == {"policy_id": "p"} | as_stored
    assert content_hash(parse_document({"policy_id": "p"} | spelled)) == content_hash(
        parse_document({"policy_id": "p"} | as_stored)
    )


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"colour": 1}, "colour"),
        ({"rules": {"denylst": []}}, "rules.denylst"),
        ({"rules": {"denylist": ["a", 3]}}, "rules.denylist[1]"),
        ({"rules": {"denylist": ["\u200b"]}}, "rules.denylist[0]"),
        ({"rules": {"denylist": ["a*b"]}}, "rules.denylist[0]"),
        ({"rules": {"redact_pii": "yes"}}, "rules.redact_pii"),
        ({"rules": {"enforcement_action": "warn"}}, "rules.enforcement_action"),
        ({"rules": {"reason_codes": {"denylist": "lower"}}}, "rules.reason_codes.denylist"),
        ({"rules": {"reason_codes": {"nothing": "CODE"}}}, "rules.reason_codes.nothing"),
        ({"rules": {"actions": {"hash_lists": "flag"}}}, "rules.actions.hash_lists"),
        ({"rules": {"actions": {"redact_pii": "flag"}}}, "rules.actions"),
        ({"rules": {"actions": {"denylist": "redact"}}}, "rules.actions.denylist"),
        ({"rules": {"thresholds": {"violence": {"image": 2}}}}, "rules.thresholds[0].score"),
        ({"rules": {"regexes": [{"regex": "("}]}}, "rules.regexes[0].regex"),
        ({"images": {"max_count": -1}}, "images.max_count"),
        ({"images": {"max_count": 1.5}}, "images.max_count"),
        ({"images": {"allowed_formats": ["psd"]}}, "images.allowed_formats[0]"),
        ({"images": {"allowed_hosts": ["https://a.example"]}}, "images.allowed_hosts[0]"),
        ({"images": {"blocked_hashes": ["abc"]}}, "images.blocked_hashes[0]"),
        ({"images": {"redact": ["faces"]}}, "images.redact"),
        ({"images": {"redact": True}}, "images.redact"),
        ({"org_controls": {"user_quota": {"window": "day"}}}, "org_controls.user_quota"),
        ({"org_controls": {"user_quota": [{"requests": 1, "windows": "day"}]}}, "org_controls.user_quota[0].windows"),
        ({"org_controls": {"user_quotas": {"ann": {"requests": "1"}}}}, "org_controls.user_quotas.ann.requests"),
        ({"rollout": {"shadow": {"percentage": 101}}}, "rollout.shadow.percentage"),
        ({"rollout": {"rollback_threshold": 0}}, "rollout.rollback_threshold"),
        ({"config": {"rules": {"denylist": [1]}}}, "config.rules.denylist[0]"),
        ({"deployment": {"enabled": True, "speed": 1}}, "deployment.speed"),
        ({"deployment": {"auto_rollback": {"threshold_pct": 500}}}, "deployment.auto_rollback.rollback_threshold"),
        ({"rules": {"redact": True, "redact_pii": False}}, "rules.redact"),
        (
            {"rules": {"rewrite_instead_of_refuse": True, "enforcement_action": "escalate"}},
            "rules.rewrite_instead_of_refuse",
        ),
        ({"checks": [{"name": "a", "url": "ftp://x"}]}, "checks[0].url"),
        ({"policy_id": "a@b"}, "policy_id"),
    ],
)
def test_an_error_names_the_field_as_it_was_written(wrong: dict, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_document({"policy_id": "p"} | wrong)

    assert raised.value.param == param
    assert raised.value.status == 400


def test_image_redaction_is_taken_where_there_is_a_detector() -> None:
    document = parse_document({"policy_id": "p", "images": {"redact": ["faces"]}}, detectors=["faces"])

    assert document.images.redact == ("faces",)


def test_a_document_without_an_id_is_called_after_its_name() -> None:
    assert parse_document({"name": "Support & Sales"}).policy_id == "support-sales"


@pytest.mark.parametrize(
    "value", [None, [], "p", 1, {}, {"policy_id": "p", "rules": 3}, {"policy_id": "p", "rules": None}]
)
def test_what_is_no_document_is_a_400(value: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_document(value)


@pytest.mark.parametrize(
    "body", [b"{", b'{"a":1,"a":2}', b"\xff", b'{"a":NaN}', b"[" * 100_000, b" " * (1024 * 1024 + 1)]
)
def test_json_is_strict(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_json(body)


def test_a_document_cannot_be_changed() -> None:
    document = parse_document(WHOLE)

    with pytest.raises(ValueError, match="frozen"):
        document.rules.redact_pii = False


def test_yaml_reads_as_json_does() -> None:
    text = "policy_id: p1\nrules:\n  denylist: [forbidden, '2024-01-01']\n  redact_pii: true\n"

    assert stored(parse_yaml(text)) == {
        "policy_id": "p1",
        "rules": {"denylist": ["forbidden", "2024-01-01"], "redact_pii": True},
    }


@pytest.mark.parametrize("text", ["a: &x [1]\nb: *x", "a: 1\na: 2", "a: [", "!!python/object:os.system x"])
def test_yaml_is_strict(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_yaml(text)


def test_formats_are_those_of_the_gateway() -> None:
    assert set(ImageFormat.__value__.__args__) == {name.lower() for name in FORMATS}
    assert ALL_PII == ("email", "phone", "credit_card", "iban", "ssn")


def test_the_schema_describes_every_field() -> None:
    schema = document_schema()

    assert set(schema["properties"]) == set(parse_document(WHOLE).model_dump())
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Images"]["properties"]["max_count"]
