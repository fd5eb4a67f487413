"""Scenarios that the rehearsal runs: for each family, API Gateway's events and what their responses must be."""

import json
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from rehearsal.emulator import FunctionResponse
from rehearsal.events import Event, read_event, unauthenticated, with_body, with_header, with_query, with_route
from rehearsal.families import FAMILIES, STREAMED


@dataclass(frozen=True)
class Case:
    """An event and its expected response: ``contains`` is a part of the body, ``header`` one that must be present."""

    title: str
    event: Event
    contains: bytes
    status: int = 200
    header: str = "x-request-id"

    def faults(self, response: FunctionResponse, family: str) -> Iterator[str]:
        """Yield what is wrong with a response."""
        if response.status != self.status:
            yield f"{response.status} instead of {self.status}: {response.body[:300]!r}"
        if self.contains not in response.body:
            yield f"no {self.contains!r} in {response.body[:300]!r}"
        if self.header not in response.headers:
            yield f"no {self.header} among {sorted(response.headers)}"
        if response.streamed != (family in STREAMED):
            yield "in the form of the other runtime"


type Scenario = Generator[Case, FunctionResponse]
"""Yields one case after the other, and is sent the response to each."""


def scenario(family: str, key: str) -> Scenario:
    """Return a family's cases with a valid key, and one with an unknown key."""
    if family not in SCENARIOS:
        raise NotImplementedError(f"The family {family} has no scenario yet: add one to {__name__}.")
    yield from SCENARIOS[family](read_event(family, key))
    if FAMILIES[family].scope is not None:
        yield Case("an unknown key", read_event(family, "obs_unknown"), b'"invalid_api_key"', 401)


def _chat(event: Event) -> Scenario:
    plain = with_body(event, stream=False)
    yield Case("streamed, with an image", event, b"data: [DONE]", header="x-image-tokens")
    yield Case("plain, with an image", plain, b'"image_tokens"', header="x-image-tokens")
    yield Case("without /v1", with_route(event, "POST", "/chat/completions"), b"data: [DONE]")
    for network, address in (("IPv4", "198.51.100.7"), ("IPv6, three counters at once", "2001:db8::7")):
        anonymous = unauthenticated(event, address)
        yield Case(f"the free request of a network, {network}", anonymous, b"data: [DONE]")
        yield Case("its second", anonymous, b'"free_tier_exhausted"', 429, "retry-after")


def _messages(event: Event) -> Scenario:
    yield Case("plain, with an image", event, b'"image_tokens"', header="x-image-tokens")
    yield Case("streamed, with an image", with_body(event, stream=True), b"event: message_stop")
    yield Case("tokens counted", with_route(event, "POST", "/v1/messages/count_tokens"), b'"input_tokens"')


def _responses(event: Event) -> Scenario:
    yield Case("plain, with an image", event, b'"image_tokens"', header="x-image-tokens")
    yield Case("streamed, with an image", with_body(event, stream=True), b"event: response.completed")


def _images(event: Event) -> Scenario:
    made = yield Case("an image", event, b'"b64_json":"iVBOR')
    image = f"data:image/png;base64,{json.loads(made.body)['data'][0]['b64_json']}"
    referring = with_body(event, image_url=image)
    yield Case("with a reference image", referring, b'"b64_json":"iVBOR', header="x-image-tokens")
    edited = with_body(event, images=[{"image_url": image}], mask={"image_url": image})
    edit = with_route(edited, "POST", "/v1/images/edits")
    yield Case("edited, with a mask", edit, b'"b64_json":"iVBOR', header="x-image-tokens")
    yield Case("without /v1", with_route(event, "POST", "/images/generations"), b'"b64_json":"iVBOR')


def _policy(event: Event) -> Scenario:
    """Under the policy that the scenario of ``policies`` has left."""
    blocked = with_body(event, stream=False, messages=[{"role": "user", "content": "a wire transfer"}])
    mail = with_body(event, stream=False, messages=[{"role": "user", "content": "I am ann@example.com"}])
    yield Case("streamed, with an image", event, b'"policy_version":5', header="x-policy-decision")
    yield Case("plain", with_body(event, stream=False), b'"policy":{', header="x-policy-id")
    yield Case("redacted", mail, b'"decision":"redact"', header="x-policy-version")
    yield Case("blocked", blocked, b'"policy_blocked"', 400, "x-policy-mode")
    yield Case("by the floor alone", with_body(event, stream=False, policy_id=None), b'"policy_id":null')
    yield Case("an unknown policy", with_body(event, policy_id="unknown"), b'"policy_not_found"', 404)
    last = with_body(event, policy_user="ann")
    yield Case("the last of a quota", last, b"data: [DONE]")
    yield Case("past the quota", last, b'"quota_exceeded"', 429, "retry-after")
    said = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    yield Case("messages", with_route(with_body(event, **said), "POST", "/policy/messages"), b"event: message_stop")
    asked = {"model": "demo", "input": "Hello", "stream": True, "policy_id": "support"}
    responding = with_route(event | {"body": json.dumps(asked)}, "POST", "/policy/v1/responses")
    yield Case("responses", responding, b"event: response.completed")
    asked = {"input_type": "request", "texts": ["a wire transfer"], "policy_id": "support"}
    checking = with_route(event | {"body": json.dumps(asked)}, "POST", "/beta/litellm_basic_guardrail_api")
    yield Case("for another proxy", checking, b'"action":"BLOCKED"', header="x-policy-decision")


def _inspect(event: Event) -> Scenario:
    """Under the policy that the scenario of ``policies`` has left."""
    blocked = with_body(event, messages=[{"role": "user", "content": "a wire transfer"}])
    said = with_body(event, max_tokens=9, messages=[{"role": "user", "content": "Hello"}])
    yield Case("with an image", event, b'"pdq":', header="x-image-tokens")
    yield Case("its prepared image", with_body(event, include=["images"]), b'"data_url":"data:image/')
    yield Case("what a policy blocks", blocked, b'"reason_code":"DENYLIST')
    yield Case("of messages", with_header(said, "X-Obscura-Dialect", "messages"), b'"dialect":"messages"')


def _files(event: Event) -> Scenario:
    stored = yield Case("stored", event, b'"object":"file"')
    path = f"/v1/files/{stored.json()['id']}"
    yield Case("listed", with_route(event, "GET", "/v1/files"), b'"object":"list"')
    yield Case("described", with_route(event, "GET", path), b'"purpose"')
    yield Case("its content, as bytes", with_route(event, "GET", path + "/content"), b"\x89PNG")
    yield Case("deleted", with_route(event, "DELETE", path), b'"deleted":true')
    yield Case("gone", with_route(event, "GET", path), b'"file_not_found"', 404)


def _models(event: Event) -> Scenario:
    yield Case("OpenAI's list", event, b'"object":"list"')
    yield Case("our catalog", with_route(event, "GET", "/api/models"), b'"detail_limits"')
    yield Case("the schema", with_route(event, "GET", "/.well-known/openapi.json"), b'"/v1/chat/completions"')
    yield Case("health", with_route(event, "GET", "/healthz"), b'"ok"')


def _usage(event: Event) -> Scenario:
    yield Case("its own", event, b'"object":"list"')
    yield Case("too many days", with_query(event, first="2001-01-01"), b'"invalid_request"', 400)


def _policies(event: Event) -> Scenario:
    base = "/api/policy-gateway"
    path = f"{base}/policies/support"
    yield Case("saved", event, b'"version":1', 201, "etag")
    yield Case("saved again", with_body(event, name="Support"), b'"version":2', 200, "etag")
    yield Case("listed", with_route(event, "GET", f"{base}/policies"), b'"policy_id":"support"')
    yield Case("read", with_route(event, "GET", path), b'"document"', header="etag")
    yield Case("its history", with_route(event, "GET", f"{path}/history"), b'"live":true')
    reverting = event | {"body": json.dumps({"version": 1})}
    yield Case("reverted", with_route(reverting, "POST", f"{path}/revert"), b'"reverted_from":1', header="etag")
    simulated = event | {"body": json.dumps({"policy_id": "support", "samples": [{"text": "a wire transfer"}]})}
    yield Case("simulated", with_route(simulated, "POST", f"{base}/simulate"), b'"refuse"')
    assigning = event | {"body": json.dumps({"policy_id": "support"})}
    yield Case("of a project", with_route(assigning, "PATCH", f"{base}/projects/acme"), b'"project_id":"acme"')
    yield Case("its schema", with_route(event, "GET", f"{base}/schema"), b"json-schema.org")
    counted = {"user_quotas": {"ann": {"requests": 1}}, "project_keys": ["rehearsal"]}
    yield Case("with a quota", with_body(event, org_controls=counted), b'"version":4', 200, "etag")
    rolled = {"canary": {"enabled": True, "sample_percent": 100}, "rollback_on_spike": True}
    yield Case("rolled out", with_body(event, org_controls=counted, rollout=rolled), b'"version":5', 200, "etag")


def _playground(event: Event) -> Scenario:
    page = yield Case("the page", event, b"<!doctype html>", header="content-security-policy")
    [script] = re.findall(rb'src="(playground/[0-9a-f]+/app.js)"', page.body)
    yield Case("its script", with_route(event, "GET", f"/{script.decode()}"), b"import")
    example = script.decode().replace("app.js", "example-sign.png")
    yield Case("an example, as bytes", with_route(event, "GET", f"/{example}"), b"\x89PNG")
    yield Case("the limits", with_route(event, "GET", "/playground/limits.json"), b'"image_too_large"')
    guide = with_route(event, "GET", "/docs/vision")
    yield Case("the guide", guide, b"<!doctype html>", header="content-security-policy")


SCENARIOS: dict[str, Callable[[Event], Scenario]] = {
    "chat": _chat,
    "messages": _messages,
    "responses": _responses,
    "images": _images,
    "policy": _policy,
    "inspect": _inspect,
    "files": _files,
    "models": _models,
    "policies": _policies,
    "usage": _usage,
    "playground": _playground,
}
