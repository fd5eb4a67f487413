"""The single values of a policy document, each with the error that names what is wrong with it."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

RULE_NAMES = (
    "allowlist",
    "denylist",
    "flagged_categories",
    "thresholds",
    "redact_pii",
    "redact_secrets",
    "redact_terms",
    "checks",
    "user_quota",
    "project_quota",
    *(
        f"images.{rule}"
        for rule in (
            "max_count",
            "max_tokens",
            "max_total_tokens",
            "max_bytes",
            "min_side_px",
            "max_side_px",
            "allowed_formats",
            "allowed_hosts",
            "denied_hosts",
            "require_file_id",
            "refuse_data_urls",
            "require_zero_retention",
            "refuse_animated",
            "refuse_alpha",
            "refuse_metadata",
            "blocked_hashes",
            "allowed_hashes",
            "qr",
        )
    ),
)
"""The rules that can fire: the keys of ``reason_codes`` and ``actions``."""

MAX_TERM_CHARS = 200

_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_HASH = re.compile(r"(?:(?:sha256|pdq):)?[0-9a-f]{64}")


def unique[Item](values: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the values without repetitions, in their order."""
    return tuple(dict.fromkeys(values))


def _rule_name(name: str) -> str:
    if name not in RULE_NAMES:
        raise ValueError(f"'{name}' is no rule; the rules are {', '.join(RULE_NAMES)}")
    return name


def _term(term: str) -> str:
    from obscura.policy.folding import fold

    if not fold(term.strip("*")).strip():
        raise ValueError("a term needs at least one visible character beside * and spaces")
    if "*" in term.strip("*"):
        raise ValueError("a term has * at its beginning and its end only; for more, use rules.regexes")
    return term


def _host(host: str) -> str:
    """Return a host as the guarded fetch writes it: lower case, ASCII, without the root's dot."""
    wildcard, name = ("*.", host[2:]) if host.startswith("*.") else ("", host)
    try:
        ascii_name = name.rstrip(".").encode("idna").decode() if not name.isascii() else name.rstrip(".")
    except UnicodeError:
        raise ValueError("is no host name") from None
    pattern = wildcard + ascii_name.lower()
    if not _HOST.fullmatch(pattern) or len(pattern) > 253:
        raise ValueError(
            "must be a host, such as images.example.com, or *.example.com for all below it: no scheme, port or path"
        )
    return pattern


def _hash(text: str) -> str:
    lowered = text.lower()
    if not _HASH.fullmatch(lowered):
        raise ValueError("must be sha256: or pdq: and 64 hex digits, or the 64 digits alone")
    return lowered


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http(s) URL without a user name or password")
    return url


type PolicyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
"""Without ``@``, which parts it from a version in a request."""
type RuleName = Annotated[str, AfterValidator(_rule_name)]
type Term = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TERM_CHARS), AfterValidator(_term)]
type Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
type CategoryName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9_/.-]{0,99})$")]
type ImageFormat = Literal["png", "jpeg", "webp", "gif", "avif", "heic", "tiff", "bmp"]
type HostPattern = Annotated[str, StringConstraints(min_length=1, max_length=253), AfterValidator(_host)]
type Hash = Annotated[str, AfterValidator(_hash)]
type CheckUrl = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_check_url)]
type Percent = Annotated[float, Field(ge=0, le=100)]
