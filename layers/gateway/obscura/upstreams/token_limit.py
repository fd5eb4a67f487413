"""The name of the field by which a model takes the limit of its answer's tokens, over chat completions.

OpenAI's models of reasoning refuse ``max_tokens`` (API reference, "Create chat completion", max_completion_tokens);
vLLM's older releases, Ollama, Mistral and others know nothing else. Which it is, is known of a few hosts and of names
of models, set in the catalog, or learned from the upstream's own refusal (ADR 125).
"""

import re
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

FORMER, CURRENT = "max_tokens", "max_completion_tokens"
_CURRENT_HOSTS = re.compile(r"(?:[a-z]{2}\.)?api\.openai\.com")
_CURRENT_MODELS = re.compile(r"(?:.*/)?(?:gpt-5|o[1-9])(?![0-9a-z]).*", re.DOTALL)
"""OpenAI's own, also below the prefix of a router; not the open models, gpt-oss."""
_REFUSING_STATUSES = frozenset({400, 422})
_REFUSAL = re.compile(
    r"unsupported|not supported|not compatible|deprecated|unrecogni[sz]ed|unknown|unexpected|extra[ _](?:inputs|fields)"
    r"|not permitted|not allowed|forbidden",
    re.IGNORECASE,
)
MAX_LEARNED = 1000
"""How many models of one upstream are remembered, since a model's name is the caller's word."""


def known_field(url: str, model: str) -> str:
    """Return the field that a model of a server takes, as far as it is known, else ``max_tokens``."""
    return CURRENT if _is_openai(url) or _CURRENT_MODELS.fullmatch(model) else FORMER


def takes_custom_tools(url: str) -> bool:
    """Whether a server takes custom tools in chat completions, as far as it is known: OpenAI's own."""
    return _is_openai(url)


@lru_cache(maxsize=64)  # of each request with the URL of the one upstream
def _is_openai(url: str) -> bool:
    return _CURRENT_HOSTS.fullmatch((urlsplit(url).hostname or "").lower()) is not None


def other_field(field: str) -> str:
    """Return the other name of the field."""
    return FORMER if field == CURRENT else CURRENT


class _Error(msgspec.Struct):
    message: str = ""
    param: str | None = None
    code: str | int | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_error_decoder = msgspec.json.Decoder(_ErrorBody, strict=False)


def refuses_field(status: int, body: bytes, field: str) -> bool:
    """Whether an upstream's error says that it does not take a field of this name, whatever its value.

    By OpenAI's ``param`` and ``code``, or by a message that names the field and says so: of other errors of the field,
    such as a value too large, neither is true.
    """
    if status not in _REFUSING_STATUSES or field.encode() not in body:
        return False
    try:
        error = _error_decoder.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = _Error(body.decode("utf-8", "replace"))
    if error.param == field and error.code in {"unsupported_parameter", "unknown_parameter"}:
        return True
    named = error.param == field or _names(error.message, field)
    return named and (_REFUSAL.search(error.message) is not None or _names(error.message, other_field(field)))


def _names(message: str, field: str) -> bool:
    return re.search(rf"(?<![A-Za-z_]){field}(?![A-Za-z_])", message) is not None


class LearnedFields:
    """What one upstream has been found to take, by model, for as long as the process runs."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def get(self, model: str) -> str | None:
        """Return the field that a model was found to take, or None."""
        return self._fields.get(model)

    def learn(self, model: str, field: str) -> None:
        """Remember it; the oldest is forgotten if there are too many."""
        if model not in self._fields and len(self._fields) >= MAX_LEARNED:
            del self._fields[next(iter(self._fields))]
        self._fields[model] = field
