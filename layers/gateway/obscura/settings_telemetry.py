"""The settings of metrics and traces."""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from obscura.settings_values import Endpoint, checked, otlp_headers


class TelemetrySettings(BaseSettings):
    """What ``serve`` and the container show of their work."""

    metrics: bool = True
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    metrics_host: IPv4Address | IPv6Address = IPv4Address("127.0.0.1")
    traces_url: Endpoint | None = None
    traces_headers: Annotated[SecretStr | None, checked(otlp_headers)] = None
