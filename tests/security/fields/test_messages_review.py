"""Every field of the SDK's request types, with text, media or URLs in every place: nothing goes on unseen.

Each place has one of the carriers here; ``tests/security/fields`` has all of them in each.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obscura.errors import ObscuraError
from tests.contract.fields.messages.sdk_requests import Keys
from tests.security.fields.planting import (
    BLOCKS,
    CARRIERS,
    PLACES,
    REQUESTS,
    UNKNOWN,
    planted,
    unseen_blocks,
    unseen_in_unknown_fields,
    unseen_strings,
)
from tests.support.json_texts import strictly_read, values
from tests.unit.dialects.messages.conversations import parse, with_images


def share[T](all_of_them: list[T], one: T) -> list[tuple[dict[str, Any], Keys]]:
    """The places that one carrier of several has: a part of them, another than the others have."""
    return PLACES[all_of_them.index(one) :: len(all_of_them)]


def test_a_request_with_every_field_of_the_sdk_is_accepted() -> None:
    for request in REQUESTS:
        for part in parse(request).unchecked:
            assert part.kind in {"document", "container_upload"}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_string_of_a_request_passes_unseen(carrier: str) -> None:
    assert unseen_strings(carrier, share(list(CARRIERS), carrier)) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_an_image_in_any_place_is_an_image_or_refused(block: str) -> None:
    assert unseen_blocks(block, share(list(BLOCKS), block)) == []


@pytest.mark.parametrize(("block", "key"), UNKNOWN)
def test_an_image_in_an_unknown_field_is_an_image_or_refused(block: str, key: str) -> None:
    assert unseen_in_unknown_fields(block, key, share(UNKNOWN, (block, key))) == []


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
    for number, (request, keys) in enumerate(PLACES[::3]):
        check_sent_or_rejected(planted(request, keys, STRANGE[number % len(STRANGE)]))


@settings(max_examples=50)
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
