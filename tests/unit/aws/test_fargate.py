"""The plain container template: the same container, with the same rights, in a network of its operator's."""

from typing import Any

import pytest
import yaml

from rehearsal.fargate import SOURCE, TEMPLATE, fargate_template
from rehearsal.stack import ROOT

NETWORK = {
    "Architecture", "VpcId", "LoadBalancerSubnetIds", "LoadBalancerSecurityGroupIds", "TaskSubnetIds",
    "TaskSecurityGroupIds", "AssignPublicIp", "Scheme", "CertificateArn", "MinTasks", "RequestsPerMinutePerTask",
}  # fmt: skip


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """Reads CloudFormation's short forms as pairs of their names and values."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: Any) -> tuple[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return suffix, loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return suffix, loader.construct_sequence(node, deep=True)
    return suffix, loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)


@pytest.fixture(scope="module")
def express() -> dict[str, Any]:
    return yaml.load(SOURCE.read_text(), _Loader)  # noqa: S506 a SafeLoader


@pytest.fixture(scope="module")
def fargate() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), _Loader)  # noqa: S506 a SafeLoader


def container_of(fargate: dict[str, Any]) -> dict[str, Any]:
    [container] = fargate["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    return container


def attributes(resource: dict[str, Any], kind: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in resource["Properties"][kind]}


def test_the_template_is_what_is_made_of_the_other_one() -> None:
    assert TEMPLATE.read_text() == fargate_template(), "run `make fargate-template`"


def test_its_parameters_are_the_other_ones_and_the_network(express: dict[str, Any], fargate: dict[str, Any]) -> None:
    ours, others = fargate["Parameters"], express["Parameters"]

    assert ours.keys() - others.keys() == NETWORK
    assert {name: ours[name] for name in others if name != "Image"} == {
        name: value for name, value in others.items() if name != "Image"
    }


def test_the_container_has_the_same_environment_and_secrets(express: dict[str, Any], fargate: dict[str, Any]) -> None:
    other = express["Resources"]["Service"]["Properties"]["PrimaryContainer"]
    ours = container_of(fargate)

    longer_than_its_balancer = {"Name": "OBSCURA_IDLE_CONNECTION_S", "Value": "910"}
    assert ours["Environment"] == [longer_than_its_balancer, *other["Environment"]]
    assert ours["Secrets"] == other["Secrets"]


def test_the_roles_have_the_same_rights_and_there_is_no_other(express: dict[str, Any], fargate: dict[str, Any]) -> None:
    roles = {name: one for name, one in fargate["Resources"].items() if one["Type"].startswith("AWS::IAM::")}

    assert roles.keys() == {"TaskRole", "ExecutionRole"}
    assert all(role == express["Resources"][name] for name, role in roles.items())


def test_a_silent_answer_lasts_fifteen_minutes_and_the_gateway_closes_after(fargate: dict[str, Any]) -> None:
    resources = fargate["Resources"]
    idle_s = int(attributes(resources["LoadBalancer"], "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
    draining = attributes(resources["TargetGroup"], "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
    kept_s = next(one["Value"] for one in container_of(fargate)["Environment"] if "IDLE" in one["Name"])

    assert (idle_s, draining) == (900, "900")
    assert int(kept_s) > idle_s


def test_a_deployment_that_fails_goes_back_and_tasks_scale_by_requests(fargate: dict[str, Any]) -> None:
    resources = fargate["Resources"]
    deployment = resources["Service"]["Properties"]["DeploymentConfiguration"]
    policy = resources["ScalingByRequests"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]

    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert policy["PredefinedMetricSpecification"]["PredefinedMetricType"] == "ALBRequestCountPerTarget"
    assert resources["TargetGroup"]["Properties"]["HealthCheckPath"] == "/healthz"
    assert resources["LogGroup"]["Properties"]["RetentionInDays"] == ("Ref", "LogRetentionDays")


def test_the_images_of_both_processors_are_documented() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()

    assert "docker build --platform linux/arm64" in page
    assert "docker build --platform linux/amd64" in page
