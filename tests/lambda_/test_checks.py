"""The checks of the rehearsal: each finds the fault that it is there for."""

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal import checks
from rehearsal.alarms import alarms
from rehearsal.stack import ROOT, Stack, translated
from tests.support.templates import changed


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


def _unstreamed(resources: dict) -> None:
    method = resources["Api"]["Properties"]["Body"]["paths"]["/v1/messages"]["post"]
    integration = method["x-amazon-apigateway-integration"]
    del integration["responseTransferMode"]
    uri = integration["uri"]["Fn::Sub"]
    integration["uri"]["Fn::Sub"] = uri.replace("response-streaming-", "")


def _misspelled(resources: dict) -> None:
    resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["OBSCURA_UPSTREAM_ULR"] = "x"


def _secret(resources: dict) -> None:
    resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["OBSCURA_UPSTREAM_KEY"] = "sk-1"


def _unnamed(resources: dict) -> None:
    resources["AdmissionPolicy"]["Properties"]["Description"] = "What every function may do"


def _unchained(resources: dict) -> None:
    described = resources["DecisionsPolicy"]["Properties"]["Description"]
    described["Fn::Sub"] = described["Fn::Sub"].replace("${ListsPolicy}", "the lists")


def _unread(resources: dict) -> None:
    resources["ModelsFunction"]["Properties"]["Environment"]["Variables"]["OBSCURA_BLOCKED_HASHES"] = "known.txt"


def _unset(resources: dict) -> None:
    del resources["PolicyFunction"]["Properties"]["Environment"]["Variables"]["OBSCURA_POLICY_FLOOR"]


def _wide(resources: dict) -> None:
    resources["InferencePolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Resource"] = "*"


def _shared(resources: dict) -> None:
    resources["ChatFunction"]["Properties"]["Role"] = resources["ModelsFunction"]["Properties"]["Role"]


def _without_ttl(resources: dict) -> None:
    del resources["RatesTable"]["Properties"]["TimeToLiveSpecification"]


def _open_bucket(resources: dict) -> None:
    resources["Bucket"]["Properties"]["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


def _function_url(resources: dict) -> None:
    resources["Url"] = {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE"}}


def _traced(resources: dict) -> None:
    resources["ChatFunction"]["Properties"]["TracingConfig"] = {"Mode": "Active"}


def _without_retention(resources: dict) -> None:
    del resources["ChatLogGroup"]["Properties"]["RetentionInDays"]


def _unknown_family(resources: dict) -> None:
    resources["ModelsFunction"]["Properties"]["FunctionName"] = {"Fn::Sub": "${AWS::StackName}-unknown"}


def _without_alarm(resources: dict) -> None:
    expression = resources["OtherThrottlesAlarm"]["Properties"]["Metrics"][0]
    expression["Expression"] = expression["Expression"].replace(" + FILL(playground, 0)", "")


def _of_too_many_metrics(resources: dict) -> None:
    metrics = resources["ThrottlesAlarm"]["Properties"]["Metrics"]
    metrics += [{**metrics[1], "Id": f"more{number}"} for number in range(6)]


def _silent(resources: dict) -> None:
    del resources["ConcurrencyAlarm"]["Properties"]["OKActions"]


def _without_widget(resources: dict) -> None:
    body = resources["OverviewDashboard"]["Properties"]["DashboardBody"]
    shown = body["Fn::Sub"]
    body["Fn::Sub"] = shown.replace('["...", "${FilesFunction}", {"stat": "Maximum"', '["...", "x", {"stat": "Maximum"')


def _restorable(resources: dict) -> None:
    recovery = {"PointInTimeRecoveryEnabled": True}
    resources["VerdictsTable"]["Properties"]["PointInTimeRecoverySpecification"] = recovery


def _of_another_policy(resources: dict) -> None:
    resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["REVISION"] = "1"


def _logs_paths(resources: dict) -> None:
    resources["ApiliveStage"]["Properties"]["AccessLogSetting"] = {"Format": "$context.path"}


def _unrouted(resources: dict) -> None:
    del resources["Api"]["Properties"]["Body"]["paths"]["/v1/messages/count_tokens"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (_unknown_family, checks.families),
        (_without_alarm, checks.families),
        (_without_widget, checks.families),
        (_of_too_many_metrics, alarms),
        (_silent, alarms),
        (_of_another_policy, checks.renewal),
        (_restorable, checks.tables),
        (_logs_paths, checks.nothing_recorded),
        (_shared, checks.families),
        (_unstreamed, checks.streaming),
        (_unrouted, checks.routes),
        (_misspelled, checks.settings),
        (_secret, checks.settings),
        (_unread, checks.settings),
        (_unset, checks.settings),
        (_unnamed, checks.renewal),
        (_unchained, checks.renewal),
        (_wide, checks.roles),
        (_shared, checks.roles),
        (_without_ttl, checks.tables),
        (_open_bucket, checks.nothing_public),
        (_function_url, checks.nothing_public),
        (_traced, checks.nothing_recorded),
        (_without_retention, checks.nothing_recorded),
    ],
)
def test_each_check_finds_its_fault(stack: Stack, change: Callable[..., Any], check: checks.Check) -> None:
    before = len(list(check(stack)))

    faults = list(check(changed(stack, change)))

    assert len(faults) > before
