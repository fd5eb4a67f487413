"""``make prune`` in an account of moto's: what is kept of each function's versions, and of which stack."""

import io
import json
import zipfile
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from rehearsal.prune import main

REGION = "eu-central-1"
TEMPLATE = {
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
        "ChatFunction": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": {"Fn::Sub": "${AWS::StackName}-chat"},
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Code": {"ZipFile": "0"},
            },
        },
    }
}


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name=REGION)
        for stack in ("obscura", "obscura-dev"):
            session.client("cloudformation").create_stack(StackName=stack, TemplateBody=json.dumps(TEMPLATE))
            for number in range(5):
                publish(session, f"{stack}-chat", number)
        yield session


def publish(session: boto3.Session, function: str, number: int) -> None:
    """Lambda publishes a version of a function that has changed alone."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("index.py", f"{number}")
    session.client("lambda").update_function_code(FunctionName=function, ZipFile=archive.getvalue(), Publish=True)


def versions(session: boto3.Session, function: str) -> list[str]:
    listed = session.client("lambda").list_versions_by_function(FunctionName=function)["Versions"]
    return [version["Version"] for version in listed if version["Version"] != "$LATEST"]


def test_the_two_newest_versions_are_kept_and_no_other_stacks_are_touched(session: boto3.Session) -> None:
    before = versions(session, "obscura-chat")

    deleted = main("obscura", session=session)

    assert versions(session, "obscura-chat") == before[-2:]
    assert deleted == len(before) - 2 > 0
    assert len(versions(session, "obscura-dev-chat")) == len(before)


def test_a_version_that_an_alias_calls_is_kept(session: boto3.Session) -> None:
    first, second, *_, last = versions(session, "obscura-chat")
    session.client("lambda").create_alias(
        FunctionName="obscura-chat",
        Name="live",
        FunctionVersion=second,
        RoutingConfig={"AdditionalVersionWeights": {first: 0.1}},
    )

    main("obscura", session=session)

    assert versions(session, "obscura-chat")[:2] == [first, second]
    assert versions(session, "obscura-chat")[-1] == last
    assert main("obscura", session=session) == 0
