"""What the attackers send: small bodies that are dear to serve, large ones, and files; the slow ones are kept."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.gateway_load.requests import MODEL

PARTS = 16
"""The content parts that a message may have: fifteen costly ones, and the broken one that makes the request a 400."""
_RECIPE = 1  # part of the file names: raise it when a body changes
_BROKEN = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


def small_image() -> bytes:
    """Return the ordinary caller's image: a PNG of 64 x 64 pixels."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(out, "PNG")
    return out.getvalue()


def chat(content: object, **fields: object) -> bytes:
    """Return a chat request with one message."""
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}).encode()


def image_part(url: str) -> dict[str, object]:
    """Return a content part of chat completions."""
    return {"type": "image_url", "image_url": {"url": url}}


def data_url(image: bytes, media_type: str) -> str:
    """Return an image or a document as a data URL."""
    return f"data:{media_type};base64,{base64.b64encode(image).decode()}"


def one_colour_webps(folder: Path) -> bytes:
    """Fifteen WEBPs of 5000 x 5000 pixels and one colour, and a broken PNG: about 22 KB."""
    part = image_part(data_url(_kept(folder, "webp", _one_colour_webp), "image/webp"))
    return chat([part] * (PARTS - 1) + [image_part(_BROKEN)])


def one_colour_webps_to_count(folder: Path) -> bytes:
    """The same in Messages, for ``count_tokens``."""
    encoded = base64.b64encode(_kept(folder, "webp", _one_colour_webp)).decode()
    broken = _source("image/png", _BROKEN.partition(",")[2])
    parts = [_source("image/webp", encoded)] * (PARTS - 1) + [broken]
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": parts}]}).encode()


def bombs(folder: Path) -> bytes:
    """Three PNGs of 64 Mpx whose pixels are one byte again and again, and a broken one."""
    part = image_part(data_url(_kept(folder, "bomb", lambda: _flat_png(8000, 8000)), "image/png"))
    return chat([part] * 3 + [image_part(_BROKEN)])


def document(folder: Path) -> bytes:
    """A PDF of sixteen pages, as many as a request may have images, each with 20,000 rectangles."""
    pdf = _kept(folder, "pdf-16", lambda: _pdf(pages=16, rectangles=20_000))
    return chat([{"type": "file", "file": {"file_data": data_url(pdf, "application/pdf"), "filename": "a.pdf"}}])


def small_turns() -> bytes:
    """Many messages of one letter: 3.3 MB."""
    turn = b'{"role":"user","content":"a"}'
    return b'{"model":"%b","messages":[%b]}' % (MODEL.encode(), b",".join([turn] * (3_300_000 // (len(turn) + 1))))


def deep_json() -> bytes:
    """A megabyte of brackets that open."""
    return b'{"model":"%b","messages":%b' % (MODEL.encode(), b"[" * 1_000_000)


def many_values() -> bytes:
    """An unknown field of 390,000 numbers: 3.9 MB, below the limit of values."""
    numbers = b",".join(b"%d" % (100_000_000 + index) for index in range(390_000))
    return chat("hi")[:-1] + b',"metadata":[%b]}' % numbers


def fetches(image_url: str) -> bytes:
    """Fifteen image URLs that differ, and a broken image: the gateway fetches, and the request is a 400."""
    parts = [image_part(f"{image_url}?{index}") for index in range(PARTS - 1)]
    return chat([*parts, image_part(_BROKEN)])


def upload() -> tuple[str, bytes]:
    """Return a form's content type and its body with a file of 5 MB that is a PNG by its first bytes and its size."""
    boundary = "attack"
    head = 'Content-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = b"".join(
        (
            f"--{boundary}\r\n{head.format('purpose', '')}vision\r\n".encode(),
            f"--{boundary}\r\n{head.format('file', '; filename="a.png"')}".encode(),
            _flat_png(1200, 1200, level=0),
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
    return f"multipart/form-data; boundary={boundary}", body


def _kept(folder: Path, name: str, make: Callable[[], bytes]) -> bytes:
    path = folder / f"attack-{name}-{_RECIPE}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
    return path.read_bytes()


def _source(media_type: str, encoded: str) -> dict[str, object]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": encoded}}


def _one_colour_webp() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (5000, 5000), (200, 30, 40)).save(out, "WEBP", lossless=True, quality=100)
    return out.getvalue()


def _flat_png(width_px: int, height_px: int, level: int = 9) -> bytes:
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * 3 * width_px) * height_px, level)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _pdf(pages: int, rectangles: int) -> bytes:
    drawn = b"".join(b"%d %d 9 9 re f\n" % (at * 7 % 590, at * 11 % 830) for at in range(rectangles))
    content = zlib.compress(drawn)
    objects = [b"<</Type/Catalog/Pages 2 0 R>>"]
    kids = b" ".join(b"%d 0 R" % (4 + index) for index in range(pages))
    objects.append(b"<</Type/Pages/Kids [%b]/Count %d>>" % (kids, pages))
    objects.append(b"<</Length %d/Filter/FlateDecode>>\nstream\n%b\nendstream" % (len(content), content))
    objects += [b"<</Type/Page/Parent 2 0 R/MediaBox [0 0 595 842]/Contents 3 0 R>>"] * pages
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table_at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, table_at))
