"""Every error renders with its status and code, in OpenAI's format and in Anthropic's."""

import inspect
import json

import pytest

from obscura import errors
from obscura.api import methods
from obscura.dialects.chat.events import error_event
from obscura.dialects.chat.request import ChatDialect
from obscura.dialects.errors import anthropic_error, openai_error
from obscura.dialects.messages.events import error_event as messages_error_event
from obscura.dialects.messages.request import MessagesDialect
from obscura.errors import ModerationBlocked, ObscuraError
from obscura.policy import errors as policy_errors

# The design's table: the codes of each status.
CODES = {
    400: "invalid_json invalid_request unsupported_field unsupported_image_format invalid_image image_too_large "
    "image_too_many_pixels unsupported_image_dimensions too_many_images too_many_content_parts too_many_items "
    "too_many_pixels "
    "document_too_large invalid_document invalid_image_url "
    "unsafe_image_url image_fetch_failed policy_blocked moderation_blocked video_anon_blocked unsupported_operation "
    "retention_conflict",
    401: "missing_credentials invalid_api_key invalid_token",
    402: "upstream_billing",
    403: "permission_denied",
    404: "model_not_found file_not_found policy_not_found response_not_found not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    412: "version_conflict",
    413: "request_too_large",
    429: "free_tier_exhausted rate_limit_exceeded quota_exceeded",
    500: "internal_error",
    502: "upstream_error",
    503: "moderation_unavailable upstream_unavailable overloaded",
    504: "upstream_timeout",
    507: "storage_full",
}
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    412: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    507: "api_error",
}
TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
CLASSES = [
    kind
    for module in (errors, methods, policy_errors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, ObscuraError) and kind is not ObscuraError
]


def an_error(kind: type[ObscuraError]) -> ObscuraError:
    if kind is ModerationBlocked:
        return ModerationBlocked("Why not.", category="violence", param="messages[0]")
    return kind("Why not.", param="messages[0]")


def test_the_error_classes_are_those_of_the_designs_table() -> None:
    assert {(kind.status, kind.code) for kind in CLASSES} == {
        (status, code) for status, codes in CODES.items() for code in codes.split()
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_renders_its_code_message_type_and_param(kind: type[ObscuraError]) -> None:
    response = json.loads(openai_error(an_error(kind)))["error"]

    category = {"category": "violence"} if kind is ModerationBlocked else {}
    default = "server_error" if kind.status >= 500 else "invalid_request_error"
    assert (
        response
        == {
            "message": "Why not.",
            "type": TYPES.get(kind.status, default),
            "param": "messages[0]",
            "code": kind.code,
        }
        | category
    )


def test_an_error_without_a_param_has_a_null_one() -> None:
    assert json.loads(openai_error(errors.NotFound("Nothing here.")))["error"]["param"] is None


def test_an_error_that_ends_a_chat_stream_is_one_event() -> None:
    error = an_error(errors.UpstreamTimeout)

    event = error_event(error, "req_1")

    assert event == b"data: " + ChatDialect().render_error(error, "req_1") + b"\n\n"
    assert event.count(b"\n") == 2


def test_an_error_message_with_line_ends_stays_one_line() -> None:
    event = error_event(errors.UpstreamError('a\n"b"\r\n\ndata: x'), "req_1")

    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: "))["error"]["message"] == 'a\n"b"\r\n\ndata: x'


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_renders_in_anthropics_format_with_our_code(kind: type[ObscuraError]) -> None:
    response = json.loads(anthropic_error(an_error(kind), "req_1"))

    category = {"category": "violence"} if kind is ModerationBlocked else {}
    error = {"type": ANTHROPIC_TYPES[kind.status], "message": "Why not.", "code": kind.code, "param": "messages[0]"}
    assert response == {"type": "error", "error": error | category, "request_id": "req_1"}


@pytest.mark.parametrize(("status", "kind"), [(405, "invalid_request_error"), (422, "invalid_request_error")])
def test_a_status_without_a_type_of_its_own_is_an_invalid_request(status: int, kind: str) -> None:
    error = errors.InvalidRequest("Why not.")
    error.response_status = status

    assert json.loads(anthropic_error(error, "req_1"))["error"]["type"] == kind


def test_anthropics_format_leaves_out_an_absent_param() -> None:
    assert "param" not in json.loads(anthropic_error(errors.NotFound("Nothing here."), "req_1"))["error"]


def test_an_error_that_ends_a_messages_stream_is_one_named_event() -> None:
    error = errors.UpstreamError('a\n"b"\r\n\ndata: x')

    event = messages_error_event(error, "req_1")

    assert event == b"event: error\ndata: " + MessagesDialect().render_error(error, "req_1") + b"\n\n"
    assert event.count(b"\n") == 3


def test_an_upstreams_names_and_details_stand_in_both_formats() -> None:
    error = errors.InvalidRequest("Why not.")
    error.response_code, error.response_type = "context_length_exceeded", "BadRequestError"
    error.details = {"tokens": [1, 2]}

    openai = json.loads(openai_error(error))["error"]
    anthropic = json.loads(anthropic_error(error, "req_1"))["error"]

    assert (openai["code"], openai["type"]) == ("context_length_exceeded", "BadRequestError")
    assert (anthropic["code"], anthropic["type"]) == ("context_length_exceeded", "invalid_request_error")
    assert openai["details"] == anthropic["details"] == {"tokens": [1, 2]}


@pytest.mark.parametrize(
    ("param", "is_thread"), [("thread", True), ("thread.previous_message_id", True), ("threads", False)]
)
def test_a_refused_thread_says_so_to_anthropics_sdks(param: str, is_thread: bool) -> None:
    error = json.loads(anthropic_error(errors.UnsupportedField("No.", param=param), "req_1"))["error"]

    details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert error.get("details") == (details if is_thread else None)
