"""The carriers: every form in which an image, an address or a text may be written into a place."""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote_from_bytes

from tests.security.shapes.json_writer import Raw, escaped, write
from tests.security.shapes.plants import FILE_ID, IMAGE_URL, PHRASE, WORD, data_url, encoded, image, pdf, video, wave


@dataclass(frozen=True, slots=True)
class Carrier:
    """One form; ``group`` is image, document, clip, url, file, text or plain."""

    name: str
    group: str
    value: Raw


PLAIN = Carrier("plain", "plain", Raw('"hello there"'))


@cache
def carriers() -> tuple[Carrier, ...]:
    """Return all of them, the harmless text last."""
    return (*_images(), *_image_objects(), *_documents(), *_urls(), *_files(), *_texts(), PLAIN)


@cache
def chosen(*names: str) -> tuple[Carrier, ...]:
    """Return the carriers with these names, in this order."""
    by_name = {carrier.name: carrier for carrier in carriers()}
    return tuple(by_name[name] for name in names)


def _group(group: str, named: dict[str, Any]) -> Iterable[Carrier]:
    """Write each value once, here: a place is filled with the text."""
    return [Carrier(name, group, Raw(write(value))) for name, value in named.items()]


def _images() -> Iterable[Carrier]:
    png = image("PNG")
    text, large = encoded(png), image("PNG", 40)
    url = data_url(png, "image/png")
    return _group(
        "image",
        {
            "png_data_url": url,
            "jpeg_data_url": data_url(image("JPEG"), "image/jpeg"),
            "gif_data_url": data_url(image("GIF"), "image/gif"),
            "webp_data_url": data_url(image("WEBP"), "image/webp"),
            "data_url_of_text_type": data_url(png, "text/plain"),
            "data_url_in_capitals": url.replace("data:image/png;base64", "DATA:IMAGE/PNG;BASE64"),
            "data_url_after_space": " \t\n" + url,
            "data_url_with_parameters": url.replace(";base64", ";name=a;charset=x;base64"),
            "data_url_percent": "data:image/png," + quote_from_bytes(png, ""),
            "data_url_percent_base64": url.replace("/", "%2F").replace("+", "%2B"),
            "data_url_escaped": escaped(url),
            "data_url_escaped_solidus": Raw(json.dumps(url).replace("/", "\\/")),
            "data_url_in_prose": f"Look at this: {url} and say what it is.",
            "data_url_as_json": json.dumps({"image_url": {"url": url}}),
            "base64": text,
            "jpeg_base64": encoded(image("JPEG")),
            "gif_base64": encoded(image("GIF")),
            "webp_base64": encoded(image("WEBP")),
            "base64_url_alphabet": base64.urlsafe_b64encode(png).decode(),
            "base64_in_lines": "\r\n".join(text[at : at + 20] for at in range(0, len(text), 20)),
            "base64_with_spaces": " ".join(text[at : at + 7] for at in range(0, len(text), 7)),
            "base64_no_padding": text.rstrip("="),
            "base64_escaped": escaped(text),
            "base64_after_junk": "image/png " + text,
            "base64_of_base64": encoded(text.encode()),
            "large_base64": encoded(large),
            "large_percent": quote_from_bytes(large, ""),
            "large_hex": large.hex(),
            "large_integers": list(large),
            "small_hex": png.hex(),
            "small_percent": quote_from_bytes(png, ""),
            "small_integers": list(png),
        },
    )


def _image_objects() -> Iterable[Carrier]:
    text, url = encoded(image("PNG")), data_url(image("PNG"), "image/png")
    source = {"type": "base64", "media_type": "image/png", "data": text}
    return _group(
        "image",
        {
            "object_url": {"url": url},
            "object_data": {"data": text, "media_type": "image/png"},
            "object_source": source,
            "chat_part": {"type": "image_url", "image_url": {"url": url}},
            "chat_parts": [{"type": "image_url", "image_url": {"url": url}}],
            "messages_block": {"type": "image", "source": source},
            "messages_blocks": [{"type": "image", "source": source}],
            "responses_part": {"type": "input_image", "image_url": url},
            "responses_parts": [{"type": "input_image", "image_url": url}],
            "screenshot": {"type": "computer_screenshot", "image_url": url},
            "unknown_part": [{"type": "x_image", "x_data": text}],
            "mcp_content": [{"type": "image", "data": text, "mimeType": "image/png"}],
        },
    )


def _documents() -> Iterable[Carrier]:
    document, file_url = encoded(pdf()), data_url(pdf(), "application/pdf")
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><text>hello</text></svg>'
    source = {"type": "base64", "media_type": "application/pdf", "data": document}
    return [
        *_group(
            "document",
            {
                "pdf_base64": document,
                "pdf_data_url": file_url,
                "pdf_block": [{"type": "document", "source": source}],
                "pdf_part": [{"type": "input_file", "filename": "a.pdf", "file_data": file_url}],
                "svg_data_url": data_url(svg.encode(), "image/svg+xml"),
            },
        ),
        *_group(
            "clip",
            {
                "video_data_url": data_url(video(), "video/mp4"),
                "wave_base64": encoded(wave()),
                "wave_part": [{"type": "input_audio", "input_audio": {"data": encoded(wave()), "format": "wav"}}],
            },
        ),
    ]


def _urls() -> Iterable[Carrier]:
    rest = IMAGE_URL.removeprefix("https:")
    return _group(
        "url",
        {
            "https_url": IMAGE_URL,
            "http_url": f"http:{rest}",
            "https_url_in_capitals": f"HTTPS:{rest}",
            "https_url_after_space": f"\n {IMAGE_URL}",
            "https_url_escaped": escaped(IMAGE_URL),
            "ftp_url": f"ftp:{rest}",
            "file_url": "file:///etc/planted.png",
            "bucket_url": "s3://bucket/planted.png",
            "relative_url": rest,
            "url_object": {"url": IMAGE_URL},
            "url_source": {"type": "url", "url": IMAGE_URL},
            "url_chat_parts": [{"type": "image_url", "image_url": {"url": IMAGE_URL}}],
            "url_blocks": [{"type": "image", "source": {"type": "url", "url": IMAGE_URL}}],
            "url_file_parts": [{"type": "input_file", "file_url": IMAGE_URL}],
        },
    )


def _files() -> Iterable[Carrier]:
    return _group(
        "file",
        {
            "file_id": FILE_ID,
            "file_id_object": {"file_id": FILE_ID},
            "file_id_parts": [{"type": "input_image", "file_id": FILE_ID}],
            "file_id_source": {"type": "file", "file_id": FILE_ID},
            "file_id_blocks": [{"type": "document", "source": {"type": "file", "file_id": FILE_ID}}],
            "upload_blocks": [{"type": "container_upload", "file_id": FILE_ID}],
        },
    )


def _texts() -> Sequence[Carrier]:
    nested = f'{{"q": {escaped(PHRASE).text}}}'
    return list(
        _group(
            "text",
            {
                "phrase": PHRASE,
                "word": WORD,
                "phrase_escaped": escaped(PHRASE),
                "phrase_as_json": nested,
                "phrase_object": {"text": PHRASE},
                "phrase_list": [PHRASE],
                "phrase_key": {PHRASE: 1},
                "phrase_parts": [{"type": "text", "text": PHRASE}],
                "phrase_unknown_parts": [{"type": "x_text", "content": PHRASE}],
                "phrase_after_nul": f"\0{PHRASE}",
            },
        )
    )
