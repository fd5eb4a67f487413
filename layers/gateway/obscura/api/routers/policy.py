"""The siblings of the dialects under ``/policy``: the same pipeline, with a policy's decision in every answer."""

from collections.abc import Sequence
from typing import Any

import msgspec

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import Family
from obscura.auth.base import KeyScope
from obscura.dialects.base import (
    CREDENTIAL_HEADERS,
    CallerDialect,
    ContentLimits,
    JsonSchema,
    ParsedRequest,
    RequestHead,
)
from obscura.dialects.errors import OpenAIErrorFormat
from obscura.dialects.json.raw import RawJson
from obscura.dialects.registry import load_dialect, names
from obscura.errors import ObscuraError
from obscura.pipeline.guardrail import GuardrailView, handle_guardrail
from obscura.pipeline.handle_policy import handle_policy_request
from obscura.pipeline.inspect_policy import handle_policy_dry_run
from obscura.policy.render import splice

_DESCRIPTIONS = {
    "policy_id": "A policy, or one version of it as policy_id@3.",
    "policy_user": "Whose quota is counted; the header X-Policy-User wins.",
    "policy_target": "What a rollout aims at; the header X-Policy-Target wins.",
}
_FIELDS: JsonSchema = {name: {"type": "string", "description": said} for name, said in _DESCRIPTIONS.items()}

# A proxy sends null where it has nothing.
_STRINGS: JsonSchema = {"type": ["array", "null"], "items": {"type": "string"}}
_PARAMETERS: JsonSchema = {
    name: {"type": ["string", "null"], "description": said} for name, said in _DESCRIPTIONS.items()
}
_GUARDRAIL_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "input_type": {"enum": ["request", "response", None]},
        "texts": _STRINGS,
        "images": {**_STRINGS, "description": "https URLs, data URLs or base64."},
        "structured_messages": {"type": ["array", "null"], "items": {"type": "object"}},
        "tools": {"type": ["array", "null"]},
        "tool_calls": {"type": ["array", "null"]},
        "model": {"type": ["string", "null"]},
        "additional_provider_specific_params": {"type": ["object", "null"], "properties": _PARAMETERS},
    },
}


class PolicyDialect:
    """A caller dialect under ``/policy``: other paths, and the decision beside its errors."""

    def __init__(self, dialect: CallerDialect[Any]) -> None:
        """``dialect`` parses and renders."""
        self._dialect = dialect
        self.name = dialect.name
        # An SDK's base URL ends in /policy/v1 or, for Anthropic's, in /policy.
        unversioned = dict.fromkeys(path.removeprefix("/v1") for path in dialect.paths)
        self.paths: Sequence[str] = [f"/policy{prefix}{path}" for path in unversioned for prefix in ("", "/v1")]
        self.credential_headers = dialect.credential_headers
        self.response_type = dialect.response_type
        self.summary = f"{dialect.summary}, under a policy"
        properties: Any = dialect.request_schema["properties"]
        self.request_schema: JsonSchema = dialect.request_schema | {"properties": properties | _FIELDS}

    @property
    def error_type(self) -> type[msgspec.Struct]:
        """The type of an error's body."""
        return self._dialect.error_type

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> ParsedRequest:
        """Parse a request as the dialect does."""
        parsed: ParsedRequest = self._dialect.parse(head, body, limits)
        return parsed

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return the headers of the dialect."""
        return self._dialect.response_headers(request_id)

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Render an error in the format of the dialect, with the decision beside it if there is one."""
        body = self._dialect.render_error(error, request_id)
        return body if error.policy is None else splice(body, error.policy)


class GuardrailContract(OpenAIErrorFormat):
    """The generic guardrail API, for a proxy that asks Obscura about its texts and images."""

    name = "guardrail"
    paths = ("/beta/litellm_basic_guardrail_api",)
    credential_headers = CREDENTIAL_HEADERS
    summary = "Check texts and images for another proxy (generic guardrail API)"
    request_schema = _GUARDRAIL_SCHEMA
    response_type = GuardrailView


FAMILY = Family(
    name="policy",
    scope=KeyScope.POLICY,
    free_tier=True,
    streams=True,
    dialects=(
        *(
            DialectEndpoint(
                PolicyDialect(load_dialect(name)), handle_policy_request, KeyScope.POLICY, handle_policy_dry_run
            )
            for name in names()
        ),
        DialectEndpoint(GuardrailContract(), handle_guardrail, KeyScope.POLICY, handle_guardrail),
    ),
)
