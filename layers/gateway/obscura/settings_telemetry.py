"""The settings of metrics and traces."""

from ipaddress import IPv4Address, IPv6Address

from pydantic import Field
from pydantic_settings import BaseSettings


class TelemetrySettings(BaseSettings):
    """What ``serve`` and the container show of their work."""

    metrics: bool = True
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    metrics_host: IPv4Address | IPv6Address = IPv4Address("127.0.0.1")
