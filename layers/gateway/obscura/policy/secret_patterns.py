"""Detectors of credentials by the forms that their issuers document: searched only where their prefix stands."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pybase64

from obscura.policy.pii import Found
from obscura.policy.regexes import compile_bytes

_PATTERNS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (kind, needles, re.compile(pattern, re.ASCII))
    for kind, needles, pattern in (
        ("aws_key", ("AKIA", "ASIA"), r"(?<![A-Z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])"),
        (
            "aws_secret",
            ("aws_secret", "AWS_SECRET", "SecretAccessKey"),
            r"(?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY|SecretAccessKey)[\"' ]{0,3}[:=][\"' ]{0,3}"
            r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        ),
        ("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"(?<!\w)gh[pousr]_[A-Za-z0-9]{36,255}"),
        ("github_token", ("github_pat_",), r"(?<!\w)github_pat_\w{22,255}"),
        ("gitlab_token", ("glpat-",), r"(?<!\w)glpat-[\w-]{20,255}"),
        ("slack_token", ("xox",), r"(?<!\w)xox[abeoprs]-[A-Za-z0-9-]{10,255}"),
        ("google_key", ("AIza",), r"(?<!\w)AIza[\w-]{35}(?![\w-])"),
        ("stripe_key", ("_live_", "_test_"), r"(?<!\w)[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
        ("api_key", ("sk-",), r"(?<!\w)sk-[A-Za-z0-9][\w-]{18,255}[A-Za-z0-9]"),
        ("npm_token", ("npm_",), r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)"),
        ("obscura_key", ("obs_",), r"(?<!\w)obs_[\w-]{40,64}"),
        ("azure_key", ("AccountKey=",), r"AccountKey=([A-Za-z0-9+/]{86}==)"),
        (
            "private_key",
            ("-----BEGIN",),
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,]|-(?!-)){20,16000}"
            r"-----END [A-Z ]{0,30}PRIVATE KEY-----",
        ),
        ("jwt", ("eyJ",), r"(?<![\w-])eyJ[\w-]{5,2000}\.[\w-]{5,8000}\.[\w-]{0,2000}"),
    )
)
SECRET_KINDS = tuple(dict.fromkeys(kind for kind, _, _ in _PATTERNS))


def find_secrets(text: str, encoded: bytes) -> Iterator[Found]:
    """Yield the credentials in ``text``, a plain view; of an assignment the value alone. ``encoded`` is its UTF-8."""
    if _any_needle().search(encoded) is None:
        return
    for kind, needles, pattern in _PATTERNS:
        if any(needle in text for needle in needles):
            for found in pattern.finditer(text):
                if kind != "jwt" or _is_jwt_header(found[0].partition(".")[0]):
                    yield Found(kind, *found.span(pattern.groups and 1))


@lru_cache(maxsize=1)
def _any_needle() -> Any:
    """Return an automaton that looks for all prefixes in one pass."""
    return compile_bytes("|".join(needle for _, needles, _ in _PATTERNS for needle in needles))


def _is_jwt_header(encoded: str) -> bool:
    """Whether a JWT's first part is the header that RFC 7515 §4 asks for, with an algorithm."""
    try:
        header = json.loads(pybase64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header
