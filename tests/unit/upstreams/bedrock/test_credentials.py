"""AWS credentials: found and refreshed in a thread, and never in a log."""

import asyncio
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from threading import Event, get_ident
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials

from obscura.errors import UpstreamError
from obscura.upstreams.bedrock.credentials import CHECK_S, AwsCredentials


class Role:
    """A role whose credentials are new at each look; ``ended`` as botocore would reckon it."""

    def __init__(self) -> None:
        self.looks = 0
        self.ended = False
        self.may_answer = Event()
        self.may_answer.set()
        self.threads: set[int] = set()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.threads.add(get_ident())
        self.may_answer.wait(5)
        self.looks += 1
        self.ended = False
        return ReadOnlyCredentials(f"key{self.looks}", "secret", "token")

    def refresh_needed(self, refresh_in: int) -> bool:
        assert refresh_in == 0
        return self.ended


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def settled(role: Role, looks: int) -> None:
    async with asyncio.timeout(2):
        while role.looks < looks:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)


async def test_a_snapshot_serves_until_it_is_looked_at_again_in_the_background() -> None:
    role, time = Role(), Time()
    credentials = AwsCredentials(lambda: role, time)

    await credentials.ready()
    time.now_s += CHECK_S - 1
    await credentials.ready()
    assert (credentials.current.access_key, role.looks) == ("key1", 1)

    time.now_s += 2
    role.may_answer.clear()
    await asyncio.wait_for(credentials.ready(), 0.1)  # does not wait for the refresh
    assert credentials.current.access_key == "key1"
    role.may_answer.set()
    await settled(role, 2)
    assert credentials.current.access_key == "key2"
    assert get_ident() not in role.threads


async def test_ended_credentials_are_waited_for_once_by_all() -> None:
    role, time = Role(), Time()
    credentials = AwsCredentials(lambda: role, time)
    await credentials.ready()

    role.ended, time.now_s = True, time.now_s + CHECK_S
    await asyncio.gather(*(credentials.ready() for _ in range(20)))

    assert (credentials.current.access_key, role.looks) == ("key2", 2)


async def test_a_provider_that_fails_leaves_what_lasts_and_names_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    role, time = Role(), Time()
    credentials = AwsCredentials(lambda: role, time)
    await credentials.ready()

    def fail() -> ReadOnlyCredentials:
        role.looks += 1
        raise RuntimeError("secret")

    role.get_frozen_credentials = fail  # type: ignore[method-assign]
    time.now_s += CHECK_S
    await credentials.ready()
    await settled(role, 2)

    assert credentials.current.access_key == "key1"
    assert [record.getMessage() for record in caplog.records] == ["aws_credentials_unavailable"]
    role.ended, time.now_s = True, time.now_s + CHECK_S
    with pytest.raises(UpstreamError, match="no AWS credentials"):
        await credentials.ready()


async def test_without_credentials_the_error_says_what_the_operator_must_do() -> None:
    credentials = AwsCredentials(lambda: None)

    with pytest.raises(UpstreamError, match="AWS_ACCESS_KEY_ID"):
        await credentials.ready()


async def test_botocores_own_refreshing_credentials_are_understood() -> None:
    refreshed = []

    def refresh() -> dict[str, Any]:
        refreshed.append(1)
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return {"access_key": "new", "secret_key": "s", "token": "t", "expiry_time": until}

    old = {"access_key": "old", "secret_key": "s", "token": "t", "expiry_time": "2020-01-01T00:00:00Z"}
    credentials = AwsCredentials(lambda: RefreshableCredentials.create_from_metadata(old, refresh, "a-role"))

    await credentials.ready()

    assert (credentials.current.access_key, refreshed) == ("new", [1])


def test_botocores_loggers_write_no_signatures() -> None:
    AwsCredentials(lambda: None)

    assert not logging.getLogger("botocore.auth").isEnabledFor(logging.DEBUG)


def test_nothing_of_botocore_is_imported_without_bedrock() -> None:
    program = (
        "import sys; import obscura.bootstrap, obscura.bootstrap_upstreams, obscura.api.app;"
        "from obscura.upstreams.registry import load_kind; load_kind('openai');"
        "print([name for name in sys.modules if name.startswith(('botocore.auth', 'obscura.upstreams.bedrock'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
