"""Every field of the SDK's request types, with text, media and URLs in every place: nothing goes on unseen."""

import base64
import copy
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import ObscuraError
from tests.support.json_texts import strictly_read, values
from tests.unit.dialects.messages.conversations import parse, with_images
from tests.unit.dialects.messages.sdk_requests import Keys, at, places, requests
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

REQUESTS = list(requests())
PLACES = places(REQUESTS)
SECRETS = (
    *("mcp_servers[0].url", "mcp_servers[0].authorization_token"),
    *("fallback_credit_token", "fallback_credit_token.token"),
)
OF_SECRETS = {"words": "moderated", "url": "passed"}
TEXT_OF_ANY_FORM = {"input", "input_schema", "input_examples", "schema"}
"""Fields that hold any JSON, whose strings are all text: arguments of calls, and schemas."""


def written(keys: Keys) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def planted(request: dict[str, Any], keys: Keys, value: object) -> dict[str, Any]:
    """The request with another value in the place that the keys lead to."""
    request = copy.deepcopy(request)
    at(request, keys[:-1])[keys[-1]] = value
    return request


def outcome(request: dict[str, Any], keys: Keys, carrier: str) -> str:
    """What becomes of a carrier: refused, an image or a PDF, moderated as text, or passed unseen."""
    try:
        parsed = parse(request)
    except ObscuraError as error:
        assert error.status in {400, 404}
        return "refused"
    if any(written(keys).startswith(part.path) for part in parsed.unchecked):
        return "refused"
    if any(bytes(slot.source).decode() == carrier for slot in (*parsed.images, *parsed.documents)):
        return "image"
    return "moderated" if any(carrier in words for words in parsed.texts) else "passed"


def test_a_request_with_every_field_of_the_sdk_is_accepted() -> None:
    for request in REQUESTS:
        for part in parse(request).unchecked:
            assert part.kind in {"document", "container_upload"}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_string_of_a_request_passes_unseen(carrier: str) -> None:
    value = CARRIERS[carrier]

    for request, keys in PLACES:
        if isinstance(at(request, keys), str):
            found = outcome(planted(request, keys, value), keys, value)

            if written(keys) not in SECRETS:
                assert found != "passed", written(keys)
            else:
                assert found == OF_SECRETS.get(carrier, "refused"), written(keys)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_image_in_any_place_is_an_image_or_refused(block: str) -> None:
    value, carrier = BLOCKS[block]

    for request, keys in PLACES:
        found = outcome(planted(request, keys, value), keys, carrier)

        if TEXT_OF_ANY_FORM & set(keys):
            assert found != "passed", written(keys)
        elif not (carrier == URL and written(keys).startswith(SECRETS)):
            assert found in {"image", "refused"}, written(keys)


@pytest.mark.parametrize(("block", "key"), [("image", "x_vendor"), ("list", "content"), ("image_url", "Content")])
def test_an_image_in_an_unknown_field_is_an_image_or_refused(block: str, key: str) -> None:
    value, carrier = BLOCKS[block]

    for request, keys in PLACES:
        holder = at(request, keys)
        if isinstance(holder, dict) and key not in holder and not TEXT_OF_ANY_FORM & set(keys):
            assert outcome(planted(request, (*keys, key), value), keys, carrier) in {"image", "refused"}, written(keys)


STRANGE: tuple[object, ...] = (
    None,
    True,
    -1,
    1e308,
    "",
    "x",
    [],
    {},
    [[]],
    [None],
    {"type": []},
    [{"type": "image"}],
    {"type": "document"},
)


def test_a_strange_value_in_any_place_is_a_request_or_a_client_error() -> None:
    for number, (request, keys) in enumerate(PLACES):
        check_sent_or_rejected(planted(request, keys, STRANGE[number % len(STRANGE)]))


@given(st.sampled_from(PLACES), values)
def test_any_json_in_any_place_is_a_request_or_a_client_error(
    place: tuple[dict[str, Any], Keys], value: object
) -> None:
    request, keys = place

    check_sent_or_rejected(planted(request, keys, value))


def check_sent_or_rejected(request: dict[str, Any]) -> None:
    """Check that an upstream of either kind gets JSON, or the caller an error of its own."""
    for dialects in ({"messages"}, {"chat"}):
        try:
            parsed = parse(request)
            parsed.check_translatable(dialects)
            for part in parsed.unchecked:
                raise part.error
            sent = with_images(parsed).to_upstream(dialects).body
        except ObscuraError as error:
            assert error.status in {400, 404}
            assert error.message
        else:
            strictly_read(sent)
