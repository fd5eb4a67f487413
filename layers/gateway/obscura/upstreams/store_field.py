"""Whether an upstream takes the field ``store``: some servers refuse fields that they do not know.

A zero-retention request is sent with ``"store": false`` to every upstream but these; the catalog's ``store_field`` says
otherwise. Where the field is refused, nothing is stored by it either (ADR 80).
"""

from urllib.parse import urlsplit

_REFUSING_HOSTS = (
    "api.cerebras.ai",  # 400 "property 'store' is unsupported" (huggingface.js, pull request 2268)
    "generativelanguage.googleapis.com",  # 400 'Unknown name "store"' (openhanako, issue 394)
    "api.mistral.ai",  # 422 "Extra inputs are not permitted" for any such field (mistralai/platform-docs-public, 7)
    "api.fireworks.ai",  # 400 "Extra inputs are not permitted" for any such field (Flowise, issue 2866)
)


def takes_store_field(url: str) -> bool:
    """Whether the server at a base URL takes ``store``, as far as it is known: every one that is not listed."""
    host = (urlsplit(url).hostname or "").lower()
    return host not in _REFUSING_HOSTS
