"""Policies for tests, saved in the stores of a served gateway."""

from typing import Any

from obscura.clock import SystemClock
from obscura.policy.parse import parse_document
from obscura.policy.versions import next_version
from tests.support.gateway import Gateway


async def save(gateway: Gateway, policy_id: str = "p1", **fields: Any) -> None:
    """Save a document as the next version of its policy."""
    assert gateway.stores is not None
    versions = gateway.stores.open_policies().versions
    records = await versions.records(policy_id)
    document = parse_document({"policy_id": policy_id, "name": policy_id, **fields})
    assert await versions.add(next_version(document, records[-1] if records else None, SystemClock().now()))
