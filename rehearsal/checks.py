"""What must hold of the stack before anybody deploys it: each check gives its faults, none when all is well."""

from collections.abc import Callable, Iterator

from pydantic import SecretStr

from obscura.settings import PREFIX, Settings
from obscura.stores.dynamodb.tables import EXPIRES_AT, TABLES
from rehearsal.families import COMMON, STREAMED, code_routes, families
from rehearsal.routes import routes_of
from rehearsal.stack import NAME, Json, Stack

type Check = Callable[[Stack], Iterator[str]]

STREAM_MS = 900_000
WRAPPER = "/opt/bin/obscura-runtime"
LEFT_TO_DEFAULTS = frozenset(
    {"models", "max_body_bytes", "max_image_bytes", "max_pixels", "max_images", "trusted_proxies"}
)
"""Settings that a stack does without (one upstream, no proxy but API Gateway) or whose defaults suit Lambda too; every
other one is set by the template."""


def routes(stack: Stack) -> Iterator[str]:
    """Every route of the code leads to its family's function, and no other route exists."""
    response = {(route.method, route.path): route.family for route in routes_of(stack)}
    served = {route: family for family in families() for route in code_routes(family)}
    for route in sorted(served.keys() | response.keys()):
        if route not in COMMON and response.get(route) != served.get(route):
            yield f"{' '.join(route)}: the code says {served.get(route)}, the template {response.get(route)}"
    yield from (f"{' '.join(route)} leads nowhere" for route in COMMON - response.keys())


def streaming(stack: Stack) -> Iterator[str]:
    """The families that stream do so on every route, for up to 15 minutes; the others on none."""
    functions = functions_by_family(stack)
    for route in routes_of(stack):
        streams = route.family in STREAMED
        if route.streamed != streams or route.timeout_ms != (STREAM_MS if streams else None):
            yield f"{route}"
    for family, function in functions.items():
        wrapper = function["Environment"]["Variables"].get("AWS_LAMBDA_EXEC_WRAPPER")
        if wrapper != (WRAPPER if family in STREAMED else None):
            yield f"{family}: exec wrapper {wrapper}"
        if function["Timeout"] != (STREAM_MS // 1000 if family in STREAMED else 30):
            yield f"{family}: timeout {function['Timeout']} s"


def settings(stack: Stack) -> Iterator[str]:
    """Every OBSCURA_ name is a setting, every setting is set or left to its default on purpose, no secret is told."""
    known = {PREFIX + name.upper(): field for name, field in Settings.model_fields.items()}
    secret = {name for name, field in known.items() if field.annotation == SecretStr | None}
    defaults = {PREFIX + name.upper() for name in LEFT_TO_DEFAULTS}
    for family, function in functions_by_family(stack).items():
        response = {name for name in function["Environment"]["Variables"] if name.startswith(PREFIX)}
        yield from (f"{family}: {name} is no setting" for name in sorted(response - known.keys()))
        yield from (f"{family}: {name} is not set" for name in sorted(known.keys() - response - secret - defaults))
        yield from (f"{family}: {name} is a secret" for name in sorted(response & secret))


def renewal(stack: Stack) -> Iterator[str]:
    """A change of any parameter that a function depends on makes a new version of it."""
    describing = _parameters_in(stack.template["Resources"]["AdmissionPolicy"]["Properties"]["Description"], stack)
    for logical_id, resource in stack.template["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Function":
            missing = _parameters_in(resource["Properties"], stack) - describing
            yield from (f"{logical_id}: {name} would not renew it" for name in sorted(missing))
        if resource["Type"] == "AWS::Lambda::Version" and resource["Properties"]["Description"] != {
            "Ref": "AdmissionPolicy"
        }:
            yield f"{logical_id}: described by {resource['Properties']['Description']}"


def roles(stack: Stack) -> Iterator[str]:
    """Each function has a role of its own, for Lambda alone, with no wildcard but below a bucket's or a log's name."""
    used = [function["Role"] for function in functions_by_family(stack).values()]
    yield from (f"{role} is shared" for role in {role for role in used if used.count(role) > 1})
    for logical_id, role in stack.resources("AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": "lambda.amazonaws.com"}:
                yield f"{logical_id} may be assumed by {statement['Principal']}"
        for policy in role["Policies"]:
            yield from _wide(logical_id, policy["PolicyDocument"])
    for logical_id, policy in stack.resources("AWS::IAM::ManagedPolicy").items():
        yield from _wide(logical_id, policy["PolicyDocument"])


def tables(stack: Stack) -> Iterator[str]:
    """The tables are those of the code, billed by request, encrypted, restorable, and cleaned by their TTL."""
    created = {table["TableName"]: table for table in stack.resources("AWS::DynamoDB::Table").values()}
    expected = {f"{NAME}-{table.name}": table for table in TABLES}
    yield from (f"{name} is on one side only" for name in created.keys() ^ expected.keys())
    for name in created.keys() & expected.keys():
        keys = [expected[name].partition_key, expected[name].sort_key]
        wanted: Json = {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
                if key
            ],
            "TimeToLiveSpecification": {"AttributeName": EXPIRES_AT, "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
        }
        for part, value in wanted.items():
            if created[name].get(part) != value:
                yield f"{name}: {part} is {created[name].get(part)}"


def nothing_public(stack: Stack) -> Iterator[str]:
    """Only the API's routes can be reached: no function URL, no open bucket, nothing granted to everybody."""
    yield from (f"{name} is a function URL" for name in stack.resources("AWS::Lambda::Url"))
    for name, bucket in stack.resources("AWS::S3::Bucket").items():
        block = bucket.get("PublicAccessBlockConfiguration", {})
        if sorted(block) != _BLOCKS or not all(block.values()):
            yield f"{name}: public access is not blocked"
    for name, policy in stack.resources("AWS::S3::BucketPolicy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] != "Deny":
                yield f"{name} grants {statement}"
    for name, permission in stack.resources("AWS::Lambda::Permission").items():
        if permission["Principal"] != "apigateway.amazonaws.com" or "SourceArn" not in permission:
            yield f"{name} lets {permission['Principal']} call"


def nothing_remembered(stack: Stack) -> Iterator[str]:
    """No trace and no body is recorded, and every log ends: X-Ray off, API Gateway's own logs off, retention set."""
    for name, function in stack.resources("AWS::Lambda::Function").items():
        if "TracingConfig" in function:
            yield f"{name} is traced"
        if not function.get("LoggingConfig", {}).get("LogGroup"):
            yield f"{name} logs to a group that never forgets"
    for name, stage in stack.resources("AWS::ApiGateway::Stage").items():
        recorded = [how for how in stage["MethodSettings"] if how["DataTraceEnabled"] or how["LoggingLevel"] != "OFF"]
        if stage["TracingEnabled"] or recorded:
            yield f"{name} records requests"
    groups = stack.resources("AWS::Logs::LogGroup")
    yield from (f"{name} keeps lines for ever" for name, group in groups.items() if not group.get("RetentionInDays"))


def functions_by_family(stack: Stack) -> dict[str, Json]:
    """Return each function's properties by the family it is named after."""
    functions = stack.resources("AWS::Lambda::Function").values()
    return {function["FunctionName"].removeprefix(f"{NAME}-"): function for function in functions}


CHECKS: tuple[Check, ...] = (
    routes, streaming, settings, renewal, roles, tables, nothing_public, nothing_remembered,
)  # fmt: skip

_BLOCKS = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"]


def _wide(logical_id: str, document: Json) -> Iterator[str]:
    for statement in document["Statement"]:
        actions, targets = _listed(statement["Action"]), _listed(statement["Resource"])
        if any("*" in action for action in actions) or any("*" in arn.partition(f"{NAME}-")[0] for arn in targets):
            yield f"{logical_id} grants {actions} on {targets}"


def _listed(response: str | list[str]) -> list[str]:
    return [response] if isinstance(response, str) else response


def _parameters_in(value: object, stack: Stack) -> set[str]:
    """Find every parameter that a piece of the template refers to."""
    response = str(value)
    return {name for name in stack.parameters if f"'Ref': '{name}'" in response or f"${{{name}}}" in response}
