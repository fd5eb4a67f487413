"""Policies as moto needs them: it checks some calls against other permissions than AWS does."""

from rehearsal.stack import Json


def adapt_to_moto(document: Json) -> Json:
    """Return a policy document by which moto allows what AWS would, of the calls that Obscura makes.

    AWS checks a transaction against the rights to its parts (DynamoDB's developer guide, "Using IAM with
    transactions"), moto against a right of its own name. AWS checks several objects deleted in one call against the
    right to each (S3's API reference, DeleteObjects), moto against the same right to the bucket. moto knows no "?".
    """
    return document | {"Statement": [part for statement in document["Statement"] for part in _adapt(statement)]}


def _adapt(statement: Json) -> list[Json]:
    actions, targets = _listed(statement["Action"]), _listed(statement["Resource"])
    if "dynamodb:UpdateItem" in actions:
        return [statement | {"Action": [*actions, "dynamodb:TransactWriteItems"]}]
    if "s3:DeleteObject" in actions:
        buckets = sorted({arn.partition("/")[0] for arn in targets})
        return [statement, {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": buckets}]
    if "secretsmanager:GetSecretValue" in actions:
        return [statement | {"Resource": [arn.replace("-??????", "-*") for arn in targets]}]
    return [statement]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
