"""Where hash lists and the floor of policies are read from: files of this machine, and objects in S3."""

from pathlib import Path

from obscura.hashes.blocked import ListContent

_S3 = "s3://"


class StoredHashLists:
    """Reads a list by its location: ``s3://BUCKET/KEY``, or the path of a file."""

    def read(self, location: str, known_version: str | None) -> ListContent | None:
        """Return a list, None if it still is ``known_version``; raises OSError if it cannot be read."""
        if location.startswith(_S3):
            return _read_object(location, known_version)
        path = Path(location)
        status = path.stat()
        version = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
        return None if version == known_version else ListContent(path.read_bytes(), version)


def read_stored(location: str) -> bytes:
    """Return a file or an object of S3, by its location as above; raises OSError if it cannot be read."""
    found = StoredHashLists().read(location, None)
    return b"" if found is None else found.content


def _read_object(location: str, known_version: str | None) -> ListContent | None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = location.removeprefix(_S3).partition("/")
    try:
        client = boto3.client("s3")
        if known_version is None:
            found = client.get_object(Bucket=bucket, Key=key)
        else:
            found = client.get_object(Bucket=bucket, Key=key, IfNoneMatch=known_version)
        return ListContent(found["Body"].read(), found["ETag"])
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in {"304", "NotModified"}:
            return None
        raise OSError(0, f"S3 refused to send it ({code or 'no code'})") from None
    except BotoCoreError:
        raise OSError(0, "S3 cannot be reached") from None
