"""The guide says what the code does: every figure moves with its constant, and the examples run as they stand."""

import asyncio
import os
import re
from dataclasses import replace
from html import unescape

import httpx
import pytest

from obscura import errors
from obscura.api import vision_guide
from obscura.api.guide_examples import EXAMPLES
from obscura.api.vision_guide import PATH, render_guide
from obscura.dialects.base import ContentLimits
from obscura.dialects.registry import load_dialect, names
from obscura.documents.base import DocumentLimits
from obscura.imaging import Detail, ImageLimits
from obscura.imaging.formats import FORMATS
from obscura.imaging.tokens import RULE_CONSTANTS, TokenProfile
from obscura.pipeline.services import RequestLimits
from tests.support.gateway import Gateway

CODES = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}


def guide(limits: RequestLimits | None = None, *, moderated: bool = True) -> str:
    page, _ = render_guide(limits or RequestLimits(), moderated=moderated)
    return page


@pytest.mark.gateway(max_images=7, max_image_bytes=3 * 2**20)
async def test_the_guide_needs_no_credential_and_has_this_deployments_limits(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as anonymous:
        response = await anonymous.get(PATH)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert '<td data-title="Limit">7</td>' in response.text
    assert '<td data-title="Limit">3 MiB</td>' in response.text
    assert "'sha256-" in response.headers["content-security-policy"]


def test_every_format_error_and_dialect_is_in_the_guide() -> None:
    page = guide()

    for known in FORMATS.values():
        assert (f"<code>{known.media_type}</code>" in page) == known.is_available
    for code in CODES:
        assert f"<code>{code}</code>" in page
    assert EXAMPLES.keys() == set(names())
    for name in names():
        assert f"POST {load_dialect(name).paths[0]}<" in page


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        (RequestLimits(body_bytes=5 * 2**20), "5 MiB"),
        (RequestLimits(pixels=3_000_000), "3 megapixels"),
        (RequestLimits(text_chars=1234), "1,234"),
        (RequestLimits(content=ContentLimits(images=1235)), "1,235"),
        (RequestLimits(content=ContentLimits(content_parts=1236)), "1,236"),
        (RequestLimits(image=ImageLimits(raw_bytes=6 * 2**20)), "6 MiB"),
        (RequestLimits(image=ImageLimits(pixels=2_500_000)), "2.5 megapixels"),
        (RequestLimits(image=ImageLimits(aspect_ratio=37)), "37:1"),
        (RequestLimits(document=replace(DocumentLimits(), pages=1237)), "1,237"),
    ],
)
def test_a_limit_moves_with_its_setting(limits: RequestLimits, shown: str) -> None:
    cell = f'<td data-title="Limit">{shown}</td>'

    assert cell not in guide()
    assert cell in guide(limits)


def test_what_detail_and_the_rules_count_by_moves_with_the_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULE_CONSTANTS[TokenProfile.QWEN], "factor_px", 4321)
    monkeypatch.setattr(vision_guide, "DEFAULT_TTL_S", 77 * 3600)
    render_guide.cache_clear()

    page = guide()
    render_guide.cache_clear()

    assert '"factor_px": 4321' in page
    assert "kept for 77 hours" in page
    for detail in Detail:
        assert f"{detail.longest_side_px:,} px" in page


def test_the_guide_says_if_nothing_is_moderated() -> None:
    assert "moderates nothing" in guide(moderated=False)
    assert "moderates nothing" not in guide()


def shown() -> list[str]:
    """The blocks of code in the page."""
    return [unescape(block) for block in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", guide(), re.DOTALL)]


async def variables(gateway: Gateway) -> dict[str, str]:
    models = (await gateway.client.get("/v1/models")).json()["data"]
    return {"OBSCURA_URL": gateway.url, "OBSCURA_KEY": gateway.key, "OBSCURA_MODEL": models[0]["id"]}


@pytest.mark.parametrize("name", names())
async def test_every_request_of_the_page_runs_as_it_stands(demo_gateway: Gateway, name: str) -> None:
    command = EXAMPLES[name].curl

    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"{command} --silent --fail-with-body",
        env=os.environ | await variables(demo_gateway), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()

    assert command in shown()
    assert process.returncode == 0, output
    assert b"32 x 32" in output


@pytest.mark.parametrize("name", names())
@pytest.mark.timeout(180)  # the first one imports the SDK
async def test_every_program_of_the_page_runs_as_it_stands(
    demo_gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    program = EXAMPLES[name].python
    for variable, value in (await variables(demo_gateway)).items():
        monkeypatch.setenv(variable, value)

    await asyncio.to_thread(
        exec, compile(program, name, "exec"), {}
    )  # no process of its own: an SDK takes seconds to import

    assert program in shown()
    assert "32 x 32" in capsys.readouterr().out
