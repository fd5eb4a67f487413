"""Which members of a group are asked, and in which order."""

from collections import Counter
from dataclasses import replace
from typing import Literal

import pytest

from obscura.dialects.base import ContentLimits, ParsedRequest, RequestHead
from obscura.dialects.json.raw import RawJson
from obscura.dialects.registry import load_dialect
from obscura.errors import UnsupportedField
from obscura.pipeline.members import narrowed, only
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.catalog_group import grouped
from obscura.upstreams.demo import DemoModel
from obscura.upstreams.image_limits import PRESETS, strictest


def a_request() -> ParsedRequest:
    body = RawJson(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    parsed: ParsedRequest = load_dialect("chat").parse(RequestHead(), body, ContentLimits())
    return parsed


def a_group(*weights: float, mode: Literal["fallback", "weighted"] = "fallback") -> CatalogModel:
    members = [
        CatalogModel(
            f"m{number}", DemoModel(), upstream_name=f"u{number}", weight=weight, pass_types=frozenset({str(weight)})
        )
        for number, weight in enumerate(weights)
    ]
    return grouped("m", members, mode)


async def anything(_member: CatalogModel) -> None:
    return


async def test_a_fallback_group_that_can_carry_all_stays_as_it_is() -> None:
    group = a_group(1, 2)

    assert await narrowed(a_request(), group, "chat", anything) is group


async def test_members_that_cannot_carry_a_request_are_left_out() -> None:
    async def not_the_first(member: CatalogModel) -> None:
        if member.id == "m0":
            raise UnsupportedField("no")

    left = await narrowed(a_request(), a_group(1, 2, 3), "chat", not_the_first)

    assert [member.id for member in left.members] == ["m1", "m2"]
    assert (left.id, left.upstream_name) == ("m", "u1")


async def test_if_none_is_left_the_first_ones_error_is_raised() -> None:
    async def never(member: CatalogModel) -> None:
        raise UnsupportedField(member.id)

    with pytest.raises(UnsupportedField, match="m0"):
        await narrowed(a_request(), a_group(1, 2), "chat", never)


async def test_weights_draw_the_first_member_and_the_order_of_the_others() -> None:
    parsed, group = a_request(), a_group(6, 3, 1, mode="weighted")
    drawn = [await narrowed(parsed, group, "chat", anything) for _ in range(4_000)]
    first = Counter(model.members[0].id for model in drawn)
    second_after_m0 = Counter(model.members[1].id for model in drawn if model.members[0].id == "m0")

    assert all(len(model.members) == 3 for model in drawn)
    assert abs(first["m0"] / 4_000 - 0.6) < 0.05  # of a deviation of 0.008
    assert abs(first["m1"] / 4_000 - 0.3) < 0.05
    assert abs(second_after_m0["m1"] / first["m0"] - 0.75) < 0.06


def test_only_keeps_a_group_whole_if_no_member_is_left() -> None:
    group = a_group(1, 2)

    assert only(group, lambda _member: False) is group
    assert [member.id for member in only(group, lambda member: member.id == "m1").members] == ["m1"]
    assert only(replace(group, members=()), lambda _member: True).members == ()


@pytest.mark.parametrize("mode", ["fallback", "weighted"])
async def test_images_are_held_to_the_strictest_limits_of_all_that_may_be_asked(
    mode: Literal["fallback", "weighted"],
) -> None:
    limits = [PRESETS["openai"], PRESETS["anthropic"], PRESETS["bedrock"]]
    members = [
        CatalogModel(f"m{number}", DemoModel(), upstream_name=f"u{number}", image_limits=one)
        for number, one in enumerate(limits)
    ]

    async def not_the_last(member: CatalogModel) -> None:
        if member.id == "m2":
            raise UnsupportedField("no")

    all_of_them = await narrowed(a_request(), grouped("m", members, mode), "chat", anything)
    unlike = replace(grouped("m", members, mode), members_alike=False)
    some = await narrowed(a_request(), unlike, "chat", not_the_last)

    assert all_of_them.image_limits == strictest(limits)
    assert some.image_limits == strictest(limits[:2])
    assert only(all_of_them, lambda member: member.id == "m2").image_limits == limits[2]
