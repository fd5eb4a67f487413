"""Which members of a group of models may be asked with a request, and in which order (ADR 165)."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from obscura.dialects.base import ParsedRequest
from obscura.errors import ObscuraError
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.image_limits import strictest

type MemberCheck = Callable[[CatalogModel], Awaitable[None]]
"""Raises the error for a model that cannot carry the request."""


async def narrowed(parsed: ParsedRequest, model: CatalogModel, dialect: str, check: MemberCheck) -> CatalogModel:
    """Return a group with the members that can carry a request, in the order in which they are asked.

    A request that is bound to one upstream goes to the first member that would get what binds it, and to none after it
    that would get it too. Raises the error of the first member if none is left.
    """
    if model.members_alike:
        await check(model.members[0])
        members = model.members
        if parsed.is_bound(native=dialect in model.dialects):
            members = members[:1]
    else:
        members = _without_other_accounts(parsed, await _that_pass(model.members, check), dialect)
    if model.mode == "weighted" and len(members) > 1:
        members = _drawn(members)
    elif len(members) == len(model.members):
        return model
    return _group(model, members)


def only(model: CatalogModel, keep: Callable[[CatalogModel], bool]) -> CatalogModel:
    """Return a group with those of its members that ``keep`` holds for; as it is if that is none, or no group."""
    members = tuple(member for member in model.members if keep(member))
    return _group(model, members) if members else model


def _group(model: CatalogModel, members: tuple[CatalogModel, ...]) -> CatalogModel:
    """Return a group of these members of ``model``; images are held to the strictest limits of those that are left."""
    all_left = len(members) == len(model.members)
    limits = model.image_limits if all_left else strictest(member.image_limits for member in members)
    return replace(members[0], id=model.id, members=members, mode=model.mode, image_limits=limits)


def in_turn(model: CatalogModel) -> CatalogModel:
    """Return a group with its members in the order in which they are asked for one request."""
    return replace(model, members=_drawn(model.members)) if model.mode == "weighted" and model.members else model


async def _that_pass(members: Sequence[CatalogModel], check: MemberCheck) -> tuple[CatalogModel, ...]:
    passing: list[CatalogModel] = []
    first_failure: ObscuraError | None = None
    for member in members:
        try:
            await check(member)
        except ObscuraError as error:
            first_failure = first_failure or error
        else:
            passing.append(member)
    if first_failure is not None and not passing:
        raise first_failure
    return tuple(passing)


def _without_other_accounts(
    parsed: ParsedRequest, members: Sequence[CatalogModel], dialect: str
) -> tuple[CatalogModel, ...]:
    bound = [member for member in members if parsed.is_bound(native=dialect in member.dialects)]
    return tuple(member for member in members if member not in bound[1:])


def _drawn(members: Sequence[CatalogModel]) -> tuple[CatalogModel, ...]:
    """Draw an order by weight without replacement (P. S. Efraimidis, P. G. Spirakis, 2006, algorithm A)."""
    return tuple(sorted(members, key=lambda member: random.random() ** (1 / member.weight), reverse=True))  # noqa: S311
