"""What ``sam deploy`` would create, from the translated template."""

import json
import os
import re
import subprocess
import sys

import httpx2
import pytest
from openai import APIStatusError, OpenAI

from obscura import errors
from rehearsal import checks
from rehearsal.events import EVENTS
from rehearsal.families import FAMILIES
from rehearsal.routes import routes_of
from rehearsal.scenarios import SCENARIOS
from rehearsal.stack import ROOT, Stack, translated
from tests.support.templates import changed, gateway_responses

MAX_ARN_CHARS = len(f"arn:aws-us-gov:iam::123456789012:policy/{'x' * 128}")
"""Of a managed policy: its name has at most 128 characters (IAM user guide, "IAM and AWS STS quotas")."""

CODES = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_stack_is_as_the_code_needs_it(stack: Stack, check: checks.Check) -> None:
    faults = list(check(stack))

    assert faults == []


def test_a_route_that_streams_by_half_is_an_error(stack: Stack) -> None:
    def by_half(resources: dict) -> None:
        method = resources["Api"]["Properties"]["Body"]["paths"]["/v1/messages"]["post"]
        del method["x-amazon-apigateway-integration"]["responseTransferMode"]

    with pytest.raises(ValueError, match="streams by half"):
        routes_of(changed(stack, by_half))


def test_an_unknown_intrinsic_function_is_an_error(stack: Stack) -> None:
    with pytest.raises(NotImplementedError, match="Fn::Cidr"):
        stack.resolve({"Fn::Cidr": ["10.0.0.0/16", 2, 8]})


def test_every_family_has_a_function_folder_and_a_scenario() -> None:
    folders = {entry.parent.name for entry in (ROOT / "functions").glob("*/app.py")}

    assert folders == FAMILIES.keys()
    assert SCENARIOS.keys() == FAMILIES.keys()


def test_every_family_has_an_event_of_a_route_of_its_own(stack: Stack) -> None:
    events = {name: json.loads((EVENTS / f"{name}.json").read_text()) for name in FAMILIES}

    served = {(route.family, route.method, route.path) for route in routes_of(stack)}

    assert {(name, event["httpMethod"], event["path"]) for name, event in events.items()} <= served


def test_api_gateways_own_errors_have_a_code_of_ours_and_a_hint(stack: Stack) -> None:
    responses = gateway_responses(stack)

    for response in responses.values():
        body = response["body"]
        assert body["type"] == "error"
        assert body["request_id"] == "c6af9ac6"
        assert body["error"]["code"] in CODES
        assert set(body["error"]) == {"type", "message", "param", "code"}
    assert responses["REQUEST_TOO_LARGE"]["statusCode"] == "413"
    assert "/v1/uploads" in responses["REQUEST_TOO_LARGE"]["body"]["error"]["message"]


@pytest.mark.parametrize("name", ["THROTTLED", "WAF_FILTERED"])
def test_a_rate_limit_at_the_gateway_has_a_retry_after(stack: Stack, name: str) -> None:
    response = gateway_responses(stack)[name]

    assert response["statusCode"] == "429"
    assert re.fullmatch(r"'\d+'", response["responseParameters"]["gatewayresponse.header.retry-after"])


def test_openais_sdk_reads_api_gateways_own_errors(stack: Stack) -> None:
    body = gateway_responses(stack)["REQUEST_TOO_LARGE"]["body"]
    transport = httpx2.MockTransport(lambda request: httpx2.Response(413, json=body, request=request))
    with httpx2.Client(transport=transport) as http, pytest.raises(APIStatusError) as raised:
        OpenAI(api_key="obs_x", base_url="https://a.example/v1", http_client=http).models.list()

    assert raised.value.status_code == 413
    assert raised.value.code == "request_too_large"


def test_a_policys_description_fits_iam_with_the_longest_settings(stack: Stack) -> None:
    parameters = stack.template["Parameters"]
    longest = {name: "x" * parameter["MaxLength"] for name, parameter in parameters.items() if "MaxLength" in parameter}
    longest |= {
        name: max(parameter["AllowedValues"], key=len)
        for name, parameter in parameters.items()
        if parameter["Default"] == "" and "AllowedValues" in parameter
    }

    custom = translated(ROOT / "template.yaml", **longest)

    policies = custom.resources("AWS::IAM::ManagedPolicy")
    assert longest.keys() >= {"UpstreamUrl", "FetchAllow", "JwtIssuer", "StoreOutage", "Revision", "PolicyWebhookUrl"}
    assert 900 < len(policies["AdmissionPolicy"]["Description"]) <= 1000
    for name, named in (
        ("NetworkPolicy", "AdmissionPolicy"),
        ("StartPolicy", "NetworkPolicy"),
        ("InferencePolicy", "StartPolicy"),
        ("ListsPolicy", "InferencePolicy"),
        ("DecisionsPolicy", "ListsPolicy"),
    ):
        described = policies[name]["Description"]
        assert MAX_ARN_CHARS + 100 < len(described) - len(custom.ref(named)) + MAX_ARN_CHARS <= 1000


def test_a_stack_on_bedrock_needs_no_key_and_may_call_its_models_alone() -> None:
    models = "eu.anthropic.claude-x-v1:0,amazon.nova-pro-v1:0"

    custom = translated(ROOT / "template.yaml", BedrockRegion="eu-central-1", BedrockModels=models)

    statements = custom.resources("AWS::IAM::ManagedPolicy")["InferencePolicy"]["PolicyDocument"]["Statement"]
    direct, profiles, routed = (each for each in statements if "bedrock:InvokeModel" in each["Action"])
    profile_arns = [f"arn:aws:bedrock:*:*:inference-profile/{model}" for model in models.split(",")]
    assert direct["Resource"] == [f"arn:aws:bedrock:*::foundation-model/{model}" for model in models.split(",")]
    assert profiles["Resource"] == profile_arns
    assert routed["Condition"] == {"ArnLike": {"bedrock:InferenceProfileArn": profile_arns}}
    variables = checks.functions_by_family(custom)["chat"]["Environment"]["Variables"]
    assert (variables["OBSCURA_UPSTREAM_URL"], variables["OBSCURA_BEDROCK_MODELS"]) == ("bedrock:eu-central-1", models)
    assert list(checks.roles(custom)) == []


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [("", None), ("*", "'*'"), ("https://a.example,https://b.example", "method.request.header.origin")],
)
def test_pages_of_other_origins_read_api_gateways_own_errors(origins: str, allowed: str | None) -> None:
    stack = translated(ROOT / "template.yaml", CorsOrigins=origins)

    responses = gateway_responses(stack)

    assert responses.keys() >= {"THROTTLED", "WAF_FILTERED", "REQUEST_TOO_LARGE", "DEFAULT_4XX", "DEFAULT_5XX"}
    for response in responses.values():
        headers = response["responseParameters"]
        assert headers.get("gatewayresponse.header.access-control-allow-origin") == allowed
        assert headers["gatewayresponse.header.access-control-expose-headers"] == "'x-request-id, retry-after'"


def test_every_path_takes_a_preflight(stack: Stack) -> None:
    routes = routes_of(stack)

    assert {route.path for route in routes if route.method == "OPTIONS"} == {route.path for route in routes}


def test_a_custom_domain_leads_to_the_stage(stack: Stack) -> None:
    custom = translated(ROOT / "template.yaml", DomainName="llm.example.com", CertificateArn="arn:aws:acm:x")

    [mapping] = custom.resources("AWS::ApiGateway::BasePathMapping").values()

    assert mapping["Stage"] == "live"
    assert custom.outputs()["BaseUrl"] == "https://llm.example.com/v1"
    assert custom.outputs()["DomainTarget"] == "Domain.RegionalDomainName"
    assert "DomainTarget" not in stack.outputs()
    assert stack.resources("AWS::ApiGateway::DomainName") == {}
    assert stack.resources("AWS::WAFv2::WebACL") == {}


def test_the_firewall_protects_the_stage(stack: Stack) -> None:
    custom = translated(ROOT / "template.yaml", WafRequestsPer5Minutes="600")

    [association] = custom.resources("AWS::WAFv2::WebACLAssociation").values()
    [firewall] = custom.resources("AWS::WAFv2::WebACL").values()

    assert association["ResourceArn"].endswith("/stages/live")
    assert [rule["Statement"]["RateBasedStatement"]["Limit"] for rule in firewall["Rules"]] == ["600"]


def test_the_dashboard_shows_metrics_that_the_code_writes(stack: Stack) -> None:
    [dashboard] = stack.resources("AWS::CloudWatch::Dashboard").values()
    written = set(re.findall(r'"([A-Z]\w+)", MetricUnit', (ROOT / "layers/gateway/obscura/aws/metrics.py").read_text()))

    own = [
        metric[1]
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Obscura"
    ]

    assert own
    assert set(own) <= written


ONE_OUTAGE = """
from obscura.access_record import AccessRecord
from obscura.aws.metrics import emit_metrics
emit_metrics(AccessRecord("req_1", code="moderation_unavailable"))
"""


def test_alarm_and_dashboard_show_the_metrics_of_this_stack_alone(stack: Stack) -> None:
    variables = stack.resources("AWS::Lambda::Function")["ChatFunction"]["Environment"]["Variables"]
    powertools = {name: value for name, value in variables.items() if name.startswith("POWERTOOLS_")}

    process = subprocess.run(
        [sys.executable, "-c", ONE_OUTAGE], env=os.environ | powertools, capture_output=True, text=True, check=True
    )

    metric = json.loads(process.stdout.splitlines()[-1])
    alarm = stack.resources("AWS::CloudWatch::Alarm")["ModerationAlarm"]
    assert {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]} == {
        "service": metric["service"],
        "code": metric["code"],
    }
    assert metric["service"] == stack.ref("AWS::StackName")
    [dashboard] = stack.resources("AWS::CloudWatch::Dashboard").values()
    assert f'service="{metric["service"]}"' in str(json.loads(dashboard["DashboardBody"]))
    assert '"obscura"' not in dashboard["DashboardBody"]


def test_what_outlives_the_stack_is_named_where_all_is_deleted(stack: Stack) -> None:
    page = (ROOT / "docs" / "operating.md").read_text().partition("## Delete everything")[2]
    resources = stack.template["Resources"]
    stored = {"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket", "AWS::Logs::LogGroup"}

    kept = {name for name, each in resources.items() if each.get("DeletionPolicy", "Delete") != "Delete"}

    assert kept - _versions(resources) == {"KeysTable", "GlobalKeysTable", "PoliciesTable", "Bucket"}
    assert all("DeletionPolicy" in each for each in resources.values() if each["Type"] in stored)
    for command in ("--table-name obscura-keys", "--table-name obscura-policies", "aws s3 rb s3://$BUCKET"):
        assert command in page


def _versions(resources: dict) -> set[str]:
    """Versions go with their functions, whatever their own policy says."""
    return {name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Version"}
