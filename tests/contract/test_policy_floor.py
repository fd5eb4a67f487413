"""The organisation's floor where it is stored: a file, or an object in S3."""

import json
from pathlib import Path

import boto3
import pytest

from obscura.bootstrap_policies import policy_floor
from obscura.settings import ConfigurationError, Settings
from tests.support.aws_server import aws_server

FLOOR = json.dumps({"policy_id": "floor", "name": "Floor", "rules": {"denylist": ["a"]}}).encode()


def test_a_floor_is_read_from_a_file_and_from_an_object(tmp_path: Path) -> None:
    (tmp_path / "floor.json").write_bytes(FLOOR)
    with aws_server():
        store = boto3.client("s3")
        store.create_bucket(Bucket="floors", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        store.put_object(Bucket="floors", Key="lists/floor.json", Body=FLOOR)
        store.close()

        floors = [
            policy_floor(Settings(policy_floor=location))
            for location in (str(tmp_path / "floor.json"), "s3://floors/lists/floor.json")
        ]

    assert floors[0] is not None
    assert floors[0] == floors[1]


@pytest.mark.parametrize("location", ["s3://floors/absent.json", "absent.json"])
def test_a_floor_that_cannot_be_read_is_named(location: str) -> None:
    with aws_server(), pytest.raises(ConfigurationError, match="OBSCURA_POLICY_FLOOR: cannot be read"):
        policy_floor(Settings(policy_floor=location))
