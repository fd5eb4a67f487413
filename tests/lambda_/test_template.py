"""What ``sam deploy`` would create, read from the translated template."""

import json
import os
import re
import subprocess
import sys

import httpx
import pytest
from openai import APIStatusError, OpenAI

from obscura import errors
from rehearsal import checks
from rehearsal.events import EVENTS
from rehearsal.families import families
from rehearsal.routes import routes_of
from rehearsal.stack import ROOT, Stack, translated
from tests.support.templates import changed, gateway_answers

CODES = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_stack_is_as_the_code_needs_it(stack, check):
    faults = list(check(stack))

    assert faults == []


def _unstreamed(resources):
    method = resources["Api"]["Properties"]["Body"]["paths"]["/v1/messages"]["post"]
    integration = method["x-amazon-apigateway-integration"]
    del integration["responseTransferMode"]
    uri = integration["uri"]["Fn::Sub"]
    integration["uri"]["Fn::Sub"] = uri.replace("response-streaming-", "")


def _misspelled(resources):
    resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["OBSCURA_UPSTREAM_ULR"] = "x"


def _secret(resources):
    resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["OBSCURA_UPSTREAM_KEY"] = "sk-1"


def _unnamed(resources):
    resources["AdmissionPolicy"]["Properties"]["Description"] = "What every function may do"


def _wide(resources):
    resources["RoadPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Resource"] = "*"


def _shared(resources):
    resources["ChatFunction"]["Properties"]["Role"] = resources["ModelsFunction"]["Properties"]["Role"]


def _without_ttl(resources):
    del resources["RatesTable"]["Properties"]["TimeToLiveSpecification"]


def _open_bucket(resources):
    resources["Bucket"]["Properties"]["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


def _function_url(resources):
    resources["Url"] = {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE"}}


def _traced(resources):
    resources["ChatFunction"]["Properties"]["TracingConfig"] = {"Mode": "Active"}


def _remembering(resources):
    del resources["ChatLogGroup"]["Properties"]["RetentionInDays"]


def _unrouted(resources):
    del resources["Api"]["Properties"]["Body"]["paths"]["/v1/messages/count_tokens"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (_unstreamed, checks.streaming),
        (_unrouted, checks.routes),
        (_misspelled, checks.settings),
        (_secret, checks.settings),
        (_unnamed, checks.renewal),
        (_wide, checks.roles),
        (_shared, checks.roles),
        (_without_ttl, checks.tables),
        (_open_bucket, checks.nothing_public),
        (_function_url, checks.nothing_public),
        (_traced, checks.nothing_remembered),
        (_remembering, checks.nothing_remembered),
    ],
)
def test_a_stack_that_went_wrong_is_told(stack, change, check):
    before = len(list(check(stack)))

    faults = list(check(changed(stack, change)))

    assert len(faults) > before


def test_a_route_that_streams_by_half_is_told(stack):
    def by_half(resources):
        method = resources["Api"]["Properties"]["Body"]["paths"]["/v1/messages"]["post"]
        del method["x-amazon-apigateway-integration"]["responseTransferMode"]

    with pytest.raises(ValueError, match="streams by half"):
        routes_of(changed(stack, by_half))


def test_another_intrinsic_function_than_those_that_are_known_is_told(stack):
    with pytest.raises(NotImplementedError, match="Fn::Split"):
        stack.resolve({"Fn::Split": [",", "a,b"]})


def test_every_family_has_an_event_of_a_route_of_its_own(stack):
    response = {name: json.loads((EVENTS / f"{name}.json").read_text()) for name in families()}

    served = {(route.family, route.method, route.path) for route in routes_of(stack)}

    assert {(name, event["httpMethod"], event["path"]) for name, event in response.items()} <= served


def test_what_api_gateway_says_by_itself_has_a_code_of_ours_and_the_way_out(stack):
    answers = gateway_answers(stack)

    for answer in answers.values():
        body = answer["body"]
        assert body["type"] == "error"
        assert body["request_id"] == "c6af9ac6"
        assert body["error"]["code"] in CODES
        assert set(body["error"]) == {"type", "message", "param", "code"}
    assert answers["REQUEST_TOO_LARGE"]["statusCode"] == "413"
    assert "/v1/uploads" in answers["REQUEST_TOO_LARGE"]["body"]["error"]["message"]


@pytest.mark.parametrize("name", ["THROTTLED", "WAF_FILTERED"])
def test_who_asks_too_often_is_told_when_to_come_again(stack, name):
    answer = gateway_answers(stack)[name]

    assert answer["statusCode"] == "429"
    assert re.fullmatch(r"'\d+'", answer["responseParameters"]["gatewayresponse.header.retry-after"])


def test_openais_sdk_reads_api_gateways_own_answer(stack):
    body = gateway_answers(stack)["REQUEST_TOO_LARGE"]["body"]
    transport = httpx.MockTransport(lambda request: httpx.Response(413, json=body, request=request))
    with httpx.Client(transport=transport) as http, pytest.raises(APIStatusError) as refused:
        OpenAI(api_key="obs_x", base_url="https://a.example/v1", http_client=http).models.list()

    assert refused.value.status_code == 413
    assert refused.value.code == "request_too_large"


def test_a_policy_describes_less_than_iam_takes_however_long_the_settings(stack):
    parameters = stack.template["Parameters"]
    longest = {name: "x" * response["MaxLength"] for name, response in parameters.items() if "MaxLength" in response}
    longest |= {
        name: max(response["AllowedValues"], key=len)
        for name, response in parameters.items()
        if response["Default"] == "" and "AllowedValues" in response
    }

    given = translated(ROOT / "template.yaml", **longest)

    described = given.resources("AWS::IAM::ManagedPolicy")["AdmissionPolicy"]["Description"]
    assert longest.keys() >= {"UpstreamUrl", "FetchAllow", "JwtIssuer", "StoreOutage", "Revision"}
    assert 900 < len(described) <= 1000


def test_a_domain_of_ones_own_leads_to_the_stage(stack):
    given = translated(ROOT / "template.yaml", DomainName="llm.example.com", CertificateArn="arn:aws:acm:x")

    [mapping] = given.resources("AWS::ApiGateway::BasePathMapping").values()

    assert mapping["Stage"] == "live"
    assert given.outputs()["BaseUrl"] == "https://llm.example.com/v1"
    assert given.outputs()["DomainTarget"] == "Domain.RegionalDomainName"
    assert "DomainTarget" not in stack.outputs()
    assert stack.resources("AWS::ApiGateway::DomainName") == {}
    assert stack.resources("AWS::WAFv2::WebACL") == {}


def test_the_firewall_stands_before_the_stage(stack):
    given = translated(ROOT / "template.yaml", WafRequestsPer5Minutes="600")

    [association] = given.resources("AWS::WAFv2::WebACLAssociation").values()
    [firewall] = given.resources("AWS::WAFv2::WebACL").values()

    assert association["ResourceArn"].endswith("/stages/live")
    assert firewall["Rules"][0]["Statement"]["RateBasedStatement"]["Limit"] == "600"


def test_the_dashboard_shows_metrics_that_the_code_writes(stack):
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
from obscura.aws.metrics import count_request
from obscura.pipeline.record import RequestJournal
count_request(RequestJournal("req_1", code="moderation_unavailable"))
"""


def test_the_moderation_alarm_and_the_dashboard_look_at_this_stacks_figures_alone(stack):
    variables = stack.resources("AWS::Lambda::Function")["ChatFunction"]["Environment"]["Variables"]
    named = {name: value for name, value in variables.items() if name.startswith("POWERTOOLS_")}

    written = subprocess.run(
        [sys.executable, "-c", ONE_OUTAGE], env=os.environ | named, capture_output=True, text=True, check=True
    )

    refusal = json.loads(written.stdout.splitlines()[-1])
    watched = stack.resources("AWS::CloudWatch::Alarm")["ModerationAlarm"]
    assert {given["Name"]: given["Value"] for given in watched["Dimensions"]} == {
        "service": refusal["service"],
        "code": refusal["code"],
    }
    assert refusal["service"] == stack.ref("AWS::StackName")
    [dashboard] = stack.resources("AWS::CloudWatch::Dashboard").values()
    assert f'service="{refusal["service"]}"' in str(json.loads(dashboard["DashboardBody"]))
    assert '"obscura"' not in dashboard["DashboardBody"]
