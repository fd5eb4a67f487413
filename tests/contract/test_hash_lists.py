"""The contract of reading hash lists: from files and from S3, again only if they changed."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from obscura.hashes.blocked import BlockedHashes, HashListSource, HashMatch, ImageHashes, load
from obscura.hashes.list_file import HashListError, HashType
from obscura.stores.hash_lists import StoredHashLists
from tests.support.aws_server import aws_server

BUCKET = "hash-lists"
A, B = "a" * 64, "b" * 64
A_SHA256 = ImageHashes([bytes.fromhex(A)])
ON_A = ImageHashes([], [int(A, 16)], quality=100)
ON_B = ImageHashes([], [int(B, 16)], quality=100)


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield


def in_a_file(folder: Path) -> tuple[str, Callable[[str], object]]:
    path = folder / "list.txt"
    return str(path), path.write_text


def in_s3(folder: Path) -> tuple[str, Callable[[str], object]]:
    key = f"{folder.name}/list.txt"
    client = boto3.client("s3")
    return f"s3://{BUCKET}/{key}", lambda text: client.put_object(Bucket=BUCKET, Key=key, Body=text.encode())


each_place = pytest.mark.parametrize("place", [in_a_file, in_s3])


@each_place
def test_a_list_is_read_and_again_only_if_it_changed(place: Callable, tmp_path: Path) -> None:
    location, write = place(tmp_path)
    source, reader = HashListSource(location), StoredHashLists()
    write(A)

    first = load(source, reader)
    assert first is not None
    assert first.match(ON_A) == HashMatch(location, "illicit", HashType.PDQ, 0)
    assert load(source, reader, first.version) is None

    write(f"{B}\n{B}\n{A}")
    second = load(source, reader, first.version)
    assert second is not None
    assert len(second) == 3


@each_place
def test_a_list_that_is_not_there_is_an_error_that_names_it(place: Callable, tmp_path: Path) -> None:
    location, _ = place(tmp_path)

    with pytest.raises(HashListError, match=r"list\.txt"):
        load(HashListSource(location), StoredHashLists())


async def test_a_changed_list_is_used_from_the_next_look_on_and_a_broken_one_is_reported(tmp_path: Path) -> None:
    location, write = in_a_file(tmp_path)
    write(A)
    now_s = [0.0]
    reports: list[str] = []
    blocked = await BlockedHashes.open([HashListSource(location)], StoredHashLists(), lambda: now_s[0], reports.append)

    async def look_after(seconds: float) -> None:
        now_s[0] += seconds
        blocked.look_for_changes()
        await asyncio.sleep(0)
        if blocked.reloading is not None:
            await blocked.reloading

    write(f"{A}\n{B}")
    await look_after(5)
    assert blocked.match(ON_B) is None
    await look_after(30)
    assert blocked.match(ON_B) is not None

    write("no hash, but three words of 64 digits\npdq 0")
    await look_after(31)
    assert blocked.match(ON_B) is not None
    assert reports == [f"{location}: Line 2 has no hash of 64 hexadecimal digits."]
    await blocked.aclose()


def test_a_source_is_read_with_its_options() -> None:
    assert HashListSource.parse("s3://lists/known.csv?category=sexual/minors&distance=20&quality=0&dihedral=yes") == (
        HashListSource("s3://lists/known.csv", "sexual/minors", HashType.PDQ, 20, 0, dihedral=True)
    )
    assert HashListSource.parse("own.txt?type=sha256").bare is HashType.SHA256


@pytest.mark.parametrize("text", ["", "?distance=1", "a?distance=32", "a?distance=-1", "a?type=md5", "a?colour=1"])
def test_a_source_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        HashListSource.parse(text)


@pytest.mark.parametrize(
    ("options", "image", "matches"),
    [
        ("", ON_A, True),
        ("", ImageHashes([], [int(A, 16) ^ 7], quality=50), True),
        ("?distance=2", ImageHashes([], [int(A, 16) ^ 7], quality=50), False),
        ("", ImageHashes([], [int(A, 16)], quality=49), False),
        ("?quality=49", ImageHashes([], [int(A, 16)], quality=49), True),
        ("", ImageHashes([], [0, int(A, 16)], quality=100), False),
        ("?dihedral=yes", ImageHashes([], [0, int(A, 16)], quality=100), True),
        ("", A_SHA256, False),
        ("?type=sha256", A_SHA256, True),
        ("?type=sha256", ON_A, False),
    ],
)
def test_an_image_is_compared_as_its_list_says(options: str, image: ImageHashes, matches: bool, tmp_path: Path) -> None:
    location, write = in_a_file(tmp_path)
    write(A)
    loaded = load(HashListSource.parse(location + options), StoredHashLists())

    assert loaded is not None
    assert (loaded.match(image) is not None) == matches
