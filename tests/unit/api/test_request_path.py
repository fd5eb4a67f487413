"""Paths: decoded once, and never routed by a slash that was encoded."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis.strategies import text

from obscura.api.request_path import decode_parameter, decode_path


@pytest.mark.parametrize(
    ("sent", "routed"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/%63hat/completions", "/v1/chat/completions"),
        ("/v1%2Fchat%2fcompletions", "/v1%2Fchat%2fcompletions"),
        ("/v1%5Cchat%5ccompletions", "/v1%5Cchat%5ccompletions"),
        ("/v1%252Fchat", "/v1%252Fchat"),
        ("/v1/%C3%A9", "/v1/é"),
        ("/v1/%ff", "/v1/�"),
        ("/v1/100%", "/v1/100%"),
    ],
)
def test_what_is_decoded_is_no_separator(sent: str, routed: str) -> None:
    assert decode_path(sent) == routed


@given(text())
def test_a_parameter_arrives_as_it_was_encoded(parameter: str) -> None:
    encoded = quote(parameter.encode(errors="replace"), safe="")

    assert decode_parameter(decode_path(encoded)) == parameter.encode(errors="replace").decode()
    assert "/" not in decode_path(encoded)
