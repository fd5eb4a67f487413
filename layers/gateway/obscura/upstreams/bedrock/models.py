"""Bedrock's models: whose a model is by its id, and the lists of them (Bedrock API reference, control plane).

ListFoundationModels names what a region has, ListInferenceProfiles what routes between regions, which newer models
can be called by alone.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from obscura.errors import UpstreamError
from obscura.upstreams.base import ModelListing, ModelOptions

ANTHROPIC, AMAZON = "anthropic", "amazon"
CACHING_FAMILIES = frozenset({ANTHROPIC, AMAZON})
"""Whose models take cache points (Bedrock user guide, "Prompt caching"); the hint is left out for others."""
_SUFFIXES = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]{0,2047}")
FOUNDATION_MODELS = "/foundation-models"
INFERENCE_PROFILES = "/inference-profiles?maxResults=1000"


def family_of(options: ModelOptions) -> str:
    """Return whose a model is: as set, else by its id, empty if that does not tell (ARNs of application profiles).

    Ids are ``anthropic.claude-…``, with a prefix of regions in inference profiles, at the end of an ARN likewise.
    """
    if options.family is not None:
        return options.family
    name = options.upstream_id.rpartition("/")[2]
    parts = name.split(".")
    known = [part for part in parts[:2] if part in {ANTHROPIC, AMAZON}]
    return known[0] if known else ""


def is_model_id(text: str) -> bool:
    """Whether a text has the form of an id, an ARN or a profile (Bedrock API reference, Converse, ``modelId``).

    One of dots alone would lead to another path.
    """
    return _MODEL_ID.fullmatch(text) is not None


def model_path(upstream_id: str, operation: str) -> str:
    """Return the path of an operation of a model; an ARN's slashes and colons are encoded."""
    return f"/model/{quote(upstream_id, safe='')}/{operation}"


def runtime_url(region: str) -> str:
    """Return the base URL of a region's models (AWS General Reference, "Amazon Bedrock endpoints")."""
    return f"https://bedrock-runtime.{region}.{_suffix(region)}"


def control_url(region: str) -> str:
    """Return the base URL of a region's lists of models."""
    return f"https://bedrock.{region}.{_suffix(region)}"


def _suffix(region: str) -> str:
    return _SUFFIXES.get(region.partition("-")[0], "amazonaws.com")


class _Foundation(msgspec.Struct, rename="camel"):
    model_id: str
    provider_name: str = ""
    output_modalities: tuple[str, ...] = ("TEXT",)
    inference_types_supported: tuple[str, ...] = ("ON_DEMAND",)


class _Profile(msgspec.Struct, rename="camel"):
    inference_profile_id: str
    status: str = "ACTIVE"


class _Models(msgspec.Struct, rename="camel"):
    model_summaries: list[_Foundation] | None = None
    inference_profile_summaries: list[_Profile] | None = None


_decoder = msgspec.json.Decoder(_Models)


def read_models(body: bytes) -> Sequence[ModelListing]:
    """Read one of the two lists: what answers in text and can be called as it is listed; raises UpstreamError."""
    try:
        listed = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The upstream's list of models cannot be read.") from None
    return [
        *(
            ModelListing(model.model_id, owned_by=model.provider_name.lower() or "bedrock")
            for model in listed.model_summaries or ()
            if "TEXT" in model.output_modalities and "ON_DEMAND" in model.inference_types_supported
        ),
        *(
            ModelListing(profile.inference_profile_id, owned_by="bedrock")
            for profile in listed.inference_profile_summaries or ()
            if profile.status == "ACTIVE"
        ),
    ]
