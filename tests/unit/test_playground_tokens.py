"""The playground's token counts and formats beside those of ``obscura.imaging``, in Node."""

import base64
import json
import random
import subprocess
from pathlib import Path

from obscura import pages
from obscura.imaging import Detail, ImageError, TokenProfile, image_tokens
from obscura.imaging.detect import detect_format
from obscura.imaging.formats import FORMATS
from obscura.pages.local_checks import local_checks
from obscura.settings import Settings
from tests.unit.imaging.images import a_photograph

PLAYGROUND = Path(pages.__path__[0]) / "playground"


def node(script: str, stdin: object, tmp_path: Path) -> object:
    """Run a module script beside copies of the playground's modules; return the JSON that it prints."""
    for module in ("tokens.js", "formats.js", "checks.js"):
        (tmp_path / module).write_text((PLAYGROUND / module).read_text())
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "main.js").write_text(script)
    (tmp_path / "input.json").write_text(json.dumps(stdin))
    process = subprocess.run(["node", "main.js"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
    return json.loads(process.stdout)


def test_the_page_counts_the_same_tokens(tmp_path: Path) -> None:
    sides = random.Random(1)  # noqa: S311 the same sizes at each run
    sizes = [(sides.randint(1, 5000), sides.randint(1, 5000)) for _ in range(2000)]
    sizes = [(w, h) for w, h in sizes if max(w, h) <= 200 * min(w, h)] + [(14, 42), (28, 28), (70, 98), (1800, 2400)]
    cases = [
        (width, height, profile.value, detail.value, factor)
        for width, height in sizes
        for profile, factor in (
            (TokenProfile.QWEN, 1.0),
            (TokenProfile.OPENAI_TILES, 1.0),
            (TokenProfile.OPENAI_PATCHES, 1.62),
            (TokenProfile.ANTHROPIC, 1.0),
        )
        for detail in (Detail.LOW, Detail.HIGH)
    ]
    script = (
        'import { readFileSync } from "node:fs"; import { imageTokens } from "./tokens.js";'
        'console.log(JSON.stringify(JSON.parse(readFileSync("input.json")).map((one) => imageTokens(...one))))'
    )

    expected = [
        image_tokens(w, h, TokenProfile(profile), Detail(detail), factor) for w, h, profile, detail, factor in cases
    ]
    assert node(script, cases, tmp_path) == expected


def test_the_page_detects_the_same_formats(tmp_path: Path) -> None:
    files = {name: a_photograph(40, 30, name) for name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")}
    files |= {
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "mp4": b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        "psd": b"8BPS" + bytes(60),
        "svg": b"  <svg xmlns='x'></svg> and more",
        "html": b"<!doctype html><html></html>",
        "text": b"some words, no image",
        "tiff": b"MM\0*" + bytes(60),
        "ico": b"\0\0\1\0" + bytes(60),
    }
    script = (
        'import { readFileSync } from "node:fs"; import { detect } from "./formats.js";'
        'const { files, checks } = JSON.parse(readFileSync("input.json"));'
        'console.log(JSON.stringify(files.map((one) => detect(new Uint8Array(Buffer.from(one, "base64")), checks))))'
    )
    encoded = [base64.b64encode(data).decode() for data in files.values()]
    found = node(script, {"files": encoded, "checks": local_checks(Settings())}, tmp_path)

    assert isinstance(found, list)
    for name, data, one in zip(files, files.values(), found, strict=True):
        try:
            expected = {"name": detect_format(data).name}
        except ImageError as error:
            subject = error.message.split(" is not supported")[0]
            expected = {} if "not an image of a known format" in error.message else {"unsupported": subject}
        assert one == expected, name
    assert {one["name"] for one in found if "name" in one} == set(FORMATS)
