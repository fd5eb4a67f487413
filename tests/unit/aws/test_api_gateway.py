"""Events as scopes: paths decoded but for slashes, and headers that Mangum alone would fail on."""

import json
import time
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from obscura.api.client_address import headers_of
from obscura.aws.api_gateway import LambdaScopeMiddleware
from obscura.aws.runtime.api import Invocation
from obscura.aws.runtime.asgi_bridge import scope_from_event
from tests.support.lambda_events import rest_event


async def scope_of(event: dict) -> Scope:
    seen: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    invocation = Invocation("1", int(time.time() * 1000) + 9000, "", None, json.dumps(event).encode())
    scope = scope_from_event(invocation).scope
    await LambdaScopeMiddleware(application)(scope, unused, unused)
    return seen[0]


async def unused(*_: object) -> Any:
    raise AssertionError("nothing is read or sent")


def function_url_event(path: str) -> dict:
    request = {"method": "POST", "path": path, "sourceIp": "203.0.113.7"}
    return {"version": "2.0", "rawPath": path, "headers": {}, "requestContext": {"http": request}}


@pytest.mark.parametrize(
    ("path", "routed"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1%2Fchat%2Fcompletions", "/v1%2Fchat%2Fcompletions"),
        ("/v1/models/a%2Fb", "/v1/models/a%2Fb"),
        ("/v1/%63hat/completions", "/v1/chat/completions"),
    ],
)
async def test_an_encoded_slash_is_not_routed(path: str, routed: str) -> None:
    by_variable = rest_event("POST", path) | {"resource": "/v1/models/{model_id+}"}

    assert (await scope_of(function_url_event(path)))["path"] == routed
    assert (await scope_of(by_variable))["path"] == routed


@pytest.mark.parametrize("host", [["a:1", "b:2"], ["a", "b"], ["[::1]:80"], ["a:x"], ["a, b"], [], None])
async def test_a_host_that_is_none_does_not_fail(host: Any) -> None:
    event = rest_event("POST", "/v1/chat/completions")
    event["headers"]["Host"] = host and host[-1]
    event["multiValueHeaders"]["Host"] = host

    assert headers_of(await scope_of(event)).get("host") in {None, "b", "b:2"}


async def test_one_header_in_two_spellings_keeps_both_values() -> None:
    event = rest_event("POST", "/v1/chat/completions")
    event["multiValueHeaders"] |= {"x-forwarded-for": ["198.51.100.1"], "X-Forwarded-For": ["203.0.113.7"]}

    assert set(headers_of(await scope_of(event))["x-forwarded-for"].split(", ")) == {"198.51.100.1", "203.0.113.7"}
