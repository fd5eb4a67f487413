"""Each family, as built, in AWS's runtime emulator: streamed over our runtime, buffered over AWS's."""

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from obscura.api.app import create_app
from obscura.settings import Settings
from rehearsal.checks import functions_by_family
from rehearsal.emulator import WRAPPER, emulated
from rehearsal.families import FAMILIES
from rehearsal.layout import Layout, install_layout
from rehearsal.stack import ROOT, translated
from tests.support.fake_upstream import stays_silent
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import new_key
from tests.support.loopback_server import loopback_server

HELLO = [{"role": "user", "content": "What do you see?"}]
REQUESTS: dict[str, tuple[str, dict]] = {
    "chat": ("/v1/chat/completions", {"model": "obscura-demo", "messages": HELLO}),
    "messages": ("/v1/messages", {"model": "obscura-demo", "max_tokens": 99, "messages": HELLO}),
    "responses": ("/v1/responses", {"model": "obscura-demo", "input": "What do you see?"}),
    "policy": ("/policy/v1/chat/completions", {"model": "obscura-demo", "messages": HELLO}),
}
WRAPPED = {WRAPPER: "/opt/bin/obscura-runtime"}


@pytest.fixture(scope="module")
def layout() -> Layout:
    """The output of ``make build-host``."""
    return install_layout()


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"OBSCURA_DATA_DIR": str(tmp_path), "OBSCURA_MODERATION": "off"}


@pytest.fixture
async def bearer(tmp_path: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {await new_key(tmp_path)}"}


def text_of(body: dict) -> str:
    """Return the model's text in a response of any dialect."""
    if "choices" in body:
        return body["choices"][0]["message"]["content"]
    return body["content"][0]["text"] if "content" in body else body["output"][0]["content"][0]["text"]


def test_every_family_that_streams_models_answers_is_tested_in_the_emulator() -> None:
    whole = {"images"}  # generated images come whole, and are rehearsed (rehearsal/scenarios.py)
    assert REQUESTS.keys() | whole == {name for name, family in FAMILIES.items() if family.streams and family.dialects}


@pytest.mark.parametrize("family", REQUESTS)
def test_the_streaming_runtime_streams_plain_and_streamed_responses(
    layout: Layout, family: str, settings: dict[str, str], bearer: dict[str, Any]
) -> None:
    path, body = REQUESTS[family]
    with emulated(layout, family, settings | WRAPPED) as function:
        plain = function.invoke(rest_event("POST", path, body, **bearer))
        streamed = function.invoke(rest_event("POST", path, body | {"stream": True}, **bearer))
        rejected = function.invoke(rest_event("POST", path, body))

    assert (plain.streamed, streamed.streamed, rejected.streamed) == (True, True, True)
    assert (plain.status, rejected.status) == (200, 401)
    assert "demo" in text_of(plain.json())
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.body.count(b"data: ") > 2


@pytest.mark.parametrize("family", REQUESTS)
def test_under_sam_local_a_family_responds_buffered(
    layout: Layout, family: str, settings: dict[str, str], bearer: dict[str, Any]
) -> None:
    path, body = REQUESTS[family]
    with emulated(layout, family, settings | WRAPPED | {"AWS_SAM_LOCAL": "true"}) as function:
        plain = function.invoke(rest_event("POST", path, body, **bearer))
        streamed = function.invoke(rest_event("POST", path, body | {"stream": True}, **bearer))

    assert (plain.streamed, streamed.streamed) == (False, False)
    assert "demo" in text_of(plain.json())
    assert streamed.body.count(b"data: ") > 2


def test_the_models_function_responds_buffered_in_both_dialects(
    layout: Layout, settings: dict[str, str], bearer: dict[str, Any]
) -> None:
    with emulated(layout, "models", settings) as function:
        openai = function.invoke(rest_event("GET", "/v1/models", **bearer))
        anthropic = function.invoke(rest_event("GET", "/v1/models", anthropic_version="2023-06-01", **bearer))
        filtered = function.invoke(rest_event("GET", "/api/models?modality=image", **bearer))
        anonymous = function.invoke(rest_event("GET", "/v1/models"))
        unknown = function.invoke(rest_event("GET", "/v1/nowhere"))

    assert openai.json()["data"][0]["id"] == "obscura-demo"
    assert anthropic.json()["first_id"] == "obscura-demo"
    assert "image" in filtered.json()["data"][0]["input_modalities"]
    assert (anonymous.status, anonymous.streamed) == (401, False)
    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "not_found")


def test_the_inspect_function_responds_buffered_and_asks_no_model(
    layout: Layout, settings: dict[str, str], bearer: dict[str, Any]
) -> None:
    with emulated(layout, "inspect", settings) as function:
        body = {"model": "obscura-demo", "messages": HELLO, "stream": True}
        inspected = function.invoke(rest_event("POST", "/v1/inspect", body, **bearer))

    assert (inspected.status, inspected.streamed) == (200, False)
    assert inspected.json()["text"]["characters"] == len("What do you see?")


async def test_a_models_list_that_exceeds_the_functions_time_is_a_504(
    layout: Layout, settings: dict[str, str], bearer: dict[str, Any]
) -> None:
    async with loopback_server(stays_silent) as upstream:
        variables = settings | {"OBSCURA_UPSTREAM_URL": upstream.v1, "AWS_LAMBDA_FUNCTION_TIMEOUT": "3"}
        with emulated(layout, "models", variables) as function:
            late = await asyncio.to_thread(function.invoke, rest_event("GET", "/v1/models", **bearer))
            after = await asyncio.to_thread(function.invoke, rest_event("GET", "/healthz"))

    assert (late.status, late.json()["error"]["code"]) == (504, "upstream_timeout")
    assert after.status == 200


def test_the_function_that_serves_the_schema_has_every_familys_paths(layout: Layout, settings: dict[str, str]) -> None:
    with emulated(layout, "models", settings) as function:
        response = function.invoke(rest_event("GET", "/openapi.json"))

    whole_app = create_app(Settings(moderation="off"))
    assert response.json() == whole_app.openapi()
    assert {"/v1/chat/completions", "/v1/uploads", "/v1/models", "/healthz"} <= set(response.json()["paths"])


def test_under_sam_local_a_function_has_the_templates_settings(layout: Layout, tmp_path: Path) -> None:
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["local_invoke"]["parameters"]
    overrides = json.loads((ROOT / configured["env_vars"]).read_text())["Parameters"]
    declared = functions_by_family(translated(ROOT / "template.yaml"))["chat"]["Environment"]["Variables"]
    path, body = REQUESTS["chat"]

    # SAM overrides variables that the template declares, and no others.
    settings = {name: overrides.get(name, value) for name, value in declared.items()}
    writable = {"OBSCURA_DATA_DIR": str(tmp_path)}
    with emulated(layout, "chat", settings | writable | {"AWS_SAM_LOCAL": "true"}) as function:
        response = function.invoke(rest_event("POST", path, body, x_free_tier="true"))

    assert settings["OBSCURA_DATA_DIR"].startswith("/tmp/")  # noqa: S108 Lambda's only folder to write to
    assert response.status == 200
    assert "demo" in text_of(response.json())
