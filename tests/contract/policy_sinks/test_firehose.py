"""Amazon Data Firehose, through boto3 against a stand-in on loopback."""

from collections.abc import Callable

import pytest

from obscura.policy_events.firehose import FirehoseSink
from tests.contract.policy_sinks.stand_ins import StandIn, deliver, firehose, lines, stand_in
from tests.support.policy_events import chained

type UseStandIn = Callable[[StandIn], None]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> UseStandIn:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    def use(vendor: StandIn) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", vendor.server.origin)

    return use


def sink(_transport: object) -> FirehoseSink:
    return FirehoseSink("audit")


async def test_a_batch_is_records_that_end_in_a_line_break(aws: UseStandIn) -> None:
    batch = chained(3)
    async with stand_in(firehose) as vendor:
        aws(vendor)
        delivery = await deliver(sink, batch)

    assert delivery.again == ()
    assert vendor.answers.events == lines(batch)


async def test_only_records_with_an_error_code_are_sent_again(aws: UseStandIn) -> None:
    batch = chained(3)
    failed = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "canary"}
    answer = {"FailedPutCount": 1, "RequestResponses": [{"RecordId": "a"}, failed, {"RecordId": "c"}]}
    async with stand_in(firehose) as vendor:
        aws(vendor)
        vendor.answers.then(200, answer)
        delivery = await deliver(sink, batch)

    assert (delivery.again, delivery.reason) == ((batch[1],), "ServiceUnavailableException")


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "ServiceUnavailableException"), (400, "ResourceNotFoundException"), (400, "AccessDeniedException")],
)
async def test_an_error_of_the_call_keeps_the_batch_and_is_not_retried_by_boto3(
    aws: UseStandIn, status: int, code: str
) -> None:
    batch = chained(2)
    async with stand_in(firehose) as vendor:
        aws(vendor)
        vendor.answers.then(status, {"__type": code, "message": "canary"})
        delivery = await deliver(sink, batch)

    assert (delivery.again, delivery.reason) == (tuple(batch), code)
    assert vendor.requests == 1


async def test_a_service_that_cannot_be_reached_keeps_the_batch(aws: UseStandIn) -> None:
    batch = chained(1)
    async with stand_in(firehose) as vendor:
        aws(vendor)
    delivery = await deliver(sink, batch)

    assert (delivery.again, delivery.reason) == (tuple(batch), "EndpointConnectionError")
