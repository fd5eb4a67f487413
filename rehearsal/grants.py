"""AWS permissions, call by call: all calls that are tried, and for each family those that it needs."""

from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from rehearsal.account import Account
from rehearsal.families import FAMILIES
from rehearsal.stack import NAME, Stack

_DENIED = "AccessDenied"
"""In the code of a denied call; moto puts it into the message if the service speaks JSON."""


@dataclass(frozen=True)
class Call:
    """One call of AWS's API; ``target`` is a table's short name, the prefix of an object, or a path of parameters."""

    service: str
    operation: str
    target: str

    def __str__(self) -> str:
        return f"{self.service} {self.operation} {self.target}"


_FILE_CALLS = ("get_item", "put_item", "update_item", "delete_item", "query")
_ITEM_CALLS = (*_FILE_CALLS, "scan", "batch_get_item", "batch_write_item")
_TABLES = ("keys", "rates", "files", "verdicts", "policies")
_OBJECT_CALLS = ("get_object", "put_object", "delete_object")
_PREFIXES = ("originals/", "prepared/", "parts/", "lists/", "elsewhere/")
_COMMON_SECRETS = ("upstream-key", "moderation-key", "address-secret", "upstreams/a")
_SINK_SECRETS = ("policy-webhook-secret", "policy-splunk-token", "policy-datadog-key", "policy-otlp-headers")
_SECRETS = ("/obscura", "/obscura/upstreams/b")
FIREHOSE = "decisions"
"""A stream that a stack's parameter ``PolicyFirehose`` may name."""

UNIVERSE = (
    *(Call("dynamodb", operation, table) for table in (*_TABLES, "of-another-stack") for operation in _ITEM_CALLS),
    *(Call("s3", operation, prefix) for prefix in _PREFIXES for operation in _OBJECT_CALLS),
    Call("s3", "list_objects_v2", ""),
    Call("firehose", "put_record_batch", FIREHOSE),
    Call("firehose", "put_record_batch", "another"),
    Call("ssm", "get_parameters_by_path", "/obscura"),
    Call("ssm", "get_parameters_by_path", "/of-another-stack"),
    *(Call("ssm", "get_parameters", f"/obscura/{name}") for name in (*_COMMON_SECRETS, *_SINK_SECRETS, "another")),
    Call("ssm", "get_parameters", "/of-another-stack/upstream-key"),
    *(Call("secretsmanager", "get_secret_value", name) for name in (*_SECRETS, "/of-another-stack")),
    Call("ssm", "get_parameter", "/of-another-stack/secret"),
    Call("ssm", "put_parameter", "/obscura/upstream-key"),
    Call("ssm", "delete_parameter", "/obscura/upstream-key"),
    Call("iam", "create_user", "another-user"),
)

ADMISSION = frozenset(
    {
        Call("dynamodb", "get_item", "keys"),
        Call("dynamodb", "update_item", "rates"),
        Call("dynamodb", "get_item", "rates"),
        *(Call("ssm", "get_parameters", f"/obscura/{name}") for name in _COMMON_SECRETS),
        *(Call("secretsmanager", "get_secret_value", name) for name in _SECRETS),
    }
)
NOTHING: frozenset[Call] = frozenset()
INFERENCE = ADMISSION | {
    Call("dynamodb", "get_item", "files"),
    Call("dynamodb", "batch_get_item", "verdicts"),
    Call("dynamodb", "batch_write_item", "verdicts"),
    Call("s3", "get_object", "originals/"),
    Call("s3", "get_object", "prepared/"),
    Call("s3", "put_object", "prepared/"),
    Call("s3", "get_object", "lists/"),
}
INSPECT = INFERENCE | {
    Call("dynamodb", "get_item", "policies"),
    Call("dynamodb", "query", "policies"),
    Call("dynamodb", "batch_get_item", "rates"),
}
SINKS = frozenset(Call("ssm", "get_parameters", f"/obscura/{name}") for name in _SINK_SECRETS)
POLICY = INSPECT | SINKS
FILES = ADMISSION | {
    *(Call("dynamodb", operation, "files") for operation in _FILE_CALLS),
    *(Call("s3", operation, prefix) for prefix in _PREFIXES[:3] for operation in _OBJECT_CALLS),
}

POLICIES = (
    ADMISSION
    | SINKS
    | {
        Call("s3", "get_object", "lists/"),
        *(Call("dynamodb", operation, "policies") for operation in ("get_item", "put_item", "delete_item", "query")),
    }
)

USAGE = ADMISSION | {Call("dynamodb", "batch_get_item", "rates")}

_NEEDED_BY = {
    "files": FILES,
    "policy": POLICY,
    "inspect": INSPECT,
    "policies": POLICIES,
    "usage": USAGE,
    "playground": NOTHING,
}
NEEDED = {name: _NEEDED_BY.get(name, INFERENCE if family.dialects else ADMISSION) for name, family in FAMILIES.items()}
"""By family: what every function needs, and more for those that call a model and those that store something."""


def allowed_calls(account: Account, stack: Stack, role: str) -> set[Call]:
    """Make every call in a role, and return those that were allowed."""
    session: Any = account.session(role)
    config = Config(retries={"total_max_attempts": 1})
    services = {call.service for call in UNIVERSE}
    clients = {name: session.client(name, endpoint_url=account.origin, config=config) for name in services}
    return {call for call in UNIVERSE if _is_allowed(call, clients[call.service], stack)}


def _is_allowed(call: Call, client: Any, stack: Stack) -> bool:
    """Whether a call is allowed, with any result."""
    try:
        getattr(client, call.operation)(**_arguments(call, stack))
    except ClientError as failure:
        error = failure.response["Error"]
        return _DENIED not in error["Code"] + error["Message"]
    return True


def _arguments(call: Call, stack: Stack) -> dict[str, Any]:
    match call.service:
        case "dynamodb":
            return _item_arguments(call)
        case "s3":
            bucket = {"Bucket": stack.ref("Bucket")}
            return bucket if call.operation == "list_objects_v2" else bucket | {"Key": f"{call.target}thing"}
        case "ssm":
            member = {"get_parameters_by_path": "Path", "get_parameters": "Names"}.get(call.operation, "Name")
            named: dict[str, Any] = {member: [call.target] if member == "Names" else call.target}
            return named | ({"Value": "x", "Type": "SecureString"} if call.operation == "put_parameter" else {})
        case "firehose":
            return {"DeliveryStreamName": call.target, "Records": [{"Data": b"{}"}]}
        case _:
            return {"SecretId" if call.service == "secretsmanager" else "UserName": call.target}


def _item_arguments(call: Call) -> dict[str, Any]:
    keys = {
        "keys": ("secret_sha256",),
        "rates": ("subject",),
        "files": ("project", "id"),
        "policies": ("policy", "item"),
    }
    parts = keys.get(call.target, ("id",))
    key = {part: {"S": "x"} for part in parts}
    table = {"TableName": f"{NAME}-{call.target}"}
    match call.operation:
        case "put_item":
            return table | {"Item": key}
        case "scan":
            return table
        case "batch_get_item" | "batch_write_item":
            part: Any = {"Keys": [key]} if call.operation == "batch_get_item" else [{"PutRequest": {"Item": key}}]
            return {"RequestItems": {table["TableName"]: part}}
        case "query":
            return table | {
                "KeyConditionExpression": f"{parts[0]} = :x",
                "ExpressionAttributeValues": {":x": {"S": "x"}},
            }
        case "update_item":
            added = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
            return table | {"Key": key} | added
        case _:
            return table | {"Key": key}
