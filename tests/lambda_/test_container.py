"""The container template beside that of the functions: the same gateway, with the same settings."""

import pytest

from obscura.settings import PREFIX
from rehearsal.stack import NAME, ROOT, Stack, translated

SET_ELSEWHERE = {"OBSCURA_SECRETS_PATH", "OBSCURA_SECRETS_SOURCE", "OBSCURA_DATA_DIR"}
"""ECS passes the secrets to a container, and the Dockerfile sets its folder."""


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def container() -> Stack:
    return translated(
        ROOT / "template-container.yaml", StackName=NAME, UpstreamUrl="https://a.example/v1", BucketName="b", Image="i"
    )


def test_every_setting_of_the_functions_can_be_set_for_the_container(stack: Stack, container: Stack) -> None:
    [service] = container.resources("AWS::ECS::ExpressGatewayService").values()
    functions = stack.resources("AWS::Lambda::Function").values()
    of_functions = {name for function in functions for name in function["Environment"]["Variables"]}

    of_container = {variable["Name"] for variable in service["PrimaryContainer"]["Environment"]}

    assert {name for name in of_functions if name.startswith(PREFIX)} - SET_ELSEWHERE <= of_container


def test_a_container_is_started_with_the_secrets_of_its_sinks_and_no_others(container: Stack) -> None:
    with_sinks = Stack(
        container.template,
        {**container.given, "PolicyWebhookUrl": "https://a.example", "PolicyDatadogSite": "datadoghq.com"},
    )

    assert secrets_of(container) == {"OBSCURA_UPSTREAM_KEY", "OBSCURA_MODERATION_KEY", "OBSCURA_ADDRESS_SECRET"}
    assert secrets_of(with_sinks) - secrets_of(container) == {
        "OBSCURA_POLICY_WEBHOOK_SECRET",
        "OBSCURA_POLICY_DATADOG_KEY",
    }


def test_a_container_may_write_to_its_stream_of_decision_events_alone(container: Stack) -> None:
    streaming = Stack(container.template, {**container.given, "PolicyFirehose": "decisions"})

    assert firehose_targets(container) == []
    assert firehose_targets(streaming) == ["arn:aws:firehose:eu-central-1:123456789012:deliverystream/decisions"]


def secrets_of(container: Stack) -> set[str]:
    [service] = container.resources("AWS::ECS::ExpressGatewayService").values()
    return {secret["Name"] for secret in service["PrimaryContainer"]["Secrets"]}


def firehose_targets(container: Stack) -> list[str]:
    [policy] = container.resources("AWS::IAM::Role")["TaskRole"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    return [statement["Resource"] for statement in statements if "firehose" in str(statement["Action"])]


def test_both_templates_declare_the_same_parameter_alike(stack: Stack, container: Stack) -> None:
    functions, containers = (one.template["Parameters"] for one in (stack, container))

    shared = functions.keys() & containers.keys() - {"UpstreamUrl", "SecretsPath"}

    assert "JwksUrl" in shared
    assert {name: containers[name] for name in shared} == {name: functions[name] for name in shared}


def test_the_container_has_its_region_in_the_variable_that_boto3_reads(container: Stack) -> None:
    [service] = container.resources("AWS::ECS::ExpressGatewayService").values()

    variables = {variable["Name"]: variable["Value"] for variable in service["PrimaryContainer"]["Environment"]}

    assert variables["AWS_DEFAULT_REGION"] == "eu-central-1"
