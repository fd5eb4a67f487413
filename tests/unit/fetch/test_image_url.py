"""How an image URL is parsed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import InvalidImageUrl
from obscura.fetch.errors import FetchRejected
from obscura.fetch.policy import ImageUrl, Origin, parse_image_url, resolve_redirect


@pytest.mark.parametrize(
    ("text", "host", "target"),
    [
        ("https://example.com", "example.com", "/"),
        ("https://example.com/", "example.com", "/"),
        ("https://example.com?width=1", "example.com", "/?width=1"),
        ("https://example.com#top", "example.com", "/"),
        ("https://example.com/a.png?x=1&y=%20#frag", "example.com", "/a.png?x=1&y=%20"),
        ("https://example.com:443/a.png", "example.com", "/a.png"),
        ("HTTPS://EXAMPLE.COM/A.png", "example.com", "/A.png"),
        ("https://example.com/a@b:c/d", "example.com", "/a@b:c/d"),
        ("https://example.com//a//b", "example.com", "//a//b"),
        ("https://example.com/?next=https://127.0.0.1/", "example.com", "/?next=https://127.0.0.1/"),
        ("https://my_bucket.s3.amazonaws.com/a", "my_bucket.s3.amazonaws.com", "/a"),
        ("https://xn--bcher-kva.example/a", "xn--bcher-kva.example", "/a"),
        ("https://example.com/bücher/図.png", "example.com", "/b%C3%BCcher/%E5%9B%B3.png"),
        ("https://example.com/?q=é", "example.com", "/?q=%C3%A9"),
        ("https://example.com/{a}|b^c`<d>\"e'", "example.com", "/%7Ba%7D%7Cb%5Ec%60%3Cd%3E%22e'"),
        ("https://example.com/100%/%zz", "example.com", "/100%/%zz"),
        ("https://1.1.1.1/a", "1.1.1.1", "/a"),
        ("https://[2606:4700:4700:0::1111]/a", "2606:4700:4700::1111", "/a"),
    ],
)
def test_a_well_formed_url_is_parsed(text: str, host: str, target: str) -> None:
    assert parse_image_url(text) == ImageUrl(Origin("https", host, 443), target)


def test_a_scheme_without_a_default_port_has_port_0() -> None:
    assert parse_image_url("ftp://example.com/a.png").origin == Origin("ftp", "example.com", 0)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com:443", "example.com"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://example.com:80", "example.com"),
        ("http://example.com:443", "example.com:443"),
        ("http://[::1]:9000", "[::1]:9000"),
    ],
)
def test_the_host_header_has_the_port_unless_it_is_the_schemes_default(authority: str, expected: str) -> None:
    assert parse_image_url(f"{authority}/a.png").origin.authority == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"b.png", "https://example.com/dir/b.png"),
        (b"../b.png", "https://example.com/b.png"),
        (b"/b.png", "https://example.com/b.png"),
        (b"?c=2", "https://example.com/dir/a.png?c=2"),
        (b"", "https://example.com/dir/a.png?x=1"),
        (b"//other.example/b", "https://other.example/b"),
        (b"https://other.example/b", "https://other.example/b"),
        (b"http://other.example/b", "http://other.example/b"),
        ("/ü".encode(), "https://example.com/%C3%BC"),
    ],
)
def test_a_location_is_resolved_against_the_url_that_redirected(location: bytes, expected: str) -> None:
    base = parse_image_url("https://example.com/dir/a.png?x=1")

    assert resolve_redirect(base, location) == parse_image_url(expected)


@pytest.mark.parametrize(
    "location", [b"/..//other.example/b", b"..//../other.example/b", b"./@other.example", b"?//x@y"]
)
def test_a_relative_location_never_leaves_its_host(location: bytes) -> None:
    base = parse_image_url("https://example.com/dir/a.png")

    assert resolve_redirect(base, location).origin == base.origin


@pytest.mark.parametrize(
    "location",
    [b"https:b.png", b"///b", b"//", b"/\\b", b"\thttps://b", b"/a b", b"/\xff", b"//user@b/", b"data:image/png,x"],
)
def test_an_odd_location_is_rejected(location: bytes) -> None:
    base = parse_image_url("https://example.com/dir/a.png")

    with pytest.raises(FetchRejected) as rejected:
        resolve_redirect(base, location)

    assert rejected.value.error is InvalidImageUrl


@given(st.text())
def test_text_after_the_host_is_rejected_or_stays_after_it(text: str) -> None:
    try:
        url = parse_image_url(f"https://example.com/{text}")
    except FetchRejected:
        return

    assert url.origin == Origin("https", "example.com", 443)
    assert url.target.startswith("/")
    assert all(0x21 <= ord(character) <= 0x7E for character in url.target)


@given(st.text(alphabet="a1.:@[]/\\%-_#?\u3002\uff0e \t\n0x", max_size=20))
def test_an_accepted_host_has_only_the_characters_of_hosts(authority: str) -> None:
    try:
        url = parse_image_url(f"https://{authority}")
    except FetchRejected:
        return

    assert url.origin.host
    assert set(url.origin.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_:")
    assert authority.lower().startswith(url.origin.host) or authority.startswith("[")
