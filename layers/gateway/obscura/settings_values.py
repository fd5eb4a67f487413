"""Validators of settings that several modules have."""

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, SecretStr

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


def base_url(value: str) -> str:
    """Check an http(s) URL that others are below, and return it without its last slash; raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL, such as https://api.openai.com/v1")
    return value.rstrip("/")


def otlp_headers(text: str) -> list[tuple[str, str]]:
    """Return the headers in ``name=value,name=value``, values percent-encoded as OTEL_EXPORTER_OTLP_HEADERS has them.

    Raises ValueError.
    """
    headers = []
    for pair in filter(None, map(str.strip, text.split(","))):
        name, separator, value = pair.partition("=")
        decoded = unquote(value.strip())
        if not separator or not _HEADER_NAME.fullmatch(name.strip()):
            raise ValueError("must be headers such as api-key=secret,x-tenant=team")
        if not (decoded.isascii() and decoded.isprintable()):
            raise ValueError("must have values of printable ASCII, as HTTP headers are")
        headers.append((name.strip(), decoded))
    return headers


def checked(read: Callable[[str], object]) -> AfterValidator:
    """Return the validator of a secret with an inner form; ``read`` raises ValueError for another one."""

    def check(secret: SecretStr | None) -> SecretStr | None:
        return secret if secret is not None and read(secret.get_secret_value()) else None

    return AfterValidator(check)


def endpoint(value: str) -> str:
    """Check a URL that is requested as it is, with its last slash if it has one."""
    base_url(value)
    if not (value.isascii() and value.isprintable()) or " " in value or urlsplit(value).fragment:
        raise ValueError("must be printable ASCII, without spaces and without a fragment (#)")
    return value


type Endpoint = Annotated[str, AfterValidator(endpoint)]
