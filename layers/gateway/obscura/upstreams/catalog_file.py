"""The catalog file: TOML that names upstreams and their models, validated whole before anything starts.

In a module of its own, imported only if there is a file: pydantic takes 7 ms of a cold start to build it (ADR 53).
"""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from obscura.dialects.registry import PIVOT, require_dialect
from obscura.upstreams.base import CatalogModel, Upstream
from obscura.upstreams.registry import default_kind, require_kind, require_spoken
from obscura.upstreams.store_field import takes_store_field
from obscura.upstreams.token_limit import known_field, takes_custom_tools
from obscura.usage.base import Prices

type Dialect = Annotated[str, AfterValidator(require_dialect)]
type TokenLimitField = Literal["max_tokens", "max_completion_tokens"]
type Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type HostedTools = Literal["refuse", "drop"]
type TokenProfile = Literal["qwen", "openai_tiles", "openai_patches", "anthropic"]


class CatalogError(ValueError):
    """The catalog file is invalid; the message names the entry and the reason."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UpstreamEntry(_Strict):
    """One upstream; ``key_env`` names the environment variable with its key, so that the file holds no secret.

    Without a ``kind``, an upstream that speaks Messages is Anthropic's, and any other OpenAI's.
    """

    name: str = Field(min_length=1)
    url: HttpUrl
    kind: Annotated[str, AfterValidator(require_kind)] | None = None
    key_env: str | None = None
    dialects: frozenset[Dialect] = frozenset({"chat"})
    token_profile: TokenProfile = "qwen"
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    store_field: bool | None = None
    token_limit: TokenLimitField | None = None
    hosted_tools: HostedTools = "refuse"
    custom_tools: bool | None = None

    @property
    def takes_custom_tools(self) -> bool:
        """Whether it takes custom tools over chat: as set, else as it is known of its host."""
        return takes_custom_tools(str(self.url)) if self.custom_tools is None else self.custom_tools

    @property
    def takes_store_field(self) -> bool:
        """Whether it takes the field ``store``: as set, else as it is known of its host."""
        return takes_store_field(str(self.url)) if self.store_field is None else self.store_field

    @property
    def all_dialects(self) -> frozenset[str]:
        """The dialects of its requests: chat, the pivot, is one of them in any case."""
        return self.dialects | {PIVOT}

    @property
    def effective_kind(self) -> str:
        """The kind as set, else as its dialects have it."""
        return self.kind or default_kind(self.dialects)

    @model_validator(mode="after")
    def _consistent(self) -> "UpstreamEntry":
        require_spoken(self.effective_kind, self.all_dialects)
        return self


class ModelEntry(_Strict):
    """One model; a ``token_profile`` that it does not set is its upstream's."""

    id: str = Field(min_length=1)
    upstream: str
    input: tuple[Literal["text", "image", "video", "audio"], ...] = ("text", "image")
    context_length: Annotated[int, Field(gt=0)] | None = None
    token_profile: TokenProfile | None = None
    token_factor: Annotated[float, Field(gt=0)] = 1.0
    owned_by: str = "obscura"
    pass_types: frozenset[str] = frozenset()
    account_state: bool = False
    prefill: bool = False
    token_limit: TokenLimitField | None = None
    hosted_tools: HostedTools | None = None
    input_per_million: Price | None = None
    output_per_million: Price | None = None
    cached_per_million: Price | None = None
    image_per_million: Price | None = None
    max_output: Annotated[int, Field(gt=0)] | None = None

    @property
    def prices(self) -> Prices | None:
        """What its tokens cost, in US dollars a million."""
        if self.input_per_million is None or self.output_per_million is None:
            return None
        return Prices(self.input_per_million, self.output_per_million, self.cached_per_million, self.image_per_million)

    @model_validator(mode="after")
    def _priced(self) -> "ModelEntry":
        named = [self.input_per_million, self.output_per_million, self.cached_per_million, self.image_per_million]
        if any(price is not None for price in named) and self.prices is None:
            raise ValueError("a model with prices needs input_per_million and output_per_million")
        return self


class CatalogDocument(_Strict):
    """The whole file."""

    upstreams: tuple[UpstreamEntry, ...] = Field(min_length=1)
    models: tuple[ModelEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> "CatalogDocument":
        profiles = {upstream.name: upstream.token_profile for upstream in self.upstreams}
        names = [upstream.name for upstream in self.upstreams]
        ids = [model.id for model in self.models]
        for kind, listed in (("upstream", names), ("model", ids)):
            duplicates = {name for name in listed if listed.count(name) > 1}
            if duplicates:
                raise ValueError(f"{kind} named twice: {', '.join(sorted(duplicates))}")
        for model in self.models:
            if model.upstream not in names:
                raise ValueError(f"model '{model.id}' names upstream '{model.upstream}', which is not in the file")
            if model.token_factor != 1.0 and (model.token_profile or profiles[model.upstream]) != "openai_patches":
                raise ValueError(f"model '{model.id}' has a token_factor, which only openai_patches are multiplied by")
        return self


def read_catalog_file(path: Path) -> CatalogDocument:
    """Read and validate the file; raises CatalogError that names the entry and the reason."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise CatalogError(f"{path} cannot be read: {failure.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise CatalogError(f"{path} is not TOML: {failure}") from None
    try:
        return CatalogDocument.model_validate(document)
    except ValidationError as invalid:
        errors = (
            f"{'.'.join(str(part) for part in error['loc']) or 'file'}: {error['msg']}"
            for error in invalid.errors(include_input=False, include_url=False)
        )
        raise CatalogError(f"{path}: {'; '.join(errors)}") from None


class FileCatalog:
    """The models of a file, and no others."""

    def __init__(
        self,
        file: CatalogDocument,
        open_upstream: Callable[[UpstreamEntry, str | None], Upstream],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """``open_upstream`` gets an entry and its key; raises CatalogError if a key that is named is not set."""
        entries = {entry.name: entry for entry in file.upstreams}
        opened = {name: open_upstream(entry, _key(entry, environment)) for name, entry in entries.items()}
        self._models = {
            model.id: CatalogModel(
                model.id,
                opened[model.upstream],
                entries[model.upstream].all_dialects,
                model.token_profile or entries[model.upstream].token_profile,
                model.token_factor,
                model.input,
                model.context_length,
                owned_by=model.owned_by,
                pass_types=model.pass_types,
                store_field=entries[model.upstream].takes_store_field,
                account_state=model.account_state,
                prefill=model.prefill,
                token_limit=_token_limit(model, entries[model.upstream]),
                drops_hosted_tools=(model.hosted_tools or entries[model.upstream].hosted_tools) == "drop",
                custom_tools=entries[model.upstream].takes_custom_tools,
                prices=model.prices,
                max_output=model.max_output,
            )
            for model in file.models
        }

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return the model with exactly this id."""
        return self._models.get(model_id)

    async def all(self) -> Sequence[CatalogModel]:
        """Return every model, in the file's order."""
        return list(self._models.values())


def _token_limit(model: ModelEntry, upstream: UpstreamEntry) -> str:
    return model.token_limit or upstream.token_limit or known_field(str(upstream.url), model.id)


def _key(entry: UpstreamEntry, environment: Mapping[str, str]) -> str | None:
    if entry.key_env is None:
        return None
    key = environment.get(entry.key_env, "").strip()
    if not key:
        raise CatalogError(f"upstream '{entry.name}' takes its key from {entry.key_env}, which is not set")
    if not (key.isascii() and key.isprintable()):
        raise CatalogError(f"upstream '{entry.name}': {entry.key_env} must be printable ASCII in one line")
    return key
