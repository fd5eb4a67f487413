"""How an operator's allowed origin is parsed."""

import pytest

from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from obscura.fetch.policy import Origin, parse_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://127.0.0.1:9000", Origin("http", "127.0.0.1", 9000)),
        ("https://images.internal", Origin("https", "images.internal", 443)),
        ("https://images.internal/", Origin("https", "images.internal", 443)),
        ("HTTP://LocalHost", Origin("http", "localhost", 80)),
        ("http://[::1]:9000", Origin("http", "::1", 9000)),
        ("https://[0:0::1]", Origin("https", "::1", 443)),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_maybe_a_port(text: str, origin: Origin) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "images.internal",
        "//images.internal",
        "https://",
        "https:///",
        "ftp://images.internal",
        "https://images.internal/path",
        "https://images.internal?query",
        "https://images.internal#fragment",
        "https://user:password@images.internal",
        "https://images.internal:",
        "https://images.internal:0",
        "https://images.internal:99999",
        "https://images.internal:https",
        "https://*.internal",
        "https://*",
        "https://images internal",
        " https://images.internal",
        "https://images.internal.",
        "https://127.1",
        "https://0x7f000001",
        "https://[::1",
        "https://[fe80::1%eth0]",
        "https://bücher.internal",
    ],
)
def test_a_malformed_origin_is_a_value_error_that_shows_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"an allowed origin is written as https://images\.internal"):
        parse_origin(text)


def test_the_fetcher_is_not_made_with_a_malformed_allowed_origin() -> None:
    with pytest.raises(ValueError, match="localhost"):
        GuardedFetcher(FetchLimits(), allowed_origins=["localhost:9000"])
