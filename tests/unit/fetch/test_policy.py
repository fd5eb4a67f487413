"""Which origins are fetched, and the bounds of a host, a port and a URL, each at its edge."""

import pytest

from obscura.errors import InvalidImageUrl, UnsafeImageUrl
from obscura.fetch.errors import FetchRejected
from obscura.fetch.policy import ImageUrl, Origin, is_disguised_address, parse_image_url, require_allowed

LABEL_OF_63 = "a" * 63
NAME_OF_253 = f"{LABEL_OF_63}.{LABEL_OF_63}.{LABEL_OF_63}.{'b' * 61}"
MAX_URL_LENGTH = 8192


def url(text: str) -> ImageUrl:
    return parse_image_url(text)


def rejected_as(text: str, allowed: frozenset[Origin] = frozenset()) -> tuple[type[Exception], str]:
    with pytest.raises(FetchRejected) as rejected:
        require_allowed(url(text), allowed)
    return rejected.value.error, rejected.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a.png",
        "https://1.1.1.1/a.png",
        "https://[2606:4700:4700::1111]/a.png",
        "https://mylocalhost/a.png",
        "https://internal.example.com/a.png",
        "https://notlocal/a.png",
        "https://7up.example/a.png",
        "https://example.com:443/a.png",
    ],
)
def test_https_to_a_host_that_may_be_public_is_allowed(text: str) -> None:
    require_allowed(url(text), frozenset())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://127.1/", "not written as four decimal numbers"),
        ("https://2130706433/", "not written as four decimal numbers"),
        ("https://0x7f.1/", "not written as four decimal numbers"),
        ("https://1.2.3.4.5/", "not written as four decimal numbers"),
        ("https://127.0.0.1/", "not of the public internet"),
        ("http://127.0.0.1/", "not of the public internet"),
        ("https://[::1]/", "not of the public internet"),
        ("https://169.254.169.254/", "not of the public internet"),
        ("https://localhost/", "local networks"),
        ("https://a.localhost/", "local networks"),
        ("https://local/", "local networks"),
        ("https://printer.local/", "local networks"),
        ("https://metadata.google.internal/", "local networks"),
        ("https://nas.home.arpa/", "local networks"),
        ("https://a.localdomain/", "local networks"),
        ("https://example.com:80/", "port other than 443"),
        ("https://example.com:442/", "port other than 443"),
        ("https://example.com:444/", "port other than 443"),
    ],
)
def test_an_origin_that_may_be_inside_is_unsafe(text: str, reason: str) -> None:
    error, said = rejected_as(text)

    assert error is UnsafeImageUrl
    assert reason in said


@pytest.mark.parametrize(
    "text", ["http://example.com/", "ftp://example.com/", "//example.com/", "http://example.com:443/"]
)
def test_another_scheme_is_invalid(text: str) -> None:
    error, reason = rejected_as(text)

    assert error is InvalidImageUrl
    assert "https://, the only scheme" in reason


def test_an_allowed_origin_is_exempt_and_its_neighbours_are_not() -> None:
    allowed = frozenset({Origin("http", "127.0.0.1", 9000)})

    require_allowed(url("http://127.0.0.1:9000/a.png"), allowed)

    assert rejected_as("http://127.0.0.1:9001/a.png", allowed)[0] is UnsafeImageUrl
    assert rejected_as("https://127.0.0.1:9000/a.png", allowed)[0] is UnsafeImageUrl


@pytest.mark.parametrize(
    ("host", "disguised"),
    [
        ("127.0.0.1", False),
        ("example.com", False),
        ("0x7f000001", True),
        ("0x", True),
        ("127.1", True),
        ("0177.0.0.1", True),
        ("a.0x10", True),
        ("a.b7", False),
        ("::1", False),
        ("::10", False),
    ],
)
def test_a_host_that_ends_in_a_number_and_is_no_dotted_quad_is_disguised(host: str, disguised: bool) -> None:
    assert is_disguised_address(host) is disguised


def test_a_label_of_63_and_a_name_of_253_letters_are_taken() -> None:
    assert len(NAME_OF_253) == 253
    assert url(f"https://{NAME_OF_253}/").origin.host == NAME_OF_253
    assert url(f"https://{LABEL_OF_63}.com/").origin.host == f"{LABEL_OF_63}.com"


@pytest.mark.parametrize("host", [f"a{LABEL_OF_63}.com", f"c{NAME_OF_253}", "a" * 64, f"{'ab.' * 84}abc"])
def test_a_longer_label_or_name_is_rejected(host: str) -> None:
    with pytest.raises(FetchRejected, match="longer than DNS allows"):
        url(f"https://{host}/")


@pytest.mark.parametrize(("port", "expected"), [("1", 1), ("65535", 65535)])
def test_the_first_and_the_last_port_are_taken(port: str, expected: int) -> None:
    assert url(f"https://example.com:{port}/").origin.port == expected


@pytest.mark.parametrize("port", ["0", "65536", "99999", "00443", "443x", "", "-1", "100000"])
def test_a_port_outside_of_1_to_65535_is_rejected(port: str) -> None:
    with pytest.raises(FetchRejected, match="no port number from 1 to 65535"):
        url(f"https://example.com:{port}/")


def test_a_url_of_8192_characters_is_taken_and_one_more_is_not() -> None:
    start = "https://example.com/"
    longest = start + "a" * (MAX_URL_LENGTH - len(start))

    assert url(longest).target == "/" + "a" * (MAX_URL_LENGTH - len(start))
    with pytest.raises(FetchRejected, match="longer than 8192 characters, the limit"):
        url(longest + "a")


def test_a_target_may_be_8192_characters_when_it_is_percent_encoded() -> None:
    fits = "é" * 1365 + "a"  # each is six characters: %C3%A9

    assert len(url(f"https://example.com/{fits}").target) == MAX_URL_LENGTH
    with pytest.raises(FetchRejected, match="when percent-encoded"):
        url(f"https://example.com/{fits}a")


@pytest.mark.parametrize("text", ["https://example.com/\ud800", "https://example.com/?\udfff"])
def test_half_of_a_surrogate_pair_is_rejected(text: str) -> None:
    with pytest.raises(FetchRejected, match="half of a surrogate pair"):
        url(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https:///a.png", "names no host"),
        ("https://:443/", "names no host"),
        ("https://user@example.com/", "user name or password"),
        ("https://exam%70le.com/", "has a % before its path"),
        ("https://b\u00fccher.example/", "punycode"),
        ("https://a..b/", "two in a row"),
        ("https://.example.com/", "begins or ends with a dot"),
        ("https://example.com./", "begins or ends with a dot"),
        ("https://-a.example/", "other than letters, digits, hyphens and dots"),
        ("https://a-.example/", "other than letters, digits, hyphens and dots"),
        ("https://[::1/", "malformed IPv6"),
        ("https://[::1]a/", "malformed IPv6"),
        ("https://[1.2.3.4]/", "malformed IPv6"),
        ("example.com/a.png", "not an absolute https:// URL"),
        ("https:/example.com", "not an absolute https:// URL"),
    ],
)
def test_a_spelling_that_parsers_disagree_about_is_rejected(text: str, reason: str) -> None:
    with pytest.raises(FetchRejected) as rejected:
        url(text)

    assert rejected.value.error is InvalidImageUrl
    assert reason in f"{rejected.value.reason}; {rejected.value.hint}"
