"""The catalog file: TOML that names upstreams and their models, validated whole before anything starts.

In a module of its own, imported only if there is a file: pydantic takes 7 ms of a cold start to build it (ADR 53).
"""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from obscura.dialects.registry import PIVOT, require_dialect
from obscura.upstreams.base import SECRET, SSM, CatalogModel, Upstream
from obscura.upstreams.breaker import FAILURES_TO_OPEN, OPEN_S, CircuitBreaker
from obscura.upstreams.catalog_bedrock import BedrockModelFields, BedrockUpstreamFields
from obscura.upstreams.catalog_group import HostedTools, MemberEntry, Mode, TokenLimitField, grouped, member_models
from obscura.upstreams.catalog_sight import require_sight, with_sight
from obscura.upstreams.image_entries import ImageHistory, ImageLimitFields, Strict, require_files_api
from obscura.upstreams.image_limits import UpstreamImageLimits, known_limits
from obscura.upstreams.registry import default_kind, load_kind, require_kind, require_spoken
from obscura.upstreams.store_field import takes_store_field
from obscura.upstreams.token_limit import known_field, takes_custom_tools
from obscura.usage.base import Prices

if TYPE_CHECKING:
    from obscura.upstreams.image_files import ImageFiles

type Dialect = Annotated[str, AfterValidator(require_dialect)]
type Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type TokenProfile = Literal["qwen", "openai_tiles", "openai_patches", "anthropic"]


class CatalogError(ValueError):
    """The catalog file is invalid; the message names the entry and the reason."""


class UpstreamEntry(BedrockUpstreamFields, ImageLimitFields):
    """One upstream; its key is named and not in the file: an environment variable, a parameter, or a secret.

    ``key_env`` is the variable, ``key_ssm`` the name of a parameter of SSM, ``key_secret`` that of a secret of Secrets
    Manager.

    Without a ``kind``, an upstream that speaks Messages is Anthropic's, and any other OpenAI's.
    """

    name: str = Field(pattern=r"^[!-~]([ -~]{0,98}[!-~])?$")  # it stands in the header x-obscura-upstream
    kind: Annotated[str, AfterValidator(require_kind)] | None = None
    key_env: str | None = None
    key_ssm: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]{1,1010}$")] | None = None
    key_secret: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_+=.@:-]{1,1000}$")] | None = None
    dialects: frozenset[Dialect] = frozenset({"chat"})
    token_profile: TokenProfile = "qwen"
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    idle_s: Annotated[float, Field(gt=0)] | None = None
    store_field: bool | None = None
    token_limit: TokenLimitField | None = None
    hosted_tools: HostedTools = "refuse"
    custom_tools: bool | None = None
    image_files: bool = False
    failures_to_open: Annotated[int, Field(gt=0)] = FAILURES_TO_OPEN
    open_s: Annotated[float, Field(gt=0)] = OPEN_S

    @property
    def key_reference(self) -> str | None:
        """Where its key is: ``ssm:NAME``, ``secret:ID``, the name of a variable, or None if it has no key."""
        if self.key_ssm is not None:
            return f"{SSM}{self.key_ssm}"
        return self.key_env if self.key_secret is None else f"{SECRET}{self.key_secret}"

    @property
    def takes_custom_tools(self) -> bool:
        """Whether it takes custom tools over chat: as set, else as it is known of its host."""
        return takes_custom_tools(self.base_url) if self.custom_tools is None else self.custom_tools

    @property
    def takes_store_field(self) -> bool:
        """Whether it takes the field ``store``: as set, else as it is known of its host."""
        return takes_store_field(self.base_url) if self.store_field is None else self.store_field

    @property
    def image_limits(self) -> UpstreamImageLimits:
        """What it takes of images: as set, else as it is known of its host or its kind."""
        return self.limits_over(known_limits(self.base_url, self.effective_kind))

    @property
    def image_uuids(self) -> bool:
        """Whether it takes the ``uuid`` of images: it is vLLM, by its kind or by the preset of its limits."""
        return self.limits == "vllm" or load_kind(self.effective_kind).image_uuids

    @property
    def all_dialects(self) -> frozenset[str]:
        """The dialects of its requests: chat, the pivot, is one of them in any case."""
        is_set = "dialects" in self.model_fields_set
        return (self.dialects if is_set else load_kind(self.effective_kind).default_dialects) | {PIVOT}

    @property
    def effective_kind(self) -> str:
        """The kind as set, else as its dialects have it."""
        return self.kind or default_kind(self.dialects)

    @model_validator(mode="after")
    def _consistent(self) -> "UpstreamEntry":
        self.require_own_fields(self.effective_kind)
        require_spoken(self.effective_kind, self.all_dialects)
        if self.image_files:
            require_files_api(self.effective_kind, self.all_dialects)
        if sum(key is not None for key in (self.key_env, self.key_ssm, self.key_secret)) > 1:
            raise ValueError("one of key_env, key_ssm and key_secret names its key, not several")
        return self


class ModelEntry(BedrockModelFields, ImageLimitFields):
    """One model; a ``token_profile`` that it does not set is its upstream's.

    It has one ``upstream``, or several ``upstreams``, which are asked by ``mode``.
    """

    upstream: str = ""
    upstreams: tuple[MemberEntry, ...] = ()
    mode: Mode = "fallback"
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
    image_history: ImageHistory = "keep"
    sees_through: Annotated[str, Field(min_length=1)] | None = None
    images_out: bool = False

    def by_upstream(self) -> Sequence["ModelEntry"]:
        """Return this model's entries with one upstream each: itself, or one for each of its upstreams."""
        return [self.model_copy(update=member.own_fields(self.id)) for member in self.upstreams] or [self]

    input_per_million: Price | None = None
    output_per_million: Price | None = None
    cached_per_million: Price | None = None
    image_per_million: Price | None = None

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


class CatalogDocument(Strict):
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
        kinds = {upstream.name: upstream.effective_kind for upstream in self.upstreams}
        for model in self.models:
            if bool(model.upstream) == bool(model.upstreams):
                raise ValueError(f"model '{model.id}' must have either an upstream or upstreams")
            asked = [member.name for member in model.upstreams] or [model.upstream]
            if len({(member.name, member.model) for member in model.upstreams}) < len(model.upstreams):
                raise ValueError(f"model '{model.id}' names an upstream twice with the same model")
            for name in asked:
                if name not in names:
                    raise ValueError(f"model '{model.id}' names upstream '{name}', which is not in the file")
            if model.token_factor != 1.0 and (model.token_profile or profiles[asked[0]]) != "openai_patches":
                raise ValueError(f"model '{model.id}' has a token_factor, which only openai_patches are multiplied by")
            model.require_own_kind({kinds[name] for name in asked})
            if model.images_out and {kinds[name] for name in asked} != {"openai"}:
                raise ValueError(f"model '{model.id}' has images_out, which upstreams of kind openai alone offer")
        require_sight(self.models)
        return self


def read_catalog_file(path: Path) -> CatalogDocument:
    """Read and validate the file; raises CatalogError that names the entry and the reason."""
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise CatalogError(f"{path} cannot be read: {failure.strerror}") from None
    return parse_catalog(content, str(path))


def parse_catalog(content: bytes, path: str) -> CatalogDocument:
    """Validate the catalog that was read from ``path``; raises CatalogError as ``read_catalog_file``."""
    try:
        document = tomllib.loads(content.decode())
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
        """``open_upstream`` gets an entry and its key; raises CatalogError if a key that is named is not set.

        ``environment`` has keys by their references: variables by name, others as ``ssm:NAME`` and ``secret:ID``.
        """
        entries = {entry.name: entry for entry in file.upstreams}
        opened = {name: open_upstream(entry, _key(entry, environment)) for name, entry in entries.items()}
        breakers = {name: CircuitBreaker(entry.failures_to_open, entry.open_s) for name, entry in entries.items()}
        self.breakers: Mapping[str, CircuitBreaker] = breakers
        self.kinds = {name: entry.effective_kind for name, entry in entries.items()}

        def single(model: ModelEntry) -> CatalogModel:
            return CatalogModel(
                model.id,
                opened[model.upstream],
                _dialects(model, entries[model.upstream]),
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
                upstream_name=model.upstream,
                breaker=breakers[model.upstream],
                image_limits=model.limits_over(entries[model.upstream].image_limits),
                image_history=model.image_history,
                image_uuids=entries[model.upstream].image_uuids,
                image_files=None if model.account_state else _image_files(opened[model.upstream]),
                images_out=model.images_out,
                prices=model.prices,
                max_output=model.max_output,
            )

        def group(model: ModelEntry) -> CatalogModel:
            try:
                return grouped(model.id, member_models(model.id, model, model.upstreams, single), model.mode)
            except ValueError as invalid:
                raise CatalogError(f"model '{model.id}': {invalid}") from None

        self._models = with_sight(file.models, lambda model: group(model) if model.upstreams else single(model))
        self.named_models = frozenset(self._models)

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return the model with exactly this id."""
        return self._models.get(model_id)

    async def all(self) -> Sequence[CatalogModel]:
        """Return every model, in the file's order."""
        return list(self._models.values())


def _image_files(upstream: Upstream) -> "ImageFiles | None":
    files: ImageFiles | None = getattr(upstream, "image_files", None)
    return files


def _token_limit(model: ModelEntry, upstream: UpstreamEntry) -> str:
    return model.token_limit or upstream.token_limit or known_field(upstream.base_url, model.id)


def _dialects(model: ModelEntry, upstream: UpstreamEntry) -> frozenset[str]:
    return load_kind(upstream.effective_kind).model_dialects(model.options(), upstream.all_dialects)


def _key(entry: UpstreamEntry, environment: Mapping[str, str]) -> str | None:
    reference = entry.key_reference
    if reference is None:
        return None
    key = environment.get(reference, "").strip()
    if not key:
        raise CatalogError(f"upstream '{entry.name}' takes its key from {reference}, which is not set")
    if not (key.isascii() and key.isprintable()):
        raise CatalogError(f"upstream '{entry.name}': {reference} must be printable ASCII in one line")
    return key
