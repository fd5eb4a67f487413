"""The prelude of a streamed response: status and headers as API Gateway takes them, JSON before the eight NULs."""

from collections.abc import Iterable

import msgspec


class Prelude(msgspec.Struct, omit_defaults=True, rename="camel"):
    """API Gateway's developer guide, "Lambda proxy integration with response streaming"."""

    status_code: int
    headers: dict[str, str]
    multi_value_headers: dict[str, list[str]] = {}
    cookies: list[str] = []


def write_prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write the prelude for ASGI's status and headers; a header that comes twice keeps all its values."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    cookies = values.pop("set-cookie", [])
    single = {name: told[0] for name, told in values.items() if len(told) == 1}
    several = {name: told for name, told in values.items() if len(told) > 1}
    return msgspec.json.encode(Prelude(status, single, several, cookies))
