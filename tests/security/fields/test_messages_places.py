"""Every place of a Messages request with every carrier of text, media and URLs: nothing goes on unseen."""

import pytest

from tests.security.fields.planting import (
    BLOCKS,
    CARRIERS,
    PLACES,
    UNKNOWN,
    unseen_blocks,
    unseen_in_unknown_fields,
    unseen_strings,
)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_string_of_a_request_passes_unseen(carrier: str) -> None:
    assert unseen_strings(carrier, PLACES) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_an_image_in_any_place_is_an_image_or_refused(block: str) -> None:
    assert unseen_blocks(block, PLACES) == []


@pytest.mark.parametrize(("block", "key"), UNKNOWN)
def test_an_image_in_an_unknown_field_is_an_image_or_refused(block: str, key: str) -> None:
    assert unseen_in_unknown_fields(block, key, PLACES) == []
