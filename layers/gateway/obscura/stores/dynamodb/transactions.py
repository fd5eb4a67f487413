"""Transactions that are made once however often they are sent, by their request tokens."""

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from obscura.stores.dynamodb.database import Client, DynamoDb, ExpectedError, expect_error

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

TOKEN_BYTES = 16


async def update_all_or_none(database: DynamoDb, updates: "Callable[[], Sequence[UpdateTypeDef]]") -> ExpectedError:
    """Make all updates, or none if a condition is not met or another transaction is under way on one of the items.

    It is sent again if no response came: calls with one ClientRequestToken are made once within ten minutes (DynamoDB
    API reference, "TransactWriteItems"). ``updates`` are made in the call's thread, each time the same. Raises
    StoreUnavailable: then it is not known whether they were made.
    """
    token = secrets.token_hex(TOKEN_BYTES)
    return await database.call_idempotent(lambda client: _transact(client, updates(), token))


def _transact(client: Client, updates: "Sequence[UpdateTypeDef]", token: str) -> ExpectedError:
    with expect_error("TransactionCanceledException") as error:
        client.transact_write_items(TransactItems=[{"Update": update} for update in updates], ClientRequestToken=token)
    return error
