"""Each function's role, held against every call that AWS could be asked for, where only what is granted is allowed."""

import pytest

from rehearsal.account import account_of
from rehearsal.checks import functions_by_family
from rehearsal.grants import NEEDED, UNIVERSE, Call, allowed_calls
from rehearsal.stack import ROOT, translated
from tests.support.templates import changed


@pytest.fixture(scope="module")
def stack():
    return translated(ROOT / "template.yaml")


def test_each_function_may_do_what_it_needs_and_nothing_else(stack):
    roles = {family: function["Role"] for family, function in functions_by_family(stack).items()}
    with account_of(stack) as account:
        account.enforce()

        allowed = {family: allowed_calls(account, stack, role) for family, role in roles.items()}

    assert allowed == NEEDED


def test_a_right_too_many_is_seen(stack):
    def widen(resources):
        resources["RoadPolicy"]["Properties"]["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": {"Fn::GetAtt": ["KeysTable", "Arn"]}}
        )

    widened = changed(stack, widen)
    role = functions_by_family(widened)["chat"]["Role"]
    with account_of(widened) as account:
        account.enforce()

        allowed = allowed_calls(account, widened, role)

    assert allowed - NEEDED["chat"] == {Call("dynamodb", "scan", "keys")}
    assert NEEDED["chat"] < allowed < set(UNIVERSE)
