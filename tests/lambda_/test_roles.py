"""Each function's role, checked against every call, in an account that allows only what is granted."""

import pytest

from rehearsal.account import account_of
from rehearsal.checks import functions_by_family
from rehearsal.grants import FIREHOSE, NEEDED, UNIVERSE, Call, allowed_calls
from rehearsal.stack import ROOT, Stack, translated
from tests.support.templates import changed


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.mark.timeout(180)  # some 600 calls, which moto's server answers one at a time
def test_each_function_may_make_the_calls_that_it_needs_and_no_others(stack: Stack) -> None:
    roles = {family: function["Role"] for family, function in functions_by_family(stack).items()}
    with account_of(stack) as account:
        account.enforce()

        allowed = {family: allowed_calls(account, stack, role) for family, role in roles.items()}

    assert allowed == NEEDED


def test_a_stream_of_decision_events_may_be_written_to_by_those_who_decide() -> None:
    streaming = translated(ROOT / "template.yaml", PolicyFirehose=FIREHOSE)
    roles = {family: function["Role"] for family, function in functions_by_family(streaming).items()}
    with account_of(streaming) as account:
        account.enforce()

        allowed = {
            family: allowed_calls(account, streaming, roles[family]) - NEEDED[family]
            for family in ("chat", "inspect", "policy", "policies")
        }

    put = {Call("firehose", "put_record_batch", FIREHOSE)}
    assert allowed == {"chat": set(), "inspect": set(), "policy": put, "policies": put}


def test_responses_are_stored_by_the_one_function_that_answers_with_them() -> None:
    storing = translated(ROOT / "template.yaml", StoreResponses="true")
    roles = {family: function["Role"] for family, function in functions_by_family(storing).items()}
    with account_of(storing) as account:
        account.enforce()

        allowed = {family: allowed_calls(account, storing, roles[family]) for family in ("responses", "policy")}

    assert allowed == {"responses": NEEDED["responses"] | NEEDED["files"], "policy": NEEDED["policy"]}


def test_an_unneeded_permission_is_found(stack: Stack) -> None:
    def widen(resources: dict) -> None:
        resources["InferencePolicy"]["Properties"]["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": {"Fn::GetAtt": ["KeysTable", "Arn"]}}
        )

    widened = changed(stack, widen)
    role = functions_by_family(widened)["chat"]["Role"]
    with account_of(widened) as account:
        account.enforce()

        allowed = allowed_calls(account, widened, role)

    assert allowed - NEEDED["chat"] == {Call("dynamodb", "scan", "keys")}
    assert NEEDED["chat"] < allowed < set(UNIVERSE)
