"""``template-managed.yaml``: the stack on Lambda Managed Instances, and the rules that tie pixels to memory."""

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal import checks
from rehearsal.managed import TEMPLATE, managed_template
from rehearsal.stack import NAME, ROOT, Stack, translated
from tests.support.templates import changed

INSTANCES = {"InstanceSubnetIds": "subnet-1", "InstanceSecurityGroupIds": "sg-1"}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(TEMPLATE, **INSTANCES)


@pytest.fixture(scope="module")
def plain() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def container() -> Stack:
    return translated(ROOT / "template-container.yaml", StackName=NAME, BucketName="b", Image="i")


def test_the_managed_template_is_made_from_the_other_one() -> None:
    assert TEMPLATE.read_text() == managed_template((ROOT / "template.yaml").read_text())  # make managed-template


def test_a_template_that_changed_beside_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 times, not once"):
        managed_template("AWSTemplateFormatVersion: 1")


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_managed_stack_is_as_the_code_needs_it(stack: Stack, check: checks.Check) -> None:
    assert list(check(stack)) == []


def _crowded(resources: dict) -> None:
    config = resources["ChatFunction"]["Properties"]["CapacityProviderConfig"]
    config["LambdaManagedInstancesCapacityProviderConfig"]["PerExecutionEnvironmentMaxConcurrency"] = 129


def _as_text(resources: dict) -> None:
    del resources["ChatFunction"]["Properties"]["LoggingConfig"]["LogFormat"]


def _unmanaged(resources: dict) -> None:
    del resources["ChatFunction"]["Properties"]["CapacityProviderConfig"]


def _standard(resources: dict) -> None:
    del resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"]


@pytest.mark.parametrize("change", [_crowded, _as_text, _unmanaged, _standard])
def test_the_check_of_managed_functions_finds_each_fault(stack: Stack, change: Callable[..., Any]) -> None:
    assert len(list(checks.managed(changed(stack, change)))) == 1


def test_the_three_functions_run_on_the_provider_behind_their_alias(stack: Stack) -> None:
    arn = "arn:aws:lambda:eu-central-1:123456789012:capacity-provider:rehearsal"
    for family in checks.ON_INSTANCES:
        config = checks.functions_by_family(stack)[family]["CapacityProviderConfig"]
        assert config["LambdaManagedInstancesCapacityProviderConfig"]["CapacityProviderArn"] == arn
    aliases = {alias["FunctionName"] for alias in stack.resources("AWS::Lambda::Alias").values()}
    assert {f"{NAME}-{family}" for family in checks.ON_INSTANCES} <= aliases


@pytest.mark.parametrize(
    ("memory", "pixels", "is_allowed"),
    [("512", "64000000", False), ("512", "32000000", True), ("512", "", True), ("1024", "64000000", True)],
)
def test_the_pixels_of_an_image_fit_the_memory_of_functions(
    stack: Stack, plain: Stack, memory: str, pixels: str, is_allowed: bool
) -> None:
    for template in (stack, plain):
        given = Stack(template.template, {**template.given, "MemorySize": memory, "MaxPixels": pixels})
        assert (given.broken_rules() == []) is is_allowed


@pytest.mark.parametrize(
    ("workers", "memory", "is_allowed"),
    [("4", "2048", False), ("4", "4096", True), ("2", "1024", False), ("2", "2048", True), ("", "1024", True)],
)
def test_the_pixels_of_an_image_fit_the_memory_of_each_worker(
    container: Stack, workers: str, memory: str, is_allowed: bool
) -> None:
    chosen = {"Workers": workers, "Memory": memory, "MaxPixels": "64000000"}
    given = Stack(container.template, {**container.given, **chosen})

    assert (given.broken_rules() == []) is is_allowed


@pytest.mark.parametrize(("cpu", "given", "workers"), [("1024", "", "1"), ("4096", "", "4"), ("4096", "2", "2")])
def test_a_container_has_a_worker_for_each_processor(container: Stack, cpu: str, given: str, workers: str) -> None:
    chosen = Stack(container.template, {**container.given, "Cpu": cpu, "Workers": given})
    [service] = chosen.resources("AWS::ECS::ExpressGatewayService").values()
    variables = {each["Name"]: each["Value"] for each in service["PrimaryContainer"]["Environment"]}

    assert variables["OBSCURA_WORKERS"] == workers
