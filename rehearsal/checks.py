"""Checks of the stack before it is deployed: each yields its faults, none if all is well."""

import re
from collections.abc import Callable, Iterator

from pydantic import SecretStr

from obscura.settings import PREFIX, Settings
from obscura.stores.dynamodb.tables import EXPIRES_AT, TABLES
from rehearsal.families import COMMON, FAMILIES, STREAMED, code_routes
from rehearsal.routes import routes_of
from rehearsal.stack import ACCOUNT, NAME, Json, Stack

type Check = Callable[[Stack], Iterator[str]]

STREAM_TIMEOUT_MS = 900_000
BUFFERED_TIMEOUT_S = 30
WRAPPER = "/opt/bin/obscura-runtime"
LEFT_TO_DEFAULTS = frozenset(
    {
        "max_body_bytes", "max_image_bytes", "max_pixels", "max_images", "max_text_chars", "image_cache_mb",
        "max_document_bytes", "max_stored_document_bytes", "max_document_pages", "trusted_proxies",
    }
    | {"disk_reserve_mb", "max_request_pixels", "memory_budget_mb", "max_connections"}
    | {"upstream_retries", "pass_headers", "bedrock_guardrail", "moderation_urls", "show_cost"}
)  # fmt: skip
"""Settings that a stack does not need (one upstream, no proxy but API Gateway) or whose defaults suit Lambda too; the
template sets every other one."""

_DECIDING, _UNDER_POLICIES = frozenset({"policy", "policies"}), frozenset({"policy", "policies", "inspect"})
OF_SOME_FAMILIES: dict[str, frozenset[str]] = {
    "blocked_hashes": frozenset(name for name, family in FAMILIES.items() if family.dialects),
    **{name: _DECIDING for name in Settings.model_fields if name.startswith("policy_")},
    "policy_floor": _UNDER_POLICIES,
    "policy_check_allow": _UNDER_POLICIES,
}
"""Settings that only these families read; what they name is read at a function's start."""


def families(stack: Stack) -> Iterator[str]:
    """Each family of the code, and no other, has a function, a role, a log group, and a part in alarm and dashboard."""
    functions = functions_by_family(stack)
    yield from _compare("functions", set(functions))
    yield from _compare("log groups", _log_groups(stack))
    yield from _compare("the alarm of throttles", _throttled_families(stack))
    yield from _compare("the dashboard's log query", _logged_families(stack))
    for family, function in functions.items():
        actual = function["Code"]["S3Key"], function["Role"], function["LoggingConfig"]["LogGroup"]
        role = f"arn:aws:iam::{ACCOUNT}:role/{NAME}-{family}role"
        if actual != (f"functions/{family}", role, _LOG_PREFIX + family):
            yield f"{family}: {actual}"


def routes(stack: Stack) -> Iterator[str]:
    """Every route of the code leads to its family's function, and no other route exists."""
    declared = {(route.method, route.path): route.family for route in routes_of(stack)}
    served = {route: name for name, family in FAMILIES.items() for route in code_routes(family)}
    for route in sorted(served.keys() | declared.keys()):
        if route not in COMMON and declared.get(route) != served.get(route):
            yield f"{' '.join(route)}: the code says {served.get(route)}, the template {declared.get(route)}"
    yield from (f"{' '.join(route)} has no function" for route in COMMON - declared.keys())


def streaming(stack: Stack) -> Iterator[str]:
    """The families that stream do so on every route, for up to 15 minutes; the others do on none."""
    functions = functions_by_family(stack)
    for route in routes_of(stack):
        streams = route.family in STREAMED
        if route.streamed != streams or route.timeout_ms != (STREAM_TIMEOUT_MS if streams else None):
            yield f"{route}"
    for family, function in functions.items():
        wrapper = function["Environment"]["Variables"].get("AWS_LAMBDA_EXEC_WRAPPER")
        if wrapper != (WRAPPER if family in STREAMED else None):
            yield f"{family}: exec wrapper {wrapper}"
        if function["Timeout"] != (STREAM_TIMEOUT_MS // 1000 if family in STREAMED else BUFFERED_TIMEOUT_S):
            yield f"{family}: timeout {function['Timeout']} s"


def settings(stack: Stack) -> Iterator[str]:
    """Every OBSCURA_ name is a setting, every setting is set or on the list of defaults, and none is a secret."""
    known = {PREFIX + name.upper(): field for name, field in Settings.model_fields.items()}
    secret = {name for name, field in known.items() if field.annotation == SecretStr | None}
    defaults = {PREFIX + name.upper() for name in LEFT_TO_DEFAULTS}
    for family, function in functions_by_family(stack).items():
        declared = {name for name in function["Environment"]["Variables"] if name.startswith(PREFIX)}
        unread = {PREFIX + name.upper() for name, readers in OF_SOME_FAMILIES.items() if family not in readers}
        needed = known.keys() - secret - defaults - unread
        yield from (f"{family}: {name} is no setting" for name in sorted(declared - known.keys()))
        yield from (f"{family}: {name} is not set" for name in sorted(needed - declared))
        yield from (f"{family}: {name} is not read" for name in sorted(declared & unread))
        yield from (f"{family}: {name} is a secret" for name in sorted(declared & secret))


def renewal(stack: Stack) -> Iterator[str]:
    """A change of any parameter that a function depends on makes a new version of it."""
    resources = stack.template["Resources"]
    described = {
        resource["Properties"]["FunctionName"]["Ref"]: resource["Properties"].get("Description")
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Version"
    }
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function":
            renewing = _renewing_parameters(described[logical_id], stack)
            missing = _parameters_in(resource["Properties"], stack) - renewing
            yield from (f"{logical_id}: {name} would not renew it" for name in sorted(missing))


def roles(stack: Stack) -> Iterator[str]:
    """Each function has a role of its own, for Lambda alone; wildcards follow a name of a bucket, log or key."""
    used = [function["Role"] for function in functions_by_family(stack).values()]
    yield from (f"{role} is shared" for role in {role for role in used if used.count(role) > 1})
    for logical_id, role in stack.resources("AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": "lambda.amazonaws.com"}:
                yield f"{logical_id} may be assumed by {statement['Principal']}"
        for policy in role["Policies"]:
            yield from _wide(logical_id, policy["PolicyDocument"], stack)
    for logical_id, policy in stack.resources("AWS::IAM::ManagedPolicy").items():
        yield from _wide(logical_id, policy["PolicyDocument"], stack)


def tables(stack: Stack) -> Iterator[str]:
    """The tables are those of the code, billed by request, encrypted, restorable, and expired by their TTL."""
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
    """Only the API's routes can be reached: no function URL, no public bucket, no public grant."""
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


def nothing_recorded(stack: Stack) -> Iterator[str]:
    """No trace and no body is recorded, and every log expires: X-Ray off, API Gateway's own logs off, retention set."""
    for name, function in stack.resources("AWS::Lambda::Function").items():
        if "TracingConfig" in function:
            yield f"{name} is traced"
        if not function.get("LoggingConfig", {}).get("LogGroup"):
            yield f"{name} logs to a group without retention"
    for name, stage in stack.resources("AWS::ApiGateway::Stage").items():
        recorded = [
            method
            for method in stage["MethodSettings"]
            if method["DataTraceEnabled"] or method["LoggingLevel"] != "OFF"
        ]
        if stage["TracingEnabled"] or recorded:
            yield f"{name} records requests"
    groups = stack.resources("AWS::Logs::LogGroup")
    yield from (f"{name} keeps lines for ever" for name, group in groups.items() if not group.get("RetentionInDays"))


def functions_by_family(stack: Stack) -> dict[str, Json]:
    """Return each function's properties by the family it is named after."""
    functions = stack.resources("AWS::Lambda::Function").values()
    return {function["FunctionName"].removeprefix(f"{NAME}-"): function for function in functions}


CHECKS: tuple[Check, ...] = (
    families, routes, streaming, settings, renewal, roles, tables, nothing_public, nothing_recorded,
)  # fmt: skip

_LOG_PREFIX = f"/aws/lambda/{NAME}-"
_BLOCKS = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"]


def _compare(part: str, named: set[str]) -> Iterator[str]:
    yield from (f"{part}: {family} is missing" for family in sorted(FAMILIES.keys() - named))
    yield from (f"{part}: {family} is no family of the code" for family in sorted(named - FAMILIES.keys()))


def _log_groups(stack: Stack) -> set[str]:
    groups = stack.resources("AWS::Logs::LogGroup").values()
    return {group["LogGroupName"].removeprefix(_LOG_PREFIX) for group in groups}


def _throttled_families(stack: Stack) -> set[str]:
    """Return the families whose throttles an alarm adds up, and those that have one of their own."""
    alarms = stack.resources("AWS::CloudWatch::Alarm").values()
    [alarm] = (alarm for alarm in alarms if "Metrics" in alarm)
    alone = [alarm["Dimensions"][0]["Value"] for alarm in alarms if alarm.get("MetricName") == "Throttles"]
    terms = [metric for metric in alarm["Metrics"] if "MetricStat" in metric]
    functions = {term["Id"]: term["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for term in terms}
    [total] = (metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric)
    added = [functions[name] for name in re.findall(r"FILL\((\w+), 0\)", total)]
    return {name.removeprefix(f"{NAME}-") for name in (*added, *alone)}


def _logged_families(stack: Stack) -> set[str]:
    """Return the families whose log groups the dashboard's query reads."""
    [dashboard] = stack.resources("AWS::CloudWatch::Dashboard").values()
    return set(re.findall(rf"SOURCE '{_LOG_PREFIX}(\w+)'", dashboard["DashboardBody"]))


def _wide(logical_id: str, document: Json, stack: Stack) -> Iterator[str]:
    keys = f"{stack.ref('SecretsPath')}/upstreams/"
    for statement in document["Statement"]:
        actions, targets = _listed(statement["Action"]), _listed(statement["Resource"])
        if all(action.startswith("bedrock:") for action in actions):
            if not all(_is_of_a_model(arn, statement) for arn in targets):
                yield f"{logical_id} grants {actions} on {targets}"
            continue
        if any("*" in action for action in actions) or any(
            "*" in arn.partition(f"{NAME}-")[0].partition(keys)[0] for arn in targets
        ):
            yield f"{logical_id} grants {actions} on {targets}"


def _is_of_a_model(arn: str, statement: Json) -> bool:
    """Whether an ARN names one model or profile of Bedrock, in any region, or all models through named profiles."""
    _, _, name = arn.partition("/")
    profiles = _listed(statement.get("Condition", {}).get("ArnLike", {}).get("bedrock:InferenceProfileArn", []))
    through_profiles = bool(profiles) and not any(profile.endswith("/*") for profile in profiles)
    return bool(name) and ("*" not in name or (name == "*" and through_profiles))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _renewing_parameters(description: object, stack: Stack) -> set[str]:
    """Return the parameters in a description, and in those of the managed policies that it names (ADR 104)."""
    found, text = _parameters_in(description, stack), str(description)
    for name, resource in stack.template["Resources"].items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy" and (f"'Ref': '{name}'" in text or f"${{{name}}}" in text):
            found |= _renewing_parameters(resource["Properties"]["Description"], stack)
    return found


def _parameters_in(value: object, stack: Stack) -> set[str]:
    """Return every parameter that a part of the template refers to."""
    text = str(value)
    return {name for name in stack.parameters if f"'Ref': '{name}'" in text or f"${{{name}}}" in text}
