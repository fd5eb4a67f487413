"""S3: the bytes of stored files on AWS, in one bucket."""

from obscura.adapters.s3.contents import S3Contents

__all__ = ["S3Contents"]
