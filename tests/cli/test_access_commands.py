"""``obscura keys``, ``quota`` and ``doctor`` on both stores, run as processes beside a server."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from obscura.stores.sqlite.database import DATABASE_FILE
from tests.support.anonymous import FREE_TIER
from tests.support.aws_server import aws_server
from tests.support.gateway import chat_request
from tests.support.image_urls import a_data_url
from tests.support.serving_process import environment, run_obscura, serving
from tests.support.stores import a_table


@pytest.fixture(params=["sqlite", "dynamodb"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield environment(tmp_path)
        return
    with aws_server():
        yield environment(tmp_path, TABLE=a_table())


def chat(url: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{url}/chat/completions", json=chat_request("hi"), headers=headers)


def test_a_key_with_limits_is_created_used_listed_and_revoked(env: dict[str, str]) -> None:
    with serving(env) as gateway:
        created = run_obscura(
            "keys", "create", "--project", "team", "--scope", "chat", "--scope", "models",
            "--requests-per-minute", "7", env=env,
        )  # fmt: skip
        headers = {"authorization": f"Bearer {created.stdout.splitlines()[-1]}"}
        used = chat(gateway.v1, headers)
        outside = httpx.post(f"{gateway.v1}/responses", json={"model": "m", "input": "hi"}, headers=headers)
        listed = run_obscura("keys", "list", env=env | {"COLUMNS": "160"}).stdout
        key_id = re.findall(r"key_\w{16}", created.stderr)[0]
        revoked = [run_obscura("keys", "revoke", key_id, env=env).returncode for _ in range(2)]

    assert (used.status_code, used.headers["x-ratelimit-limit-requests"]) == (200, "7")
    assert outside.json()["error"]["code"] == "permission_denied"
    assert "chat, models, 7/min" in listed
    assert revoked == [0, 1]


def test_verdicts_are_forgotten_beside_a_server_that_remembers_them(env: dict[str, str]) -> None:
    with serving(env) as gateway:
        headers = {"authorization": f"Bearer {gateway.key}"}
        part = {"type": "image_url", "image_url": {"url": a_data_url(28, 28)}}
        for _ in range(2):
            httpx.post(f"{gateway.v1}/chat/completions", json=chat_request(part), headers=headers)
        forgotten = [run_obscura("verdicts", "clear", env=env) for _ in range(2)]

    assert [run.returncode for run in forgotten] == [0, 0]
    assert [run.stdout for run in forgotten] == ["Forgot 1 verdicts.\n", "Forgot 0 verdicts.\n"]


@pytest.mark.parametrize("project", ["jwt:x", "Free Tier"])
def test_a_reserved_project_gets_no_key(project: str, tmp_path: Path) -> None:
    created = run_obscura("keys", "create", "--project", project, env=environment(tmp_path))

    assert (created.returncode, created.stdout) == (2, "")
    assert "reserved" in created.stderr


def test_a_key_of_the_scope_admin_saves_a_policy_and_no_other_key_does(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with serving(env) as gateway:
        made = [
            run_obscura("keys", "create", "--project", "ops", *options, env=env).stdout.split()[-1]
            for options in ((), ("--scope", "admin"))
        ]
        url = f"{gateway.v1.removesuffix('/v1')}/api/policy-gateway/policies"
        saved = [httpx.post(url, json={"policy_id": "p1"}, headers={"x-api-key": key}) for key in made]

    assert [response.status_code for response in saved] == [403, 201]
    assert "--scope admin" in saved[0].json()["error"]["message"]


def test_the_quota_of_an_address_is_shown_and_reset_beside_a_server(env: dict[str, str]) -> None:
    with serving(env) as gateway:
        before = [chat(gateway.v1, FREE_TIER).status_code for _ in range(2)]
        shown = run_obscura("quota", "show", "127.0.0.1", env=env).stdout
        reset = run_obscura("quota", "reset", "127.0.0.1", env=env)
        after = [chat(gateway.v1, FREE_TIER).status_code for _ in range(2)]

    assert before == [200, 429]
    assert re.search(r"127\.0\.0\.1/32 +1 +1 +\d{4}-\d\d-\d\dT00:00:00Z", shown)
    assert reset.returncode == 0
    assert after == [200, 429]


def test_the_quota_of_an_ipv6_address_shows_its_networks(env: dict[str, str]) -> None:
    with serving(env | {"OBSCURA_TRUSTED_PROXIES": "127.0.0.1/32"}) as gateway:
        chat(gateway.v1, FREE_TIER | {"x-forwarded-for": "2001:db8:1:2ff::9"})
        shown = run_obscura("quota", "show", "2001:db8:1:2ff::1", env=env).stdout

    assert re.search(r"2001:db8:1:2ff::/64 +1 +1 ", shown)
    assert re.search(r"2001:db8:1:200::/56 +1 +8 ", shown)
    assert re.search(r"2001:db8:1::/48 +1 +32 ", shown)


def test_doctor_reports_the_store_the_jwts_and_the_free_tier(env: dict[str, str]) -> None:
    with serving(env):
        response = run_obscura("doctor", env=env)

    assert response.returncode == 0
    assert ("DynamoDB" if "OBSCURA_TABLE" in env else "1 live keys") in response.stdout
    assert "1 request a day for each network" in response.stdout
    assert "OBSCURA_JWKS_URL is not set" in response.stdout


def test_doctor_reports_missing_tables_and_jwks(tmp_path: Path) -> None:
    issuer = {"JWKS_URL": "http://127.0.0.1:9/keys", "JWT_ISSUER": "https://login.example", "JWT_AUDIENCE": "obscura"}
    with aws_server():
        response = run_obscura(
            "doctor", env=environment(tmp_path, TABLE=a_table(), STORE_OUTAGE="cached_keys", **issuer)
        )

    assert response.returncode == 1
    assert response.stdout.count("missing") == 2
    for detail in ("ResourceNotFoundException", "http://127.0.0.1:9/keys", "cached key"):
        assert detail in response.stdout


def test_an_invalid_address_is_named(tmp_path: Path) -> None:
    response = run_obscura("quota", "show", "example.com", env=environment(tmp_path))

    assert response.returncode == 2
    assert "example.com" in response.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"JWKS_URL": "https://login.example/keys"}, "OBSCURA_JWT_ISSUER"),
        ({"JWKS_URL": "https://login.example/keys", "JWT_ISSUER": "https://login.example"}, "OBSCURA_JWT_AUDIENCE"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,nonsense"}, "OBSCURA_TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "OBSCURA_TRUSTED_PROXIES"),
        ({"FREE_TIER_REQUESTS": "-1"}, "OBSCURA_FREE_TIER_REQUESTS"),
        ({"KEY_REQUESTS_PER_MINUTE": "0"}, "OBSCURA_KEY_REQUESTS_PER_MINUTE"),
        ({"STORE_OUTAGE": "open"}, "OBSCURA_STORE_OUTAGE"),
        ({"ADDRESS_SECRET": "short"}, "OBSCURA_ADDRESS_SECRET"),
        ({"TABLE": "a table"}, "OBSCURA_TABLE"),
    ],
)
def test_an_invalid_access_setting_is_named(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    response = run_obscura("serve", "--port", "0", env=environment(tmp_path, **settings))

    assert response.returncode == 2
    assert named in response.stderr
    assert "short" not in response.stderr
    assert "Traceback" not in response.stderr


def test_a_locked_or_unreachable_store_is_one_line_on_stderr(tmp_path: Path) -> None:
    run_obscura("keys", "list", env=environment(tmp_path))
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE, autocommit=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = run_obscura("keys", "create", "--project", "team", env=environment(tmp_path))
    unreachable = run_obscura(
        "keys", "list", env=environment(tmp_path, TABLE="x") | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"},
    )  # fmt: skip

    for response in (locked, unreachable):
        assert response.returncode == 1
        assert "store cannot be" in response.stderr
        assert "Traceback" not in response.stderr
