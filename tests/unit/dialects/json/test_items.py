"""The items of a body, counted before it is parsed: elements of arrays in its fields, and in fields of elements."""

import pytest

from obscura.dialects.json.prescan import MAX_SMALL_BODY_BYTES
from obscura.dialects.json.raw import RawJson
from obscura.errors import TooManyItems

# Each body with the number of its items; a list without elements counts as one.
BODIES = {
    '{"messages": [1, 2, 3]}': 3,
    '{"messages": [1, 2, 3], "tools": [4, 5]}': 5,
    '{"messages": [{"content": [1, 2]}, {"content": [3, 4, 5]}]}': 7,
    '{"messages": [{"content": "a, b, c, [1, 2, 3]"}, {"content": ["x", "[,,,]"]}]}': 4,
    '{"messages": []}': 1,
    '{"messages": [[1, 2, 3], 4]}': 2,
    '{"tools": [{"function": {"parameters": {"enum": [1, 2, 3, 4, 5, 6], "required": [1, 2]}}}]}': 1,
    '{"messages": [{"content": [{"results": [1, 2, 3, 4, 5]}]}]}': 2,
    '{"metadata": {"list": [1, 2, 3, 4]}, "messages": [1, 2]}': 2,
    '{"a": [1, 2], "b": {"c": [1, 2, 3]}, "d": [1, 2]}': 4,
    '{"messages": [{"content": [1]}, {"content": [2]}], "tools": [{"name": "a"}, {"name": "b"}]}': 6,
    '{"a": 1, "b": 2, "c": 3, "d": {"e": 1, "f": 2}}': 0,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("padding", [0, MAX_SMALL_BODY_BYTES], ids=["small", "large"])
def test_items_are_counted_exactly_wherever_they_stand(body: str, padding: int) -> None:
    items = BODIES[body]
    encoded = f'{body[:-1]}, "padding": "{"x" * padding}"}}'.encode()

    assert RawJson(encoded, max_items=items).root
    if items:
        with pytest.raises(TooManyItems, match=rf"more than {items - 1:,} messages, parts and tools"):
            RawJson(encoded, max_items=items - 1)


def test_the_count_ends_at_the_limit_also_in_what_is_no_json() -> None:
    with pytest.raises(TooManyItems):
        RawJson(b'{"messages": [' + b"1," * 50 + b"}]]", max_items=20)
