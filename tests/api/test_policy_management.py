"""The management API of policies: save, read, compare and revert, on both stores, for admins alone."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.gateway import Gateway, running_gateway
from tests.support.policy_admin import BASE, DOCUMENT, an_admin, error_of
from tests.support.stores import dynamodb


async def test_a_first_save_is_201_and_the_next_200(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)

    saved = [await admin.save(), await admin.save(name="Second")]

    assert [response.status_code for response in saved] == [201, 200]
    first, second = (response.json() for response in saved)
    assert (first["version"], second["version"], second["live_version"]) == (1, 2, 2)
    assert first["document"] == DOCUMENT
    assert saved[1].headers["etag"] == second["etag"] != first["etag"]
    assert second["created_at"] == first["created_at"] <= second["updated_at"]


async def test_a_version_is_read_whole_by_its_number(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    saved = [(await admin.save()).json(), (await admin.save(draft=True)).json()]

    newest, first = await admin("GET", "/policies/p1"), await admin("GET", "/policies/p1?version=1")

    assert newest.json() == saved[1]
    assert (newest.json()["draft"], newest.json()["live_version"]) == (True, 1)
    assert first.json() == saved[0]
    assert first.headers["etag"] == saved[0]["etag"]


async def test_another_spelling_is_stored_as_ours(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    rules = {"redact": ["email"], "enforcement_action": "refuse"}

    saved = await admin("POST", "/policies", {"name": "My Policy", "config": {"rules": rules}})

    assert saved.status_code == 201
    assert saved.json()["policy_id"] == "my-policy"
    assert saved.json()["document"]["rules"] == {"redact_pii": True, "pii": ["email"], "enforcement_action": "block"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (DOCUMENT | {"imagess": {}}, (400, "invalid_request", "imagess")),
        (
            DOCUMENT | {"images": {"allowed_formats": ["PNG", "psd"]}},
            (400, "invalid_request", "images.allowed_formats[1]"),
        ),
        (DOCUMENT | {"rules": {"regexes": [{"regex": "(?=a)"}]}}, (400, "invalid_request", "rules.regexes[0].regex")),
        (DOCUMENT | {"images": {"redact": ["faces"]}}, (400, "invalid_request", "images.redact")),
        (DOCUMENT | {"policy_id": "a@1"}, (400, "invalid_request", "policy_id")),
        ({"config": {"rules": {"denylst": []}}, "name": "x"}, (400, "invalid_request", "config.rules.denylst")),
        ({}, (400, "invalid_request", "policy_id")),
    ],
)
async def test_an_error_of_a_document_names_the_field(
    document: dict, expected: tuple[int, str, str], demo_gateway: Gateway
) -> None:
    admin = await an_admin(demo_gateway)

    assert error_of(await admin("POST", "/policies", document)) == expected

    assert (await admin("GET", "/policies")).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_request"),
        (b'"x"', 400, "invalid_request"),
        (b"\xff", 400, "invalid_json"),
        (b'{"policy_id": "p1", "policy_id": "p2"}', 400, None),
        (b'{"policy_id": "\\ud800"}', 400, None),
        (b"[" * 5000, 400, None),
        (b'{"policy_id": "p1", "name": ' + b'{"a":' * 500 + b"1" + b"}" * 501, 400, None),
        (b'{"policy_id": "p1", "rollout": {"rollback_threshold": 1e999}}', 400, None),
        (b'{"policy_id": "p1", "description": "' + b"x" * 1_050_000 + b'"}', 413, "request_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/policies", "/config", "/simulate"])
async def test_a_body_that_is_none_is_an_error_of_the_caller(
    path: str, body: bytes, status: int, code: str | None, demo_gateway: Gateway
) -> None:
    headers = await demo_gateway.headers_of("admins", scopes=frozenset({"admin"}))

    response = await demo_gateway.client.post(
        BASE + path, content=body, headers=headers | {"content-type": "application/json"}
    )

    assert response.status_code == status, response.text
    assert code in {None, response.json()["error"]["code"]}


async def test_a_save_over_a_newer_version_is_a_conflict(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    etag = (await admin.save()).headers["etag"]

    assert (await admin("POST", "/policies", DOCUMENT, if_match=etag)).status_code == 200
    conflict = await admin("POST", "/policies", DOCUMENT, if_match=etag)

    assert error_of(conflict) == (412, "version_conflict", None)
    assert '"2-' in conflict.json()["error"]["message"]
    assert (await admin("POST", "/policies", DOCUMENT, if_match="*")).status_code == 200
    new = await admin("POST", "/policies", DOCUMENT | {"policy_id": "new"}, if_match="*")
    assert error_of(new) == (412, "version_conflict", None)
    assert error_of(await admin("POST", "/policies/p1/revert", {"version": 1}, if_match=etag))[0] == 412
    assert (await admin("GET", "/policies/p1")).json()["version"] == 3


async def test_of_concurrent_saves_with_one_etag_one_succeeds(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    etag = (await admin.save()).headers["etag"]

    saves = [admin("POST", "/policies", DOCUMENT | {"name": f"{n}"}, if_match=etag) for n in range(10)]
    statuses = [response.status_code for response in await asyncio.gather(*saves)]
    unconditional = await asyncio.gather(*[admin.save(name=f"{n}") for n in range(10)])

    assert sorted(statuses) == [200] + [412] * 9
    assert sorted(response.json()["version"] for response in unconditional) == list(range(3, 13))


async def test_what_is_unknown_is_404(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save()

    unknown = [
        await admin("GET", "/policies/p2"),
        await admin("GET", "/policies/p2/history"),
        await admin("GET", "/policies/p2/diff"),
        await admin("POST", "/policies/p2/revert", {"version": 1}),
        await admin("GET", "/config?policy_id=p2"),
        await admin("GET", "/history?policy_id=p2"),
        await admin("PATCH", "/projects/acme", {"policy_id": "p2"}),
        await admin("POST", "/simulate", {"policy_id": "p2", "samples": [{}]}),
    ]
    versions = [
        await admin("GET", "/policies/p1?version=2"),
        await admin("POST", "/policies/p1/revert", {"version": 2}),
        await admin("GET", "/policies/p1/diff?from=2"),
        await admin("GET", "/policies/p1/diff?to=2"),
        await admin("POST", "/simulate", {"policy_id": "p1@2", "samples": [{}]}),
    ]

    assert [error_of(one) for one in unknown] == [(404, "policy_not_found", "policy_id")] * 8
    assert [error_of(one) for one in versions] == [
        (404, "policy_not_found", param) for param in ("version", "version", "from", "to", "policy_id")
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("GET", "/policies/p1?version=0", None, "version"),
        ("GET", "/policies/p1?version=99999999999999999999", None, "version"),
        ("GET", "/policies/p1/diff?from=x", None, "from"),
        ("GET", "/policies?limit=0", None, "limit"),
        ("GET", "/config", None, "policy_id"),
        ("POST", "/policies/p1/revert", {"version": "1"}, "version"),
        ("POST", "/policies/p1/revert", {}, "version"),
        ("PATCH", "/projects/acme", {"policy_id": 7}, "policy_id"),
        ("PATCH", "/projects/acme", {}, "policy_id"),
        ("POST", "/simulate", {"samples": [{}]}, "policy_id"),
        ("POST", "/simulate", {"policy_id": "p1", "policy": {}, "samples": [{}]}, "policy_id"),
        ("POST", "/simulate", {"policy_id": "p1@x", "samples": [{}]}, "policy_id"),
        ("POST", "/simulate", {"policy_id": "p1", "samples": []}, "samples"),
        ("POST", "/simulate", {"policy_id": "p1"}, "samples"),
        ("POST", "/simulate", {"policy_id": "p1", "samples": [{"texts": ["a", 1]}]}, "samples[0].texts[1]"),
        ("POST", "/simulate", {"policy": {"rules": {"denylist": [1]}}, "samples": [{}]}, "policy.rules.denylist[0]"),
    ],
)
async def test_an_error_of_a_request_names_the_field(
    method: str, path: str, body: Any, param: str, demo_gateway: Gateway
) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save()

    assert error_of(await admin(method, path, body)) == (400, "invalid_request", param)


async def test_a_list_has_every_policy_by_its_newest_version(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    for policy_id in ("c", "a", "b"):
        await admin.save(policy_id=policy_id)
    await admin.save(policy_id="a", name="Draft", draft=True)

    listed = (await admin("GET", "/policies")).json()
    pages = [(await admin("GET", f"/policies?limit=2{after}")).json() for after in ("", "&after=b")]

    assert [(one["policy_id"], one["version"], one["live_version"]) for one in listed["data"]] == [
        ("a", 2, 1), ("b", 1, 1), ("c", 1, 1),
    ]  # fmt: skip
    assert listed["data"][0]["name"] == "Draft"
    assert [[one["policy_id"] for one in page["data"]] for page in pages] == [["a", "b"], ["c"]]
    assert [page["has_more"] for page in pages] == [True, False]


async def test_history_and_diff_show_what_changed(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save()
    await admin.save(rules={"denylist": ["wire transfer", "gift card"]})
    await admin.save(draft=True)

    history = (await admin("GET", "/policies/p1/history")).json()
    page = (await admin("GET", "/policies/p1/history?limit=1&before=3")).json()
    changes = (await admin("GET", "/policies/p1/diff?from=1&to=2")).json()
    newest = (await admin("GET", "/policies/p1/diff")).json()

    assert [(one["version"], one["draft"], one["live"]) for one in history["data"]] == [
        (3, True, False), (2, False, True), (1, False, False),
    ]  # fmt: skip
    assert ([one["version"] for one in page["data"]], page["has_more"]) == ([2], True)
    assert (changes["from"], changes["to"]) == (1, 2)
    assert changes["changes"] == [{"path": "rules.denylist", "change": "added", "to": "gift card"}]
    assert (newest["from"], newest["to"]) == (2, 3)
    assert {"path": "draft", "change": "added", "to": True} in newest["changes"]


async def test_a_revert_is_a_new_version_and_live(demo_gateway: Gateway) -> None:
    admin = await an_admin(demo_gateway)
    await admin.save(draft=True)
    await admin.save(rules={"denylist": ["other"]})

    reverted = await admin("POST", "/policies/p1/revert", {"version": 1})

    assert reverted.status_code == 200
    assert reverted.headers["etag"] == reverted.json()["etag"]
    assert (reverted.json()["version"], reverted.json()["live_version"], reverted.json()["reverted_from"]) == (3, 3, 1)
    assert reverted.json()["document"]["rules"] == DOCUMENT["rules"]


async def test_management_is_the_same_on_dynamodb(tmp_path: Path) -> None:
    async with dynamodb(tmp_path) as stores, running_gateway(stores=stores) as gateway:
        admin = await an_admin(gateway)
        saved = [await admin.save(), await admin.save(rules={"redact_pii": True})]
        stale = await admin("POST", "/policies", DOCUMENT, if_match=saved[0].headers["etag"])
        reverted = await admin("POST", "/policies/p1/revert", {"version": 1})
        await admin("PATCH", "/projects/acme", {"policy_id": "p1"})

        assert [one.status_code for one in (*saved, stale, reverted)] == [201, 200, 412, 200]
        assert reverted.json()["document"] == DOCUMENT | {"draft": False}
        assert [one["version"] for one in (await admin("GET", "/policies/p1/history")).json()["data"]] == [3, 2, 1]
        assert [one["policy_id"] for one in (await admin("GET", "/policies")).json()["data"]] == ["p1"]
        assert (await admin("GET", "/projects/acme")).json()["policy_id"] == "p1"


async def test_a_store_that_is_away_is_a_503(tmp_path: Path) -> None:
    async with dynamodb(tmp_path) as stores, running_gateway(stores=stores) as gateway:
        admin = await an_admin(gateway)
        with closing(boto3.client("dynamodb")) as client:
            for name in client.list_tables()["TableNames"]:
                if name.endswith("-policies"):
                    client.delete_table(TableName=name)

        failed = [
            await admin.save(),
            await admin("GET", "/policies"),
            await admin("GET", "/policies/p1"),
            await admin("PATCH", "/projects/acme", {"policy_id": None}),
        ]

        assert [error_of(one)[:2] for one in failed] == [(503, "upstream_unavailable")] * 4


async def test_management_is_for_keys_that_name_its_scope_alone() -> None:
    async with running_gateway() as gateway:
        headers = [
            {"authorization": f"Bearer {gateway.key}"},
            await gateway.headers_of("a", scopes=frozenset({"policy", "chat"})),
            {"authorization": "", "x-free-tier": "true"},
            await gateway.headers_of("a", scopes=frozenset({"admin"})),
        ]
        management = [(await gateway.client.get(f"{BASE}/policies", headers=one)).status_code for one in headers]
        models = [(await gateway.client.get("/v1/models", headers=one)).status_code for one in headers]

        assert management == [403, 403, 401, 200]
        assert models[0] == 200
        assert models[3] == 403
