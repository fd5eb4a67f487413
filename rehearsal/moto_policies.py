"""Where moto holds a call against something else than AWS does: policies, with what moto asks for added."""

from rehearsal.stack import Json


def as_moto_asks(document: Json) -> Json:
    """Return a policy document by which moto lets through what AWS would, of the calls that Obscura makes.

    A transaction is held by AWS against the rights to its parts (DynamoDB's developer guide, "Using IAM with
    transactions"), by moto against a right of its own name. Several objects deleted in one call are held by AWS against
    the right to each (S3's API reference, DeleteObjects), by moto against the same right to the bucket.
    """
    return document | {"Statement": [part for statement in document["Statement"] for part in _asked(statement)]}


def _asked(statement: Json) -> list[Json]:
    actions, targets = _listed(statement["Action"]), _listed(statement["Resource"])
    if "dynamodb:UpdateItem" in actions:
        return [statement | {"Action": [*actions, "dynamodb:TransactWriteItems"]}]
    if "s3:DeleteObject" in actions:
        buckets = sorted({arn.partition("/")[0] for arn in targets})
        return [statement, {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": buckets}]
    return [statement]


def _listed(response: str | list[str]) -> list[str]:
    return [response] if isinstance(response, str) else response
