"""The fields of the catalog file that upstreams of kind bedrock have, and their models."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any

from pydantic import BaseModel, Field, HttpUrl

from obscura.settings import AWS_REGION
from obscura.upstreams.base import ModelOptions, UpstreamOptions
from obscura.upstreams.bedrock.models import control_url, runtime_url

KIND = "bedrock"


class BedrockUpstreamFields(BaseModel):
    """``region`` has the models; ``url`` and ``control_url`` replace its endpoints (a VPC endpoint, a stand-in).

    ``guardrail`` is an identifier and a version, as ``id:version``, for every request.
    """

    url: HttpUrl | None = None
    region: Annotated[str, Field(pattern=f"^{AWS_REGION.pattern}$")] | None = None
    control_url: HttpUrl | None = None
    guardrail: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]{1,2048}:([1-9][0-9]{0,7}|DRAFT)$")] | None = None

    @property
    def base_url(self) -> str:
        """The base URL as set, else that of the region."""
        return str(self.url) if self.url is not None else runtime_url(self.region or "")

    @property
    def guardrail_and_version(self) -> tuple[str, str] | None:
        """The guardrail's two parts."""
        if self.guardrail is None:
            return None
        identifier, _, version = self.guardrail.rpartition(":")
        return identifier, version

    def require_own_fields(self, kind: str) -> None:
        """Raise ValueError if a field is missing that the kind needs, or is set that it does not have."""
        if kind != KIND:
            if self.url is None:
                raise ValueError("url is required")
            foreign = [name for name in ("region", "control_url", "guardrail") if getattr(self, name) is not None]
            if foreign:
                raise ValueError(f"{foreign[0]} is a field of kind {KIND} alone")
        elif self.region is None:
            raise ValueError(f"region is required of kind {KIND}, such as eu-central-1")
        elif self.url is not None and self.url.username:
            raise ValueError(f"url may have no user: kind {KIND} signs its requests")

    def options(self, models: Iterable["BedrockModelFields"]) -> UpstreamOptions:
        """Return what its dialect is configured with."""
        listed = str(self.control_url or self.url or "").rstrip("/") or control_url(self.region or "")
        return UpstreamOptions(
            self.region or "", self.guardrail_and_version, listed, {model.id: model.options() for model in models}
        )


class BedrockModelFields(BaseModel):
    """``upstream_id`` is a model's or an inference profile's id or ARN, by default the id that callers use."""

    id: str = Field(min_length=1)
    upstream_id: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    family: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] | None = None
    max_output: Annotated[int, Field(gt=0)] | None = None
    additional_fields: dict[str, Any] = Field(default_factory=dict)

    def options(self) -> ModelOptions:
        """Return what the upstream's dialect knows of it."""
        return ModelOptions(self.upstream_id or self.id, self.family, self.max_output, self.additional_fields)

    def require_own_kind(self, kinds: Collection[str]) -> None:
        """Raise ValueError if a field is set that only models of kind bedrock have."""
        for name in ("upstream_id", "family", "additional_fields"):
            if KIND not in kinds and name in self.model_fields_set:
                raise ValueError(f"model '{self.id}' has {name}, a field of models of kind {KIND} alone")
