"""Queries and scans that come in pages of a megabyte (DynamoDB, "Paginating table query results")."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    type Item = dict[str, AttributeValueTypeDef]


# boto3's query and scan share no type beside "takes keywords and gives a mapping".
def gathered(read: Callable[..., Any], asked: Mapping[str, Any], wanted: int | None = None) -> "list[Item]":
    """Read page after page until ``wanted`` items are there, or all."""
    items: list[Item] = []
    behind: dict[str, Any] = {}
    while True:
        told = read(**asked, **behind)
        items += told["Items"]
        if "LastEvaluatedKey" not in told or (wanted is not None and len(items) >= wanted):
            return items
        behind = {"ExclusiveStartKey": told["LastEvaluatedKey"]}
