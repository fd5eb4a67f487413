"""The management API of policies: simulate, projects, the paths of other gateways, zero retention, the schema."""

import pytest

from obscura.policy.parse import document_schema
from tests.support.gateway import Gateway
from tests.support.policy_admin import DOCUMENT, Admin, an_admin, error_of


async def test_a_simulation_decides_by_the_live_version_a_pinned_one_or_a_document(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save()
    await admin.save(rules={"redact_pii": True}, images={})
    await admin.save(rules={"denylist": ["x"]}, draft=True)
    samples = [
        {"name": "fraud", "text": "a wire transfer to ann@example.com", "expect": {"decision": "refuse"}},
        {"text": "hello", "images": [{}, {}]},
    ]

    live = (await admin("POST", "/simulate", {"policy_id": "p1", "samples": samples})).json()
    pinned = (await admin("POST", "/simulate", {"policy_id": "p1@1", "samples": samples})).json()
    document = {"rules": {"denylist": ["hello"], "enforcement_action": "escalate"}}
    own = (await admin("POST", "/simulate", {"policy": document, "samples": samples})).json()

    assert (live["policy_id"], live["policy_version"]) == ("p1", 2)
    assert [(one["name"], one["decision"]) for one in live["results"]] == [("fraud", "redact"), ("", "allow")]
    assert live["results"][0]["texts"] == ["a wire transfer to {EMAIL_1}"]
    assert live["results"][0]["failures"] == ["decision is redact, expected refuse"]
    assert pinned["policy_version"] == 1
    assert [(one["decision"], one["rule"]) for one in pinned["results"]] == [
        ("refuse", "policy.denylist"), ("refuse", "policy.images.max_count"),
    ]  # fmt: skip
    assert pinned["results"][0]["denylist_hits"] == ["wire transfer"]
    assert pinned["results"][1]["coverage"]["images"]["total"] == 2
    assert (own["policy_version"], own["counts"]) == (None, {"allow": 1, "escalate": 1})
    assert (await admin("GET", "/policies/p1/history")).json()["data"][0]["version"] == 3


async def test_a_project_has_the_policy_that_it_is_assigned(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save()
    await admin.save(policy_id="closed", org_controls={"project_keys": ["other"]})
    path = "/projects/team%20%C3%A9/a"

    before = (await admin("GET", path)).json()
    assigned = await admin("PATCH", path, {"policy_id": "p1"})
    after = (await admin("GET", path)).json()
    refused = await admin("PATCH", path, {"policy_id": "closed"})
    await admin("PATCH", path, {"policy_id": None})

    assert before == {"object": "project", "project_id": "team é/a", "policy_id": None}
    assert assigned.json() == after == before | {"policy_id": "p1"}
    assert error_of(refused) == (400, "invalid_request", "policy_id")
    assert (await admin("GET", path)).json() == before


async def test_the_paths_of_other_gateways_are_served(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    saved = await admin("POST", "/config", {"config": DOCUMENT})
    await admin.save(rules={"flagged_categories": ["violence"]})
    await admin.save(policy_id="p2")

    config = (await admin("GET", "/config?policy_id=p1")).json()
    history = (await admin("GET", "/history")).json()
    page = (await admin("GET", "/history?policy_id=p1&limit=1")).json()

    assert (saved.status_code, saved.json()["config"]) == (200, DOCUMENT)
    assert set(saved.json()) == {"config", "created_at", "updated_at"}
    assert config["config"]["rules"] == {"flagged_categories": ["violence"]}
    assert [one["id"] for one in history["entries"]] == ["p2@1", "p1@2", "p1@1"]
    assert history["entries"][1]["scenario_categories"] == ["violence"]
    assert history["entries"][2]["config"] == DOCUMENT
    assert ([one["id"] for one in page["entries"]], page["has_more"]) == (["p1@2"], True)


@pytest.mark.parametrize("by", ["header", "key"])
async def test_a_zero_retention_request_stores_no_policy_and_reads_them(by: str, demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save()
    zero = by == "key"
    headers = await demo_gateway.headers_of("admins", scopes=frozenset({"admin"}), zero_retention=zero)
    zero_admin = Admin(demo_gateway, headers | ({} if zero else {"x-zero-retention": "true"}))

    refused = [
        await zero_admin.save(),
        await zero_admin("POST", "/config", {"config": DOCUMENT}),
        await zero_admin("POST", "/policies/p1/revert", {"version": 1}),
        await zero_admin("PATCH", "/projects/acme", {"policy_id": "p1"}),
    ]

    assert [error_of(one) for one in refused] == [(400, "retention_conflict", None)] * 4
    assert (await zero_admin("GET", "/policies/p1")).json()["version"] == 1
    simulated = await zero_admin("POST", "/simulate", {"policy_id": "p1", "samples": [{}]})
    assert (simulated.status_code, simulated.headers["x-zero-retention"]) == (200, "true")


async def test_the_schema_of_documents_is_served(demo_gateway: Gateway) -> None:
    assert (await (await an_admin(demo_gateway))("GET", "/schema")).json() == document_schema()
