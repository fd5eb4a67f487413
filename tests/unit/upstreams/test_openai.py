"""The errors of OpenAI-compatible upstreams, and the errors of the gateway that they become."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import ObscuraError
from obscura.masking import MAX_MESSAGE_CHARS
from obscura.upstreams.openai import error_from_upstream, retry_after_s
from tests.support.json_texts import styles, values, written

BODY = {"error": {"message": "max_tokens is too large", "type": "x", "param": "max_tokens", "code": "y"}}


def error_of(status: int, body: object = BODY, **headers: str) -> ObscuraError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_upstream(status, raw, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "invalid_request"), (404, "model_not_found"), (413, "request_too_large"), (422, "invalid_request")],
)
def test_an_error_about_the_request_keeps_status_message_and_param(status: int, code: str) -> None:
    error = error_of(status)

    assert (error.response_status, error.code) == (status, code)
    assert (error.message, error.param) == ("max_tokens is too large", "max_tokens")


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (401, 502, "upstream_error"),
        (403, 502, "upstream_error"),
        (408, 504, "upstream_timeout"),
        (409, 502, "upstream_error"),
        (418, 502, "upstream_error"),
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "upstream_error"),
        (502, 502, "upstream_error"),
        (503, 502, "upstream_error"),
        (504, 504, "upstream_timeout"),
        (529, 503, "upstream_unavailable"),
        (100, 502, "upstream_error"),
        (201, 502, "upstream_error"),
        (204, 502, "upstream_error"),
        (302, 502, "upstream_error"),
        (999, 502, "upstream_error"),
    ],
)
def test_every_other_error_has_a_status_and_a_message_of_the_gateways(status: int, expected: int, code: str) -> None:
    error = error_of(status)

    assert (error.response_status, error.code) == (expected, code)
    assert "max_tokens" not in error.message


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 429, 500, 503, 504, 529])
def test_an_error_keeps_code_type_param_and_details(status: int) -> None:
    body = {"error": BODY["error"] | {"type": "some_error", "details": {"error_code": "z", "host": "10.0.0.1"}}}

    error = error_of(status, body)

    assert (error.response_code, error.response_type, error.param) == ("y", "some_error", "max_tokens")
    assert error.details == {"error_code": "z", "host": "[masked]"}


@pytest.mark.parametrize("status", [401, 403])
def test_the_operators_credentials_are_no_matter_of_the_callers(status: int) -> None:
    error = error_of(status)

    assert (error.response_code, error.response_type, error.param) == ("upstream_error", None, None)
    assert "max_tokens" not in error.message


@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [
        (402, None, "upstream_billing"),
        (402, "no_credit", "no_credit"),
        (429, "insufficient_quota", "insufficient_quota"),
        (403, "insufficient_quota", "insufficient_quota"),
    ],
)
def test_a_bill_keeps_its_status_and_is_not_to_be_tried_again(status: int, code: str | None, shown: str) -> None:
    error = error_of(status, {"error": {"message": "no credit", "code": code}}, retry_after="9")

    assert (error.response_status, error.code, error.response_code) == (status, "upstream_billing", shown)
    assert (error.retry_after_s, error.headers) == (None, {"x-should-retry": "false"})
    assert "no credit" in error.message


@pytest.mark.parametrize(
    "code", [400, "400", "", "a b", "x" * 65, "sk-live-AAAABBBBCCCC", "10.0.0.1", None, {}, ["y"]], ids=str
)
def test_a_code_that_is_no_name_is_not_passed_on(code: object) -> None:
    error = error_of(400, {"error": {"message": "m", "code": code, "type": code}})

    assert (error.response_code, error.response_type) == ("invalid_request", None)


@pytest.mark.parametrize("details", [{"a": "x " * 9_000}, "[" * 5_000])
def test_details_are_short(details: object) -> None:
    raw = json.dumps({"error": {"message": "m", "details": details}})

    assert len(json.dumps(error_of(400, raw.encode()).details)) < 4_100


def test_keys_of_details_are_masked_too() -> None:
    error = error_of(400, {"error": {"message": "m", "details": {"sk-live-AAAABBBBCCCC": 1}}})

    assert error.details == {"[masked]": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "no such thing"}, "no such thing"),
        ({"object": "error", "message": "no such thing", "type": "BadRequestError", "code": 400}, "no such thing"),
        ({"detail": "no such thing"}, "no such thing"),
        ({"error": {"message": "no such thing", "code": 400}}, "no such thing"),
        ({"error": {"message": "no such thing", "param": None}}, "no such thing"),
    ],
)
def test_the_message_is_found_in_every_format_that_upstreams_use(body: dict, message: str) -> None:
    assert error_of(400, body).message == message


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"null", b"[]", b'{"error":', {}, {"error": None}, {"error": {}}, {"error": [1]}],
    ids=str,
)
def test_an_error_without_a_message_names_its_status(body: object) -> None:
    error = error_of(422, body)

    assert error.message == "The upstream rejected the request (status 422)."
    assert error.response_status == 422


def test_a_long_message_is_cut() -> None:
    assert len(error_of(400, {"error": {"message": "x" * 100_000}}).message) == MAX_MESSAGE_CHARS


@pytest.mark.parametrize("depth", [1_000, 200_000])
def test_a_body_nested_too_deeply_is_ignored(depth: int) -> None:
    body = b'{"x":' + b"[" * depth + b"]" * depth + b"}"

    assert error_of(400, body).message == "The upstream rejected the request (status 400)."


@given(st.sampled_from([400, 404, 413, 422, 429, 500]), values, styles)
def test_any_json_becomes_an_error_of_the_gateway(status: int, value: object, style: Random) -> None:
    error = error_of(status, written({"error": value}, style).encode())

    assert isinstance(error, ObscuraError)
    assert error.message


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("17", 17),
        (" 17 ", 17),
        ("0", 1),
        ("", 1),
        ("-3", 1),
        ("1.5", 1),
        ("٣", 1),
        ("9" * 30, 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
    ],
)
def test_a_rate_limit_always_has_a_retry_after(retry_after: str, seconds: int) -> None:
    assert error_of(429, retry_after=retry_after).retry_after_s == seconds


def test_a_missing_retry_after_is_none() -> None:
    assert retry_after_s({}) is None
    assert error_of(429).retry_after_s == 1
