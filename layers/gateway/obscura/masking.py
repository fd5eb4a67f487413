"""Messages of other servers as callers may see them: short, and without credentials and internal addresses.

Every pattern takes time in proportion to its text: repetitions are possessive or bounded, and begin at a boundary.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

MAX_MESSAGE_CHARS = 500
_MAX_READ_CHARS = 4 * MAX_MESSAGE_CHARS
"""What is masked before it is cut: a credential that the cut would halve is whole here."""

MASK = "[masked]"

_URL = re.compile(
    r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{1,15}://(?:[^\s\"'<>`|\\()\[\]{}]++|\[[0-9A-Fa-f:.%]{2,60}+\])++"
)
_QUERY_VALUE = re.compile(r"([?&;#][^=&;#\s]{0,100}=)[^&;#\s]++")
_SCHEME = re.compile(r"\b(bearer|basic|apikey)(\s++)[^\s\"',;]{4,}+", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:key|token|secret|password|passwd|pwd|signature|sig|credential|authorization)[\"']?\s{0,4}=\s{0,4}[\"']?|"
    r"(?:api[_\-]?key|authorization|access[_\-]token|client[_\-]secret|secret[_\-]access[_\-]key|password)"
    r"[\"']?\s{0,4}:\s{0,4}[\"']?)[^\s\"',;&)]++",
    re.IGNORECASE,
)
_JWT = re.compile(r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{5,}+(?:\.[A-Za-z0-9_\-*]*+)*+")
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk|obs|gsk|ghp|gho|ghs|hf|r8|whsec|glpat|xai|nvapi|fw|pplx|tgp|csk|xox[a-z])[_\-][A-Za-z0-9_\-*.…]{6,}+"
    r"|(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9*]{8,}+"
    r"|AIza[A-Za-z0-9_\-*]{10,}+"
    r"|ya29\.[A-Za-z0-9_\-*.]{6,}+)"
)
_SECRET = re.compile(r"(?<![A-Za-z0-9/+=_\-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_\-])")
"""An AWS secret access key has 40 characters of base64 (AWS IAM user guide, "Access keys")."""
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?!\w|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])\[?([0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3})(?:%[\w.]{1,20})?(?:\](?::\d{1,5})?)?(?![\w:])"
)
_HOST = re.compile(
    r"(?<![A-Za-z0-9_.\-@/])[A-Za-z0-9_\-]{1,63}+(?:\.[A-Za-z0-9_\-]{1,63}+){0,8}+\.?(?::\d{1,5}+)?(?![A-Za-z0-9_\-])"
)
_NAMED_HOST = re.compile(
    r"\b(host(?:name)?[\"']?\s{0,4}[=:]\s{0,4}[\"']?|(?:ENOTFOUND|EAI_AGAIN|lookup|resolv(?:e|ing)(?: host)?:?)\s{1,4}"
    r"[\"']?)([A-Za-z0-9_][A-Za-z0-9_.\-]{0,253}(?::\d{1,5})?)",
    re.IGNORECASE,
)
_BARE_HOST = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,62}:\d{3,5}")
_INTERNAL_SUFFIXES = (
    *(".internal", ".local", ".localdomain", ".localhost", ".lan", ".intranet", ".corp", ".home", ".private"),
    *(".home.arpa", ".svc", ".svc.cluster", ".consul", ".docker"),
)


def masked(message: str) -> str:
    """Return the first ``MAX_MESSAGE_CHARS`` characters of another server's message, with what is internal masked.

    Masked are keys, tokens and passwords in their usual forms, and the URLs, addresses and names of hosts that are not
    public: private, loopback, link-local and unique local addresses, names without a dot or below ``.internal`` and
    its like. A name without a dot is known by its port, by the scheme before it, or by words such as ``host=``.
    """
    text = message[:_MAX_READ_CHARS]
    text = _URL.sub(_masked_url, text)
    for pattern in (_SCHEME, _NAMED):
        text = pattern.sub(_value_masked, text)
    for pattern in (_JWT, _KEY):
        text = pattern.sub(MASK, text)
    text = _SECRET.sub(_masked_secret, text)
    text = _IPV6.sub(_masked_ipv6, text)
    text = _IPV4.sub(_masked_ipv4, text)
    text = _NAMED_HOST.sub(_masked_named_host, text)
    return _HOST.sub(_masked_host, text)[:MAX_MESSAGE_CHARS]


def masked_values(value: object) -> object:
    """Return decoded JSON, such as an error, with every string of it masked, its keys too."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {masked(key): masked_values(inner) for key, inner in value.items()}
        case list():
            return [masked_values(inner) for inner in value]
    return value


def _value_masked(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2] if found.re is _SCHEME else ''}{MASK}"


def _masked_url(found: re.Match[str]) -> str:
    url = found[0]
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return MASK
    if not host or _is_internal(host):
        return MASK
    if "@" in parts.netloc:
        url = url.replace(parts.netloc, f"{MASK}@{parts.netloc.rpartition('@')[2]}", 1)
    return _QUERY_VALUE.sub(rf"\1{MASK}", url)


def _masked_secret(found: re.Match[str]) -> str:
    text = found[0]
    is_secret = any(map(str.isdigit, text)) and any(map(str.isupper, text)) and any(map(str.islower, text))
    return MASK if is_secret else text


def _masked_ipv6(found: re.Match[str]) -> str:
    return MASK if found[1].count(":") > 1 and _is_internal_address(found[1]) else found[0]


def _masked_ipv4(found: re.Match[str]) -> str:
    return MASK if _is_internal_address(found[0].partition(":")[0]) else found[0]


def _masked_host(found: re.Match[str]) -> str:
    host = found[0].partition(":")[0].lower().rstrip(".")
    if _BARE_HOST.fullmatch(found[0]) or host == "localhost" or ("." in host and host.endswith(_INTERNAL_SUFFIXES)):
        return MASK
    return found[0]


def _masked_named_host(found: re.Match[str]) -> str:
    host = found[2].partition(":")[0]
    return f"{found[1]}{MASK}" if _is_internal(host) else found[0]


def _is_internal(host: str) -> bool:
    name = host.lower().rstrip(".")
    if ":" in name or name.replace(".", "").isdigit():
        return _is_internal_address(name)
    return "." not in name or name.endswith(_INTERNAL_SUFFIXES)


def _is_internal_address(text: str) -> bool:
    """Whether a text is an address that is not of the public internet."""
    try:
        return not ip_address(text.partition("%")[0]).is_global
    except ValueError:
        return False
