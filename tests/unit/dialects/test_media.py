"""Media are recognised by content, however they are encoded in a string."""

import base64
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from obscura.dialects.media import (
    MAX_RUN_CHARS,
    MediaKind,
    base64_kind,
    holds_data_url,
    holds_media,
    holds_numbered_media,
    is_opaque,
    leads_to_media,
    media_kind,
    token_holds_media,
)


def a_file(name: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, name)
    return file.getvalue()


FILES = {name: a_file(name) for name in ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "PDF")}
ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "base64": lambda data: base64.b64encode(data).decode(),
    "URL-safe": lambda data: base64.urlsafe_b64encode(data).decode(),
    "without padding": lambda data: base64.b64encode(data).decode().rstrip("="),
    "in lines": lambda data: base64.encodebytes(data).decode(),
    "in short lines": lambda data: "\r\n ".join(base64.b64encode(data).decode()[i : i + 3] for i in range(0, 200, 3)),
    "percent": lambda data: "".join(f"%{ord(char):02X}" for char in base64.b64encode(data).decode()),
    "in words": lambda data: f"image: {base64.b64encode(data).decode()}",
    "with junk": lambda data: "!*".join(base64.b64encode(data).decode()),
    "with spaces of no width": lambda data: "\u200b".join(base64.b64encode(data).decode()),
    "in UTF-16": lambda data: "\0".join(base64.b64encode(data).decode()),
    "in wide letters": lambda data: "".join(
        chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in base64.b64encode(data).decode()
    ),
    "hex": lambda data: data.hex(),
    "hex in pairs": lambda data: data.hex(" ").upper(),
    "escaped hex": lambda data: "".join(f"\\x{byte:02x}" for byte in data),
    "base32": lambda data: base64.b32encode(data).decode(),
    "base85": lambda data: base64.b85encode(data).decode(),
    "raw": lambda data: data.decode("latin-1"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", [name for name in FILES if name != "ICO"])
def test_a_file_is_recognised_in_every_encoding(name: str, encoding: str) -> None:
    assert holds_media(ENCODINGS[encoding](FILES[name]))


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_recognised_as_a_list_of_numbers(name: str) -> None:
    assert holds_numbered_media(json.dumps({"pixels": list(FILES[name])}).encode())


def test_a_long_list_of_numbers_is_taken_for_pixels() -> None:
    assert holds_numbered_media(json.dumps({"a": [[7, 7], [0.5] * MAX_RUN_CHARS]}).encode())
    assert not holds_numbered_media(json.dumps({"logit_bias": {str(i): -100 for i in range(5000)}}).encode())
    assert not holds_numbered_media(json.dumps({"bbox": [1, 2, 3, 4], "seeds": list(range(100))}).encode())


@pytest.mark.parametrize(
    "text",
    [
        *("https://example.com/a.png", "HTTP://x", "//example.com/a", "\t https://x/", "ftp://x/y", "s3://bucket/key"),
        *("file:///etc/passwd", "data:,x", "blob:x", "\\\\host\\share", "https%3A%2F%2Fexample.com%2Fa.png"),
        *("see data:image/png;base64,AAAA", "gs://b/k", "https:example.com"),
    ],
)
def test_a_url_leads_to_media(text: str) -> None:
    assert leads_to_media(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "high",
            "a/b",
            "gpt-4o",
            "see https://example.com for more",
            "data: a, b",
            "C:\\files",
            "1:2",
            "//"[:1],
        ),
        *("the ratio 16:9", "alpha//beta", "{{ messages }}"),
    ],
)
def test_plain_text_does_not_lead_to_media(text: str) -> None:
    assert not leads_to_media(text)
    assert not holds_media(text)


@given(
    st.lists(
        st.sampled_from(["the", "quick", "brown", "fox", "jumps", "over", "it", "again", "and", "again"]), min_size=1
    )
)
def test_sentences_are_no_media(words: list[str]) -> None:
    text = " ".join(words)

    assert not (holds_media(text) or leads_to_media(text) or holds_data_url(text) or is_opaque(text))


@given(st.text(max_size=300))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    for judge in (holds_media, leads_to_media, is_opaque, token_holds_media, base64_kind):
        judge(text)


def test_a_run_without_white_space_is_opaque_unless_it_is_a_script_without_spaces() -> None:
    assert is_opaque("a " + "Qx" * (MAX_RUN_CHARS // 2) + "Q")
    assert not is_opaque("word " * MAX_RUN_CHARS)
    assert not is_opaque("絵" * 2 * MAX_RUN_CHARS)


def test_the_smallest_gif_is_no_identifier() -> None:
    gif = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA=")

    assert token_holds_media(base64.b64encode(gif).decode().rstrip("="))
    assert token_holds_media(gif.hex())
    assert not token_holds_media("call_8f3a1c2b4d5e6f708192a3b4c5d6e7f8")
    assert not token_holds_media("chatcmpl-tool-0d3c5e1b2a4f")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (FILES["PNG"], MediaKind.IMAGE),
        (FILES["AVIF"], MediaKind.IMAGE),
        (FILES["BMP"], MediaKind.IMAGE),
        (b"\0\0\0\x18ftypheic", MediaKind.IMAGE),
        (b"\0\0\0\x18ftypisom", MediaKind.RECORDING),
        (b"RIFF\0\0\0\0WAVEfmt ", MediaKind.RECORDING),
        (b"ID3\4", MediaKind.RECORDING),
        (b"\xff\xfb\x90\x64", MediaKind.RECORDING),
        (FILES["PDF"], MediaKind.PDF),
        (b"PK\3\4", MediaKind.DOCUMENT),
        (b"BM is two letters of text", None),
        (b"plain", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_the_kind(data: bytes, kind: MediaKind | None) -> None:
    assert media_kind(data) is kind
