"""The moderation endpoints of ``OBSCURA_MODERATION_URLS``: what each entry says, and the moderator over all of them.

An entry is a base URL and, after a space, the name of the environment variable with its key, so that the setting
holds no secret. ``guardrail+`` before the URL says that the server speaks the generic guardrail contract.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from obscura.moderation.base import Moderator
from obscura.moderation.fallback import FallbackModerator
from obscura.moderation.openai import OpenAIModerator
from obscura.settings import PREFIX, ConfigurationError, Settings

SETTING = f"{PREFIX}MODERATION_URLS"
GUARDRAIL = "guardrail+"
_KEY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: its base URL, its key if it has one, and whether it speaks the generic guardrail contract."""

    url: str
    key: str | None = field(repr=False)
    is_guardrail: bool

    def moderator(self, transport: httpx.AsyncBaseTransport) -> Moderator:
        """Return the client of this endpoint."""
        if self.is_guardrail:
            from obscura.moderation.guardrail import GuardrailModerator

            return GuardrailModerator(transport, self.url, self.key)
        return OpenAIModerator(transport, self.url, self.key)


def open_endpoints(settings: Settings, transport: httpx.AsyncBaseTransport) -> Moderator:
    """Return the moderator over the endpoints; raises ConfigurationError as ``read_endpoints``."""
    moderators = [endpoint.moderator(transport) for endpoint in read_endpoints(settings)]
    return FallbackModerator(moderators)


def read_endpoints(settings: Settings, environment: Mapping[str, str] = os.environ) -> Sequence[Endpoint]:
    """Read the entries with their keys; raises ConfigurationError that names the entry, and shows no key."""
    if "moderation_url" in settings.model_fields_set:
        raise ConfigurationError(f"{SETTING} and {PREFIX}MODERATION_URL are both set: keep one of them.")
    endpoints = [
        _endpoint(number, entry, settings, environment) for number, entry in enumerate(settings.moderation_urls)
    ]
    if len({(endpoint.url, endpoint.is_guardrail) for endpoint in endpoints}) < len(endpoints):
        raise ConfigurationError(f"{SETTING}: a URL is there twice")
    return endpoints


def _endpoint(number: int, entry: str, settings: Settings, environment: Mapping[str, str]) -> Endpoint:
    url, _, key_name = entry.partition(" ")
    is_guardrail = url.startswith(GUARDRAIL)
    url, key_name = url.removeprefix(GUARDRAIL).rstrip("/"), key_name.strip()
    where = f"{SETTING}: entry {number + 1}"
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ConfigurationError(f"{where} must begin with an http(s) URL, or with {GUARDRAIL} and one")
    if key_name and not _KEY_NAME.fullmatch(key_name):
        raise ConfigurationError(f"{where} has something other than a variable's name after its URL: a key itself?")
    key = _key(key_name, settings, environment) if key_name else None
    if key_name and not key:
        raise ConfigurationError(f"{where} takes its key from {key_name}, which is not set")
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"{where}: {key_name} must be printable ASCII in one line")
    return Endpoint(url, key, is_guardrail)


def _key(name: str, settings: Settings, environment: Mapping[str, str]) -> str:
    """Return a key by its name: the gateway's own two may come from a secret store, and are settings by then."""
    own = {f"{PREFIX}MODERATION_KEY": settings.moderation_key, f"{PREFIX}UPSTREAM_KEY": settings.upstream_key}
    secret = own.get(name)
    return secret.get_secret_value() if secret is not None else environment.get(name, "").strip()
