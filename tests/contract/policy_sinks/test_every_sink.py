"""All sinks at once: each has every event, the same bytes, and a chain that verifies."""

import logging
from contextlib import AsyncExitStack

import pytest

from obscura.httpclient.transport import FastTransport
from obscura.policy_events.chain import verify
from obscura.policy_events.open import open_policy_events
from obscura.settings import Settings
from tests.contract.policy_sinks import stand_ins
from tests.contract.policy_sinks.stand_ins import DATADOG_KEY, SECRET, TOKEN, stand_in
from tests.support.policy_events import FixedClock, an_event


async def test_every_sink_and_the_log_have_the_same_chain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "obscura")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    transport = FastTransport()
    async with AsyncExitStack() as stack:
        vendors = {
            read.__name__: await stack.enter_async_context(stand_in(read))
            for read in (stand_ins.webhook, stand_ins.splunk, stand_ins.datadog, stand_ins.otlp, stand_ins.firehose)
        }
        monkeypatch.setenv("AWS_ENDPOINT_URL", vendors["firehose"].server.origin)
        intake = f"{vendors['datadog'].server.origin}/api/v2/logs"
        monkeypatch.setattr("obscura.policy_events.open.intake_url", lambda _: intake)
        settings = Settings.model_validate({
            "policy_webhook_url": vendors["webhook"].server.origin, "policy_webhook_secret": SECRET,
            "policy_splunk_url": vendors["splunk"].server.origin, "policy_splunk_token": TOKEN,
            "policy_otlp_url": vendors["otlp"].server.origin, "policy_datadog_key": DATADOG_KEY,
            "policy_firehose": "audit",
        })  # fmt: skip
        async with open_policy_events(settings, transport, FixedClock()) as events:
            for number in range(40):
                events.put(an_event(number))

        logged = [
            bytes(record.__dict__["fields"]["event"]) for record in caplog.records if record.msg == "policy_event"
        ]
        (report,) = verify(logged)
        assert (report.intact, report.events) == (True, 40)
        for vendor in vendors.values():
            assert sorted(vendor.answers.events) == sorted(logged)
    await transport.aclose()
