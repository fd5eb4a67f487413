"""The container beside the functions: the same gateway, decided by the same settings."""

import pytest

from obscura.settings import PREFIX
from rehearsal.stack import NAME, ROOT, Stack, translated

DECIDED_ELSEWHERE = {"OBSCURA_SECRETS_PATH", "OBSCURA_DATA_DIR"}
"""ECS itself hands the secrets to a container, and the Dockerfile names its folder."""


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def container() -> Stack:
    return translated(
        ROOT / "template-container.yaml", StackName=NAME, UpstreamUrl="https://a.example/v1", BucketName="b", Image="i"
    )


def test_whatever_is_decided_for_the_functions_can_be_decided_for_the_container(stack, container):
    [service] = container.resources("AWS::ECS::ExpressGatewayService").values()
    for_functions = stack.resources("AWS::Lambda::Function")["ChatFunction"]["Environment"]["Variables"]

    for_container = {variable["Name"] for variable in service["PrimaryContainer"]["Environment"]}

    assert {name for name in for_functions if name.startswith(PREFIX)} - DECIDED_ELSEWHERE <= for_container


def test_both_templates_ask_for_a_setting_in_the_same_words_and_take_the_same_values(stack, container):
    functions, containers = (response.template["Parameters"] for response in (stack, container))

    shared = functions.keys() & containers.keys() - {"UpstreamUrl", "SecretsPath"}

    assert "JwksUrl" in shared
    assert {name: containers[name] for name in shared} == {name: functions[name] for name in shared}


def test_the_container_is_told_its_region_by_the_one_name_that_boto3_reads(container):
    [service] = container.resources("AWS::ECS::ExpressGatewayService").values()

    response = {variable["Name"]: variable["Value"] for variable in service["PrimaryContainer"]["Environment"]}

    assert response["AWS_DEFAULT_REGION"] == "eu-central-1"
