"""``obscura doctor``: what is configured, what is reachable, what is missing."""

import os
import sys
from collections.abc import Iterator

import httpx
import typer
from PIL import features
from rich.markup import escape

from obscura.adapters.http_images import parse_origin
from obscura.cli.examining_access import examine_access
from obscura.cli.finding import Finding
from obscura.cli.terminal import aside, output, table
from obscura.config import PREFIX, ConfigurationError, Settings
from obscura.web.composition import check_settings

REACHED_WITHIN_S = 5.0
_MARKS = {"ok": "[green]ok[/green]", "warn": "[yellow]look[/yellow]", "bad": "[red]missing[/red]"}


def doctor() -> None:
    """Say what is configured, what is reachable and what is missing; ends with status 1 when something is missing."""
    settings = Settings()
    found = table("What", "", "Finding", folding=["Finding"])
    with aside.status("Looking around …"):
        findings = list(examine(settings))
    for finding in findings:
        found.add_row(finding.what, _MARKS[finding.mark], escape(finding.said))
    output.print(found)
    if any(finding.mark == "bad" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at each thing that a request needs."""
    yield Finding("Python", "ok", sys.version.split()[0])
    turbo = features.check_feature("libjpeg_turbo")
    yield Finding("libjpeg-turbo", "ok" if turbo else "warn", "present" if turbo else "absent: JPEGs decode slowly")
    yield from examine_access(settings)
    if settings.models is not None:
        yield _catalogue(settings)
    elif settings.upstream_url:
        yield _reach("Upstream", settings.upstream_url, settings.upstream_key is not None)
    else:
        yield Finding("Upstream", "warn", f"the built-in demo model; set {PREFIX}UPSTREAM_URL for a real one")
    yield _moderation(settings)
    yield from (_allowed_origin(origin) for origin in settings.fetch_allow)
    yield from _unknown_settings()


def _catalogue(settings: Settings) -> Finding:
    try:
        check_settings(settings.model_copy(update={"fetch_allow": (), "jwks_url": None}))
    except ConfigurationError as wrong:
        return Finding("Catalogue", "bad", str(wrong))
    return Finding("Catalogue", "ok", f"{settings.models}")


def _moderation(settings: Settings) -> Finding:
    match settings.moderation_in_force:
        case "off":
            return Finding("Moderation", "warn", "off: pictures and text reach the model unchecked")
        case "demo":
            return Finding("Moderation", "warn", "the demo: it knows one word and one picture")
        case "openai":
            if settings.moderation_lacks_key:
                return Finding("Moderation", "bad", f"{PREFIX}MODERATION_KEY is not set: every request will get a 503")
            return _reach("Moderation", settings.moderation_url, settings.moderation_key_in_force is not None)


def _reach(what: str, base_url: str, has_key: bool) -> Finding:
    """Knock without the key: any answer at all shows that somebody is there."""
    with_key = "with a key" if has_key else "without a key"
    try:
        answered = httpx.get(f"{base_url}/models", timeout=REACHED_WITHIN_S)
    except httpx.HTTPError as failure:
        return Finding(what, "bad", f"{base_url} cannot be reached ({type(failure).__name__})")
    return Finding(what, "ok", f"{base_url} answers (status {answered.status_code}), {with_key}")


def _allowed_origin(origin: str) -> Finding:
    try:
        parse_origin(origin)
    except ValueError as wrong:
        return Finding("Image origin", "bad", f"{PREFIX}FETCH_ALLOW: {wrong}")
    return Finding("Image origin", "warn", f"{origin} is exempt from the address check")


def _unknown_settings() -> Iterator[Finding]:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            yield Finding(name, "warn", "is no setting of this version: misspelt?")
