"""Text, media and URLs in the places of a Messages request, and what becomes of them."""

import base64
import copy
from typing import Any
from urllib.parse import quote

from obscura.errors import ObscuraError
from tests.contract.fields.messages.sdk_requests import Keys, at, places, requests
from tests.unit.dialects.messages.conversations import parse
from tests.unit.imaging.images import a_plain

PNG = base64.b64encode(a_plain(4, 4, "PNG")).decode()
WORDS = "two marked words"
URL = "https://example.com/a.png"
DATA_URL = f"data:image/png;base64,{PNG}"
CARRIERS = {
    "words": WORDS,
    "url": URL,
    "png": PNG,
    "data url": DATA_URL,
    "hex": a_plain(4, 4, "PNG").hex(),
    "percent": quote(DATA_URL, safe=""),
}
BLOCKS: dict[str, tuple[object, str]] = {
    "image": ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, PNG),
    "image_url": ({"type": "image_url", "image_url": {"url": DATA_URL}}, DATA_URL),
    "input_image": ({"type": "input_image", "image_url": URL}, URL),
    "list": ([{"type": "image", "source": {"type": "url", "url": URL}}], URL),
}
"""Images as blocks of this API and of others, each with the string that a model would load."""

UNKNOWN = [("image", "x_vendor"), ("list", "content"), ("image_url", "Content")]
"""Blocks in fields that their object does not have."""

REQUESTS = list(requests())
PLACES = places(REQUESTS)
SECRETS = (
    *("mcp_servers[0].url", "mcp_servers[0].authorization_token"),
    *("fallback_credit_token", "fallback_credit_token.token"),
)
OF_SECRETS = {"words": "moderated", "url": "moderated"}
TEXT_OF_ANY_FORM = {"input", "input_schema", "input_examples", "schema"}
"""Fields that hold any JSON, whose strings are all text: arguments of calls, and schemas."""


def written(keys: Keys) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def planted(request: dict[str, Any], keys: Keys, value: object) -> dict[str, Any]:
    """The request with another value in the place that the keys lead to; what is not on the way there is shared."""
    changed: Any = copy.copy(request)
    holder = changed
    for key in keys[:-1]:
        holder[key] = copy.copy(holder[key])
        holder = holder[key]
    holder[keys[-1]] = value
    assert isinstance(changed, dict)
    return changed


def outcome(request: dict[str, Any], keys: Keys, carrier: str) -> str:
    """What becomes of a carrier: refused, an image or a PDF, moderated as text, or passed unseen."""
    try:
        parsed = parse(request)
    except ObscuraError as error:
        assert error.status in {400, 404}
        return "refused"
    if any(written(keys).startswith(part.path) for part in parsed.unchecked):
        return "refused"
    sources = [slot.source for slot in parsed.images] + [slot.source for slot in parsed.documents]
    if any(bytes(source).decode() == carrier for source in sources):
        return "image"
    return "moderated" if any(carrier in words for words in parsed.texts) else "passed"


def unseen_strings(carrier: str, places_: list[tuple[dict[str, Any], Keys]]) -> list[str]:
    """The places at which a carrier as the string passes unseen, and secrets that are not treated as they should."""
    value, found = CARRIERS[carrier], []
    for request, keys in places_:
        if isinstance(at(request, keys), str):
            became = outcome(planted(request, keys, value), keys, value)
            if became != OF_SECRETS.get(carrier, "refused") if written(keys) in SECRETS else became == "passed":
                found.append(f"{written(keys)}: {became}")
    return found


def unseen_blocks(block: str, places_: list[tuple[dict[str, Any], Keys]]) -> list[str]:
    """The places at which an image in a block is neither an image here nor refused; as text it may be in some."""
    value, carrier = BLOCKS[block]
    found = []
    for request, keys in places_:
        became = outcome(planted(request, keys, value), keys, carrier)
        if became not in ({"image", "refused", "moderated"} if TEXT_OF_ANY_FORM & set(keys) else {"image", "refused"}):
            found.append(f"{written(keys)}: {became}")
    return found


def unseen_in_unknown_fields(block: str, key: str, places_: list[tuple[dict[str, Any], Keys]]) -> list[str]:
    """The objects in which an image, in a block in an unknown field, is neither an image here nor refused."""
    value, carrier = BLOCKS[block]
    found = []
    for request, keys in places_:
        holder = at(request, keys)
        if isinstance(holder, dict) and key not in holder and not TEXT_OF_ANY_FORM & set(keys):
            became = outcome(planted(request, (*keys, key), value), keys, carrier)
            if became not in {"image", "refused"}:
                found.append(f"{written(keys)}: {became}")
    return found
