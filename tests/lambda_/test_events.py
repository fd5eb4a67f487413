"""Events as API Gateway sends them and as people write them by hand: the request behind each is served."""

import pytest

from obscura.moderation.demo import MARKER_WORD
from tests.support.gateway import chat_request
from tests.support.lambda_events import SOURCE_IP, rest_event
from tests.support.lambda_process import Function, lambda_function
from tests.support.runtime_api import Invoked

CHAT = "/v1/chat/completions"


def a_question(function: Function, path: str = CHAT, **headers: str) -> dict:
    return rest_event("POST", path, chat_request("hi"), **function.bearer | headers)


def from_a_stranger(context: dict, **headers: str) -> dict:
    """A request of the free tier, with this request context."""
    return rest_event("POST", CHAT, chat_request("hi"), X_Free_Tier="1", **headers) | {"requestContext": context}


async def refusal(response: Invoked) -> tuple[int, str]:
    return (await response.head())["statusCode"], (await response.json())["error"]["code"]


@pytest.mark.parametrize("context", [None, {}, {"identity": None}, {"identity": {"sourceIp": None}}])
async def test_an_event_that_tells_no_address_is_served_to_who_has_a_key_and_no_free_tier(tmp_path, context):
    async with lambda_function("chat", tmp_path) as function:
        known = function.api.invoke(a_question(function) | {"requestContext": context})
        stranger = function.api.invoke(from_a_stranger(context))

        assert (await known.head())["statusCode"] == 200
        assert await refusal(stranger) == (401, "missing_credentials")


async def test_the_free_tier_goes_by_the_platforms_address_whatever_is_said_to_be_forwarded(tmp_path):
    async with lambda_function("chat", tmp_path) as function:
        address = {"identity": {"sourceIp": SOURCE_IP}}
        first = function.api.invoke(from_a_stranger(address))
        second = function.api.invoke(from_a_stranger(address, X_Forwarded_For="198.51.100.9"))

        assert (await first.head())["statusCode"] == 200
        assert await refusal(second) == (429, "free_tier_exhausted")


async def test_headers_in_one_form_or_the_other_are_enough(tmp_path):
    async with lambda_function("chat", tmp_path) as function:
        single = function.api.invoke(a_question(function) | {"multiValueHeaders": None})
        listed = function.api.invoke(a_question(function) | {"headers": None})
        neither = function.api.invoke(a_question(function) | {"headers": None, "multiValueHeaders": None})

        assert (await single.head())["statusCode"] == 200
        assert (await listed.head())["statusCode"] == 200
        assert await refusal(neither) == (401, "missing_credentials")


async def test_a_header_that_is_sent_twice_counts_as_with_any_server(tmp_path):
    async with lambda_function("chat", tmp_path) as function:
        event = a_question(function)
        event["multiValueHeaders"]["X-Zero-Retention"] = ["true", "true"]
        response = function.api.invoke(event)

        assert (await response.head())["headers"]["x-zero-retention"] == "true"


async def test_a_port_that_a_caller_says_was_forwarded_disturbs_nobody(tmp_path):
    async with lambda_function("chat", tmp_path) as function:
        event = a_question(function, X_Forwarded_Port="one")
        event["multiValueHeaders"]["X-Forwarded-Port"] = ["one", "443"]
        response = function.api.invoke(event)

        assert (await response.head())["statusCode"] == 200


@pytest.mark.parametrize("path", [f"/pictures{CHAT}", f"{CHAT}/", f"/live{CHAT}/"])
async def test_a_domains_base_path_and_a_slash_at_the_end_lead_to_the_same_resource(tmp_path, path):
    async with lambda_function("chat", tmp_path) as function:
        response = function.api.invoke(a_question(function) | {"path": path, "resource": CHAT})

        assert (await response.head())["statusCode"] == 200


@pytest.mark.parametrize("path", ["/v1/models/obscura-demo", "/pictures/v1/models/obscura%2Ddemo"])
async def test_a_models_id_is_found_behind_the_resources_fixed_part(tmp_path, path):
    async with lambda_function("models", tmp_path) as function:
        event = rest_event("GET", path, **function.bearer) | {"resource": "/v1/models/{model_id+}"}
        response = function.api.invoke(event)

        assert (await response.json())["id"] == "obscura-demo"


async def test_a_body_that_is_not_the_base64_its_event_says_is_refused_as_no_json(tmp_path):
    async with lambda_function("chat", tmp_path) as function:
        events = [a_question(function) | {"body": body, "isBase64Encoded": True} for body in ("abcde", "é", None)]
        response = [function.api.invoke(event) for event in events]

        assert [await refusal(one) for one in response] == [(400, "invalid_json")] * 3


async def test_a_test_event_of_the_console_fails_alone_and_says_what_was_expected(tmp_path):
    async with lambda_function("chat", tmp_path) as function:
        response = function.api.invoke({"key1": MARKER_WORD})
        after = function.api.invoke(a_question(function))

        failure = await response.failure()
        assert failure["errorType"] == "Runtime.UnknownEvent"
        assert "API Gateway" in failure["errorMessage"]
        assert MARKER_WORD not in str(failure)
        assert (await after.head())["statusCode"] == 200
