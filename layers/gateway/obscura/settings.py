"""Settings: read once from the environment, every name ``OBSCURA_…``, wrong values named before anything starts."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

type Moderation = Literal["openai", "demo", "off"]
type StoreOutage = Literal["closed", "keys"]

PREFIX = "OBSCURA_"


class ConfigurationError(ValueError):
    """A setting that cannot be used; the message names it and says why."""


def named_faults(wrong: ValidationError) -> list[str]:
    """Say which settings are wrong and why, without what they are set to."""
    return [
        f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}"
        for fault in wrong.errors(include_input=False, include_url=False)
    ]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL, such as https://api.openai.com/v1")
    return value.rstrip("/")


def _sendable(secret: SecretStr | None) -> SecretStr | None:
    """Return a key as a header can carry it: files and pastes end in a newline, which would end the header."""
    told = "" if secret is None else secret.get_secret_value().strip()
    if not (told.isascii() and told.isprintable()):
        raise ValueError("must be printable ASCII in one line, as HTTP headers are")
    return SecretStr(told) if told else None


type BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Settings(BaseSettings):
    """What the operator decides; the defaults run the whole of Obscura on a laptop with no key and no account."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore")

    upstream_url: BaseUrl | None = None
    upstream_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    upstream_dialects: Annotated[
        frozenset[Literal["chat", "messages", "responses"]], NoDecode, BeforeValidator(_split)
    ] = frozenset({"chat"})
    models: Path | None = None
    moderation: Moderation | None = None
    moderation_url: BaseUrl = "https://api.openai.com/v1"
    moderation_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    fetch_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    data_dir: Path = Path(".obscura")
    table: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,200}$")
    bucket: str | None = None
    remember_verdicts: bool = True
    store_outage: StoreOutage = "closed"
    free_tier_requests: int = Field(default=1, ge=0)
    key_requests_per_minute: int = Field(default=120, gt=0)
    jwt_requests_per_minute: int = Field(default=30, gt=0)
    jwks_url: BaseUrl | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    address_secret: SecretStr | None = Field(default=None, min_length=16)
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = ()
    max_body_bytes: int = Field(default=35 * 1024 * 1024, gt=0)
    max_image_bytes: int = Field(default=15 * 1024 * 1024, gt=0)
    max_pixels: int = Field(default=64_000_000, gt=0)
    max_images: int = Field(default=16, ge=0)
    secrets_path: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def moderation_in_force(self) -> Moderation:
        """What moderates: as set, else OpenAI when there is an upstream, else the demo."""
        return self.moderation or ("openai" if self.upstream_url else "demo")

    @property
    def moderation_key_in_force(self) -> str | None:
        """The moderation key; the upstream's serves where both are one host, so that one OpenAI key is enough."""
        if self.moderation_key is not None:
            return self.moderation_key.get_secret_value()
        one_host = self.upstream_url and urlsplit(self.upstream_url).netloc == urlsplit(self.moderation_url).netloc
        return self.upstream_key.get_secret_value() if one_host and self.upstream_key else None

    @property
    def moderation_lacks_key(self) -> bool:
        """Whether a public moderation endpoint is asked without a key, so that no request can get a verdict."""
        public = self.moderation_in_force == "openai" and self.moderation_url.startswith("https:")
        return public and self.moderation_key_in_force is None
