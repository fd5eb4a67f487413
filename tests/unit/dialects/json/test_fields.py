"""The readers of fields: what each takes, and the path that its error names."""

import json
from typing import Any

import pytest
from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot
from obscura.dialects.json import fields
from obscura.dialects.json.raw import NULL, RawJson, RawObject
from obscura.errors import InvalidRequest, TooManyContentParts, TooManyImages, UnsupportedField

NUMBER, TEXT, EMPTY, OBJECT, ARRAY = Raw(b"7"), Raw(b'"a"'), Raw(b'""'), Raw(b'{"b":1}'), Raw(b"[1,2]")
LONG_NAME = "n" * 150


def body(value: dict[str, Any] | None = None) -> RawJson:
    return RawJson(json.dumps({"a": 1} if value is None else value).encode())


def test_a_path_is_joined_with_a_dot_except_at_the_root() -> None:
    assert fields.join_path("", "a") == "a"
    assert fields.join_path("messages[0]", "a") == "messages[0].a"
    assert fields.join_path("m", LONG_NAME) == "m." + "n" * 100


def test_a_required_string_is_decoded() -> None:
    sent = body({"a": "x\n"})

    assert fields.required_string(sent, sent.root, "a") == "x\n"


@pytest.mark.parametrize("leaf", [NUMBER, EMPTY, OBJECT, ARRAY, NULL, None])
def test_a_required_string_is_not_empty_and_no_other_value(leaf: Raw | None) -> None:
    holder: RawObject = {} if leaf is None else {"a": leaf}
    with pytest.raises(InvalidRequest, match=r"^'tools\[0\]\.a' is required and must be a string\.$") as refused:
        fields.required_string(body(), holder, "a", "tools[0]")

    assert refused.value.param == "tools[0].a"


def test_a_raw_string_is_any_string_and_nothing_else() -> None:
    assert fields.raw_string_at({"a": EMPTY}, "a") == EMPTY
    for leaf in (NUMBER, OBJECT, NULL):
        with pytest.raises(InvalidRequest, match="'a' is required and must be a string"):
            fields.raw_string_at({"a": leaf}, "a")


def test_a_raw_object_is_an_object_and_nothing_else() -> None:
    assert fields.raw_object_at({"a": OBJECT}, "a") == OBJECT
    for leaf in (NUMBER, TEXT, ARRAY, NULL):
        with pytest.raises(InvalidRequest, match=r"^'p\.a' is required and must be an object\.$"):
            fields.raw_object_at({"a": leaf}, "a", "p")


@pytest.mark.parametrize(("sent", "expected"), [(b"0", 0), (b"7", 7), (b"120", 120)])
def test_a_required_int_is_a_whole_number(sent: bytes, expected: int) -> None:
    assert fields.required_int({"a": Raw(sent)}, "a") == expected


@pytest.mark.parametrize("sent", [b"-1", b"1.0", b"1e3", b'"1"', b"null", b"true"])
def test_a_required_int_is_nothing_else(sent: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"'p\.a' is required and must be a positive whole number"):
        fields.required_int({"a": Raw(sent)}, "a", "p")
    with pytest.raises(InvalidRequest):
        fields.required_int({}, "a")


@pytest.mark.parametrize(("holder", "expected"), [({}, False), ({"a": NULL}, False)])
def test_an_optional_bool_is_false_without_a_value(holder: dict[str, Any], expected: bool) -> None:
    assert fields.optional_bool(holder, "a") is expected


def test_an_optional_bool_is_true_or_false() -> None:
    assert fields.optional_bool({"a": Raw(b"true")}, "a") is True
    assert fields.optional_bool({"a": Raw(b"false")}, "a") is False
    for leaf in (NUMBER, TEXT, OBJECT):
        with pytest.raises(InvalidRequest, match=r"^'p\.a' must be true or false\.$") as refused:
            fields.optional_bool({"a": leaf}, "a", "p")
        assert refused.value.param == "p.a"


@pytest.mark.parametrize("holder", [{}, {"a": NULL}])
def test_an_optional_object_or_array_is_empty_without_a_value(holder: dict[str, Any]) -> None:
    assert fields.optional_object(holder, "a") == {}
    assert fields.optional_array(holder, "a") == []


def test_an_optional_object_or_array_is_opened() -> None:
    assert fields.optional_object({"a": OBJECT}, "a") == {"b": Raw(b"1")}
    assert fields.optional_array({"a": ARRAY}, "a") == [Raw(b"1"), Raw(b"2")]
    with pytest.raises(InvalidRequest, match=r"'p\.a' must be an object"):
        fields.optional_object({"a": ARRAY}, "a", "p")
    with pytest.raises(InvalidRequest, match=r"'p\.a' must be an array"):
        fields.optional_array({"a": OBJECT}, "a", "p")


def test_one_of_is_a_string_of_the_choices() -> None:
    assert fields.one_of(body(), {"a": TEXT}, "a", ("a", "b")) == "a"
    holders: list[RawObject] = [{"a": Raw(b'"c"')}, {"a": NUMBER}, {}]
    for holder in holders:
        with pytest.raises(InvalidRequest, match=r"^'p\.a' must be one of a, b\.$") as refused:
            fields.one_of(body(), holder, "a", ("a", "b"), "p")
        assert refused.value.param == "p.a"


def test_the_text_of_another_leaf_than_a_string_is_empty() -> None:
    assert fields.text_or_empty(body(), TEXT) == "a"
    assert fields.text_or_empty(body(), NUMBER) == fields.text_or_empty(body(), None) == ""


@pytest.mark.parametrize(
    ("leaf", "expected"), [(None, "auto"), (NULL, "auto"), (Raw(b'"low"'), "low"), (Raw(b'"high"'), "high")]
)
def test_an_image_detail_is_auto_unless_it_is_sent(leaf: Raw | None, expected: str) -> None:
    assert fields.image_detail(body(), leaf, "d") == expected


@pytest.mark.parametrize("leaf", [TEXT, EMPTY, NUMBER])
def test_another_image_detail_is_refused(leaf: Raw) -> None:
    with pytest.raises(InvalidRequest, match="'d' must be one of low, auto, high and original") as refused:
        fields.image_detail(body(), leaf, "d")

    assert refused.value.param == "d"


def test_fields_without_a_value_are_left_out() -> None:
    assert fields.without_nulls({"a": TEXT, "b": NULL, "c": None, "d": {}}) == {"a": TEXT, "d": {}}


def test_a_field_that_is_not_known_is_refused_unless_it_is_null() -> None:
    fields.reject_unknown({"a": TEXT, "b": NULL}, {"a"})

    with pytest.raises(UnsupportedField, match=r"^'p\.b' cannot be translated") as refused:
        fields.reject_unknown({"a": TEXT, "b": TEXT}, {"a"}, "p")
    assert refused.value.param == "p.b"


def test_as_many_parts_as_allowed_pass_and_one_more_does_not() -> None:
    limits = ContentLimits(content_parts=2)
    fields.require_part_count([1, 2], "m", limits)

    with pytest.raises(TooManyContentParts, match="'m' has 3 parts; 2 are allowed") as refused:
        fields.require_part_count([1, 2, 3], "m", limits)
    assert refused.value.param == "m"


def test_as_many_images_as_allowed_pass_and_the_first_one_more_is_named() -> None:
    slots = [ImageSlot(f"images[{index}]", memoryview(b""), "auto", lambda _: None) for index in range(4)]
    fields.require_image_count(slots[:2], 2)

    with pytest.raises(TooManyImages, match="The request has 4 images; 2 are allowed") as refused:
        fields.require_image_count(slots, 2)
    assert refused.value.param == "images[2]"
