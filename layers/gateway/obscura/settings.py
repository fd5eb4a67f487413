"""Settings: read once from the environment, every name ``OBSCURA_…``, and validated before anything starts."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import NoDecode, SettingsConfigDict

from obscura.settings_telemetry import TelemetrySettings
from obscura.settings_values import Endpoint, base_url, checked, otlp_headers

type Moderation = Literal["openai", "demo", "off"]
type UnmoderatedMedia = Literal["pass", "refuse"]
type UpstreamState = Literal["refuse", "allow"]
type SecretsSource = Literal["ssm", "secretsmanager"]
type StoreOutage = Literal["deny", "cached_keys"]

PREFIX = "OBSCURA_"

BEDROCK_SCHEME = "bedrock:"
AWS_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]{2,9}){1,3}-[1-9][0-9]?")


RENAMED = {f"{PREFIX}REMEMBER_VERDICTS": f"{PREFIX}CACHE_VERDICTS"}
"""Old names of settings and their new names; the old ones still work."""

RENAMED_VALUES = {f"{PREFIX}STORE_OUTAGE": {"closed": "deny", "keys": "cached_keys"}}
"""Old values of settings and their new values; the old ones still work."""


class ConfigurationError(ValueError):
    """A setting that cannot be used; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An old name or an old value that is in use, and what to write instead."""

    setting: str
    hint: str


def deprecations(environment: Mapping[str, str]) -> list[Deprecation]:
    """Return the old names and values of settings that an environment uses."""
    names = [Deprecation(old, f"is now {new}") for old, new in RENAMED.items() if old in environment]
    values = [
        Deprecation(setting, f"'{environment[setting]}' is now '{renamed[environment[setting]]}'")
        for setting, renamed in RENAMED_VALUES.items()
        if environment.get(setting) in renamed
    ]
    return names + values


def setting_errors(invalid: ValidationError) -> list[str]:
    """Return which settings are invalid and why, without their values."""
    return [
        f"{PREFIX}{str(error['loc'][0]).upper().removeprefix(PREFIX)}: {error['msg']}"
        for error in invalid.errors(include_input=False, include_url=False)
    ]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_names(value: object) -> object:
    """Read a list of names that have no case, such as those of headers."""
    return _split(value.lower()) if isinstance(value, str) else value


_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins as browsers send them: in lower case, without a default port (Fetch Standard, "Origin header")."""
    if "*" in values:
        if len(values) > 1:
            raise ValueError("'*' stands for every origin, so nothing may stand beside it")
        return values
    return tuple(dict.fromkeys(map(_origin, values)))


def _origin(value: str) -> str:
    parts = _ORIGIN.fullmatch(value.lower())
    if parts is None:
        raise ValueError(
            "must be origins such as https://app.example.com or http://localhost:5173, without a path, or '*'; "
            "names beyond ASCII are written in Punycode"
        )
    scheme, host, port = parts.groups()
    return f"{scheme}://{host}" if port in {None, _DEFAULT_PORTS[scheme]} else f"{scheme}://{host}:{int(port)}"


def _sendable(secret: SecretStr | None) -> SecretStr | None:
    """Strip a key: files and pastes end in a newline, which would end the header that carries it."""
    stripped = "" if secret is None else secret.get_secret_value().strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise ValueError("must be printable ASCII in one line, as HTTP headers are")
    return SecretStr(stripped) if stripped else None


def webhook_secrets(text: str) -> list[bytes]:
    """Return the keys of signed webhooks; raises ValueError.

    Each is ``whsec_`` and the base64 of 24 to 64 bytes (Standard Webhooks 1.0.0, "Signature scheme"); several stand
    side by side, separated by spaces, while one is rotated.
    """
    form = "must be whsec_ and the base64 of 24 to 64 bytes; several are separated by spaces"
    keys = []
    for secret in text.split():
        prefix, encoded = secret[:6], secret[6:]
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise ValueError(form) from None
        if prefix != "whsec_" or not 24 <= len(key) <= 64:
            raise ValueError(form)
        keys.append(key)
    return keys


def _new_value(value: object) -> object:
    return RENAMED_VALUES[f"{PREFIX}STORE_OUTAGE"].get(value, value) if isinstance(value, str) else value


_NAMED_COLOURS = {"white": "#ffffff", "black": "#000000"}


def _colour(value: object) -> object:
    """Read a CSS hex colour of three or six digits, ``white`` or ``black`` into R, G and B of 0 to 255."""
    if not isinstance(value, str):
        return value
    digits = _NAMED_COLOURS.get(value.lower(), value)
    if not re.fullmatch(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})", digits):
        raise ValueError("must be a colour such as #ffffff or #fff, or white, or black")
    wide = digits[1:] if len(digits) == 7 else "".join(2 * digit for digit in digits[1:])
    return tuple(bytes.fromhex(wide))


def _upstream_url(value: str) -> str:
    """Return ``bedrock:REGION`` or a base URL."""
    if value.startswith(BEDROCK_SCHEME):
        if not AWS_REGION.fullmatch(value.removeprefix(BEDROCK_SCHEME)):
            raise ValueError("must name a region of AWS after bedrock:, such as bedrock:eu-central-1")
        return value
    return base_url(value)


type UpstreamUrl = Annotated[str, AfterValidator(_upstream_url)]


def _location(value: object) -> object:
    """Take a path as the text that it is: ``s3://BUCKET/KEY`` would lose a slash as one."""
    return str(value) if isinstance(value, Path) else value


type BaseUrl = Annotated[str, AfterValidator(base_url)]


class Settings(TelemetrySettings):
    """The operator's choices; the defaults run all of Obscura on a laptop, without a key and without an account."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", populate_by_name=True)

    upstream_url: UpstreamUrl | None = None
    upstream_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    upstream_dialects: Annotated[frozenset[str], NoDecode, BeforeValidator(_split)] = frozenset({"chat"})
    bedrock_models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    bedrock_guardrail: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]{1,2048}:([1-9][0-9]{0,7}|DRAFT)$")] | None = (
        None
    )
    models: Annotated[str | None, BeforeValidator(_location)] = None
    moderation: Moderation | None = None
    moderation_url: BaseUrl = "https://api.openai.com/v1"
    moderation_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    moderation_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    unmoderated_media: UnmoderatedMedia = "pass"
    upstream_state: UpstreamState = "refuse"
    store_responses: bool = False
    stored_responses_hours: int = Field(default=24, ge=1, le=168)
    show_cost: bool = False
    upstream_retries: int = Field(default=0, ge=0, le=10)
    upstream_timeout_s: float = Field(default=120, gt=0, le=3600)
    upstream_idle_s: float = Field(default=60, gt=0, le=3600)
    pass_headers: Annotated[frozenset[str], NoDecode, BeforeValidator(_split_names)] = frozenset()
    blocked_hashes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    fetch_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    data_dir: Path = Path(".obscura")
    table: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,200}$")
    bucket: str | None = None
    cache_verdicts: bool = Field(
        default=True, validation_alias=AliasChoices(f"{PREFIX}CACHE_VERDICTS", f"{PREFIX}REMEMBER_VERDICTS")
    )
    store_outage: Annotated[StoreOutage, BeforeValidator(_new_value)] = "deny"
    free_tier_requests: int = Field(default=1, ge=0)
    free_tier_refunds: int | None = Field(default=None, ge=0)
    free_tier_daily_requests: int | None = Field(default=None, gt=0)
    key_requests_per_minute: int = Field(default=120, gt=0)
    jwt_requests_per_minute: int = Field(default=30, gt=0)
    jwks_url: BaseUrl | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_project_claim: str | None = None
    address_secret: SecretStr | None = Field(default=None, min_length=16)
    cors_origins: Annotated[tuple[str, ...], NoDecode, AfterValidator(_origins), BeforeValidator(_split)] = ()
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = ()
    max_body_bytes: int = Field(default=35 * 1024 * 1024, gt=0)
    max_image_bytes: int = Field(default=15 * 1024 * 1024, gt=0)
    max_pixels: int = Field(default=64_000_000, gt=0)
    max_request_pixels: int = Field(default=128_000_000, gt=0)
    max_document_bytes: int = Field(default=15 * 1024 * 1024, gt=0)
    max_stored_document_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    max_document_pages: int = Field(default=50, gt=0)
    max_images: int | None = Field(default=None, ge=0)
    max_text_chars: int = Field(default=4_000_000, gt=0)
    memory_budget_mb: int | None = Field(default=None, ge=32)
    max_connections: int | None = Field(default=None, ge=16)
    workers: int | None = Field(default=None, ge=1, le=64)
    idle_connection_s: int = Field(default=75, ge=1, le=4000)
    max_items: int = Field(default=10_000, gt=0)
    image_cache_mb: int = Field(default=0, ge=0)
    project_storage_mb: int = Field(default=10_240, ge=0)
    project_files: int = Field(default=10_000, ge=0)
    disk_reserve_mb: int = Field(default=100, ge=0)
    flatten_onto: Annotated[tuple[int, int, int], NoDecode, BeforeValidator(_colour)] = (255, 255, 255)
    policy_floor: str | None = None
    policy_webhook_url: Endpoint | None = None
    policy_webhook_secret: Annotated[SecretStr | None, checked(webhook_secrets)] = None
    policy_splunk_url: Endpoint | None = None
    policy_splunk_token: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    policy_splunk_index: str | None = Field(default=None, pattern=r"^[a-z0-9_][a-z0-9_-]{0,79}$")
    policy_datadog_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    policy_datadog_site: str = Field(default="datadoghq.com", pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    policy_otlp_url: Endpoint | None = None
    policy_otlp_headers: Annotated[SecretStr | None, checked(otlp_headers)] = None
    policy_check_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    policy_firehose: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_.-]{1,64}$")
    secrets_path: str | None = None
    secrets_source: SecretsSource = "ssm"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    _read_at_start: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def read_at_start(self) -> dict[str, str]:
        """What was read for these settings so far, by location, so that nothing is read twice at one start."""
        return self._read_at_start

    @property
    def bedrock_region(self) -> str | None:
        """The region of Amazon Bedrock, if that is the upstream."""
        url = self.upstream_url or ""
        return url.removeprefix(BEDROCK_SCHEME) if url.startswith(BEDROCK_SCHEME) else None

    @property
    def effective_moderation(self) -> Moderation:
        """The moderation as set, else OpenAI's if there is an upstream or an endpoint of its own, else the demo."""
        return self.moderation or ("openai" if self.upstream_url or self.moderation_urls else "demo")

    @property
    def effective_moderation_key(self) -> str | None:
        """The moderation key as set, else the upstream's if both are on one host, so that one OpenAI key is enough."""
        if self.moderation_key is not None:
            return self.moderation_key.get_secret_value()
        one_host = self.upstream_url and urlsplit(self.upstream_url).netloc == urlsplit(self.moderation_url).netloc
        return self.upstream_key.get_secret_value() if one_host and self.upstream_key else None

    @property
    def moderation_lacks_key(self) -> bool:
        """Whether a public moderation endpoint is used without a key, so that no request can get a verdict."""
        one_url = self.effective_moderation == "openai" and not self.moderation_urls
        public = one_url and self.moderation_url.startswith("https:")
        return public and self.effective_moderation_key is None
