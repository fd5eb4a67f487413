"""Events as API Gateway sends them and as developers write them by hand: the request of each is served."""

from pathlib import Path
from typing import Any

import pytest

from obscura.moderation.demo import MARKER_WORD
from tests.support.gateway import chat_request
from tests.support.lambda_events import SOURCE_IP, rest_event
from tests.support.lambda_process import Function, lambda_function
from tests.support.runtime_api import Invocation

CHAT = "/v1/chat/completions"


def a_request(function: Function, path: str = CHAT, **headers: str) -> dict:
    return rest_event("POST", path, chat_request("hi"), **function.bearer | headers)


def an_anonymous_request(context: dict | None, **headers: Any) -> dict:
    """A request of the free tier, with this request context."""
    return rest_event("POST", CHAT, chat_request("hi"), X_Free_Tier="1", **headers) | {"requestContext": context}


async def error_of(response: Invocation) -> tuple[int, str]:
    return (await response.head())["statusCode"], (await response.json())["error"]["code"]


@pytest.mark.parametrize("context", [None, {}, {"identity": None}, {"identity": {"sourceIp": None}}])
async def test_an_event_without_an_address_is_served_with_a_key_only(tmp_path: Path, context: dict | None) -> None:
    async with lambda_function("chat", tmp_path) as function:
        authenticated = function.api.invoke(a_request(function) | {"requestContext": context})
        anonymous = function.api.invoke(an_anonymous_request(context))

        assert (await authenticated.head())["statusCode"] == 200
        assert await error_of(anonymous) == (401, "missing_credentials")


async def test_the_free_tier_counts_by_the_platforms_address_not_by_a_header(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        address = {"identity": {"sourceIp": SOURCE_IP}}
        first = function.api.invoke(an_anonymous_request(address))
        second = function.api.invoke(an_anonymous_request(address, X_Forwarded_For="198.51.100.9"))

        assert (await first.head())["statusCode"] == 200
        assert await error_of(second) == (429, "free_tier_exhausted")


async def test_headers_in_either_form_are_enough(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        single = function.api.invoke(a_request(function) | {"multiValueHeaders": None})
        listed = function.api.invoke(a_request(function) | {"headers": None})
        neither = function.api.invoke(a_request(function) | {"headers": None, "multiValueHeaders": None})

        assert (await single.head())["statusCode"] == 200
        assert (await listed.head())["statusCode"] == 200
        assert await error_of(neither) == (401, "missing_credentials")


async def test_a_header_that_is_sent_twice_is_read_as_by_any_server(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        event = a_request(function)
        event["multiValueHeaders"]["X-Zero-Retention"] = ["true", "true"]
        response = function.api.invoke(event)

        assert (await response.head())["headers"]["x-zero-retention"] == "true"


async def test_a_forwarded_port_of_the_callers_own_does_no_harm(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        event = a_request(function, X_Forwarded_Port="one")
        event["multiValueHeaders"]["X-Forwarded-Port"] = ["one", "443"]
        response = function.api.invoke(event)

        assert (await response.head())["statusCode"] == 200


@pytest.mark.parametrize("path", [f"/images{CHAT}", f"{CHAT}/", f"/live{CHAT}/"])
async def test_a_base_path_and_a_trailing_slash_lead_to_the_same_resource(tmp_path: Path, path: str) -> None:
    async with lambda_function("chat", tmp_path) as function:
        response = function.api.invoke(a_request(function) | {"path": path, "resource": CHAT})

        assert (await response.head())["statusCode"] == 200


@pytest.mark.parametrize("path", ["/v1/models/obscura-demo", "/images/v1/models/obscura%2Ddemo"])
async def test_a_models_id_is_read_after_the_resources_fixed_part(tmp_path: Path, path: str) -> None:
    async with lambda_function("models", tmp_path) as function:
        event = rest_event("GET", path, **function.bearer) | {"resource": "/v1/models/{model_id+}"}
        response = function.api.invoke(event)

        assert (await response.json())["id"] == "obscura-demo"


async def test_a_body_that_is_not_base64_as_declared_is_invalid_json(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        events = [a_request(function) | {"body": body, "isBase64Encoded": True} for body in ("abcde", "é", None)]
        responses = [function.api.invoke(event) for event in events]

        assert [await error_of(response) for response in responses] == [(400, "invalid_json")] * 3


async def test_a_test_event_of_the_console_fails_alone_with_a_clear_message(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        response = function.api.invoke({"key1": MARKER_WORD})
        after = function.api.invoke(a_request(function))

        failure = await response.failure()
        assert failure["errorType"] == "Runtime.UnknownEvent"
        assert "API Gateway" in failure["errorMessage"]
        assert MARKER_WORD not in str(failure)
        assert (await after.head())["statusCode"] == 200
