"""``GET /docs/vision``: the guide to images in requests, made from the constants and the limits that the code uses.

One HTML document that loads nothing: its style and its script stand in it, named by their hashes in the CSP (ADR 112).
"""

import asyncio
import base64
import hashlib
import inspect
import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from obscura import errors
from obscura.api.guide_examples import EXAMPLES
from obscura.api.routers import FamilyRoute
from obscura.bootstrap import open_memory, request_limits
from obscura.dialects.errors import openai_error
from obscura.dialects.registry import load_dialect, names
from obscura.files.requests import DEFAULT_TTL_S
from obscura.imaging import Detail
from obscura.imaging.formats import FORMATS
from obscura.imaging.resize import target_size
from obscura.imaging.tokens import RULE_CONSTANTS, TokenProfile, image_tokens
from obscura.moderation.pieces import MAX_PIECE_CHARS
from obscura.pipeline.image_history import image_limit
from obscura.pipeline.services import MAX_FETCHED_URLS, MAX_REDIRECTS, RequestLimits

PATH = "/docs/vision"
PAGES = Path(__file__).parents[1] / "pages"

_PROFILE_TITLES = {
    TokenProfile.QWEN: "Qwen2.5-VL (the default)",
    TokenProfile.OPENAI_TILES: "OpenAI, tiles",
    TokenProfile.OPENAI_PATCHES: "OpenAI, patches",
    TokenProfile.ANTHROPIC: "Anthropic",
}
_SIZES = ((640, 480), (1280, 1280), (1920, 1080), (4032, 3024), (1170, 2532))

router = APIRouter(route_class=FamilyRoute)


@router.get(PATH, response_class=HTMLResponse)
async def vision_guide(request: Request) -> HTMLResponse:
    """Return the guide, with the limits of this deployment."""
    settings = request.app.state.settings
    limits, moderated = request_limits(settings, open_memory(settings)), settings.effective_moderation != "off"
    page, policy = await asyncio.to_thread(render_guide, limits, moderated=moderated)  # 20 ms, the first time
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return HTMLResponse(page, headers=headers)


@cache
def render_guide(limits: RequestLimits, *, moderated: bool) -> tuple[str, str]:
    """Return the page and its CSP."""
    style, script = (PAGES / "guide.css").read_text(), (PAGES / "guide.js").read_text()
    template = (PAGES / "guide.html").read_text()
    page = Template(template).substitute(
        style=style,
        script=script,
        facts=_facts(limits),
        contents=_contents(template),
        examples="".join(map(_example, names())),
        max_redirects=MAX_REDIRECTS,
        max_urls=MAX_FETCHED_URLS,
        formats=_formats(limits),
        limits=_limits(limits),
        details=_details(),
        profile_options=_options((profile, title) for profile, title in _PROFILE_TITLES.items()),
        detail_options=_options(((detail, detail) for detail in Detail), chosen=Detail.AUTO),
        token_table=_token_table(limits),
        moderation=_moderation(moderated=moderated),
        file_hours=DEFAULT_TTL_S // 3600,
        streams=_streams(),
        error_example=_error_example(limits),
        errors=_errors(),
    )
    sources = " ".join(f"{kind}-src 'sha256-{_sha256(text)}';" for kind, text in (("style", style), ("script", script)))
    return (
        page,
        f"default-src 'none'; {sources} img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(limits: RequestLimits) -> str:
    """Return what the calculator counts by, as JSON that cannot end its element."""
    facts = {
        "rules": RULE_CONSTANTS,
        "sides": {detail: detail.longest_side_px for detail in Detail},
        "aspect_ratio": limits.image.aspect_ratio,
        "pixels": limits.image.pixels,
    }
    return json.dumps(facts).replace("<", "\\u003c")


def _contents(template: str) -> str:
    """Return a link to each section of the template, by its id and heading."""
    sections = [part.partition("</h2>")[0] for part in template.split('<section id="')[1:]]
    links = [section.split('"><h2>') for section in sections]
    return "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in links)


def _example(name: str) -> str:
    example, [path, *_] = EXAMPLES[name], load_dialect(name).paths
    return (
        f"<h3>{escape(example.title)} <code>POST {path}</code></h3>"
        f'<pre tabindex="0" aria-label="{escape(example.title)} with curl"><code>{escape(example.curl)}</code></pre>'
        f"<details><summary>{escape(example.title)} in Python, streamed</summary>"
        f'<pre tabindex="0"><code>{escape(example.python)}</code></pre></details>'
    )


def _formats(limits: RequestLimits) -> str:
    rows = [
        (known.name, f"<code>{known.media_type}</code>", _megapixels(known.max_pixels or limits.image.pixels))
        for known in FORMATS.values()
        if known.is_available
    ]
    return _table(("Format", "Media type", "Most pixels"), rows)


def _limits(limits: RequestLimits) -> str:
    rows = [
        ("Bytes of an image", _mebibytes(limits.image.raw_bytes), errors.ImageTooLarge),
        ("Pixels of an image", _megapixels(limits.image.pixels), errors.ImageTooManyPixels),
        ("Longer side to shorter", f"{limits.image.aspect_ratio}:1", errors.UnsupportedImageDimensions),
        ("Images in a request", f"{image_limit(limits.content, None):,}", errors.TooManyImages),
        ("Parts of a message", f"{limits.content.content_parts:,}", errors.TooManyContentParts),
        ("Pixels of all images, as decoded", _megapixels(limits.pixels), errors.TooManyPixels),
        ("Body of a request", _mebibytes(limits.body_bytes), errors.RequestTooLarge),
        ("Characters of text", f"{limits.text_chars:,}", errors.RequestTooLarge),
        ("URLs in a request", f"{MAX_FETCHED_URLS:,}", errors.TooManyImages),
        ("Pages of a PDF, an image each", f"{limits.document.pages:,}", errors.DocumentTooLarge),
    ]
    return _table(
        ("Of", "Limit", "Past it"), [(name, limit, f"<code>{kind.code}</code>") for name, limit, kind in rows]
    )


def _details() -> str:
    notes = {Detail.LOW: "an overview", Detail.AUTO: "the default", Detail.HIGH: "small print, dense charts"}
    rows = [(f"<code>{detail}</code>", f"{detail.longest_side_px:,} px", notes[detail]) for detail in Detail]
    return _table(("detail", "Longest side", "For"), rows)


def _token_table(limits: RequestLimits) -> str:
    rows = []
    for size in _SIZES:
        seen = target_size(*size, Detail.AUTO.longest_side_px, limits.image.aspect_ratio)
        counts = [f"{image_tokens(*seen, profile):,}" for profile in _PROFILE_TITLES]
        rows.append((_size(*size), _size(*seen), *counts))
    titles = ("Sent, px", "Seen, px", *(title.partition(" (")[0] for title in _PROFILE_TITLES.values()))
    return _table(titles, rows, stacked=False)


def _moderation(*, moderated: bool) -> str:
    if not moderated:
        return "<p>This deployment moderates nothing: the operator has switched moderation off.</p>"
    return (
        "<p>Every image, as the model would see it, and every text is moderated before anything is sent to the model; "
        f"long text in overlapping pieces of {MAX_PIECE_CHARS:,} characters. What is blocked is a 400 "
        f"<code>{errors.ModerationBlocked.code}</code> with the category, and <code>param</code> names the part. "
        f"Without a verdict nothing is sent: 503 <code>{errors.ModerationUnavailable.code}</code>. "
        "Text that stands in an image is judged as the image is.</p>"
    )


def _streams() -> str:
    rows = [
        (
            EXAMPLES[name].title,
            f"<code>{escape(EXAMPLES[name].last_event)}</code>",
            f"<code>{escape(EXAMPLES[name].error_event)}</code>",
            f"<code>{EXAMPLES[name].usage}</code>",
        )
        for name in names()
    ]
    return _table(("Dialect", "Ends with", "Or, if it fails", "Image tokens in"), rows)


def _error_example(limits: RequestLimits) -> str:
    most = image_limit(limits.content, None)
    message = f"The request has {most + 1} images; the limit is {most}. Use several requests."
    error = errors.TooManyImages(message, param=f"messages[0].content[{most}]")
    return escape(json.dumps(json.loads(openai_error(error)), indent=2))


def _errors() -> str:
    kinds = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ObscuraError) and hasattr(kind, "code")
    }
    rows = [
        (
            f"<code>{code}</code>",
            str(kind.status),
            escape((inspect.getdoc(kind) or "").partition("\n")[0]).replace("``", ""),
        )
        for code, kind in sorted(kinds.items(), key=lambda entry: (entry[1].status, entry[0]))
    ]
    return _table(("Code", "Status", "When"), rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, stacked: bool = True) -> str:
    """Return a table of cells in HTML; on a narrow screen it is stacked, or can be scrolled."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(
            f'<td data-title="{escape(title)}">{cell}</td>' for title, cell in zip(titles[1:], others, strict=True)
        )
        + "</tr>"
        for first, *others in rows
    )
    attributes = (
        'class="table stack"' if stacked else f'class="table" tabindex="0" role="region" aria-label="{titles[0]}"'
    )
    return f"<div {attributes}><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _options(options: Iterable[tuple[str, str]], chosen: str | None = None) -> str:
    return "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{escape(title)}</option>'
        for value, title in options
    )


def _size(width_px: int, height_px: int) -> str:
    return f"{width_px} &times; {height_px}"


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB".replace(".0 ", " ")


def _megapixels(count: int) -> str:
    return f"{count / 1e6:,.1f} megapixels".replace(".0 ", " ")
