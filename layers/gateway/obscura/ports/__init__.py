"""Ports: what the pipeline needs of the outside, in its own words; the adapters provide it."""

from obscura.ports.admission import (
    AddressSecret,
    ApiKey,
    Counter,
    Keys,
    Quotas,
    Rates,
    Scope,
    TokenHolder,
    Tokens,
    Window,
)
from obscura.ports.clock import Clock
from obscura.ports.files import MOST_PARTS, Contents, FilePage, Files, StoredFile, Upload, Uploads, UploadStatus
from obscura.ports.pictures import ImageSource, Moderator, Verdict, Verdicts
from obscura.ports.upstream import Catalogue, ListedModel, Model, Upstream, UpstreamAnswer, UpstreamCall

__all__ = [
    "MOST_PARTS",
    "AddressSecret",
    "ApiKey",
    "Catalogue",
    "Clock",
    "Contents",
    "Counter",
    "FilePage",
    "Files",
    "ImageSource",
    "Keys",
    "ListedModel",
    "Model",
    "Moderator",
    "Quotas",
    "Rates",
    "Scope",
    "StoredFile",
    "TokenHolder",
    "Tokens",
    "Upload",
    "UploadStatus",
    "Uploads",
    "Upstream",
    "UpstreamAnswer",
    "UpstreamCall",
    "Verdict",
    "Verdicts",
    "Window",
]
