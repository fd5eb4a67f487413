"""AWS account on loopback with the stack's tables, bucket, secrets and roles, which allows what a role grants.

moto's server stands in for AWS. It checks S3 calls against the ARNs in a policy by itself; the ARNs of DynamoDB's,
SSM's, Secrets Manager's and Firehose's calls are supplied here, through the hook that moto has for its other services.
"""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.core.responses import BaseResponse
from moto.dynamodb.responses import DynamoHandler
from moto.firehose.responses import FirehoseResponse
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse

from rehearsal.moto_policies import adapt_to_moto
from rehearsal.stack import ACCOUNT, REGION, Json, Stack

SECRETS = {"address-secret": "a-secret-for-hashing-addresses"}


@dataclass(frozen=True)
class Account:
    """``origin`` is for AWS_ENDPOINT_URL; ``roles`` has credentials by ARN, and those of the operator."""

    origin: str
    roles: dict[str, dict[str, str]]

    def session(self, role: str) -> boto3.Session:
        """Return a session with a role's rights."""
        credentials = self.roles[role]
        return boto3.Session(
            credentials["AWS_ACCESS_KEY_ID"],
            credentials["AWS_SECRET_ACCESS_KEY"],
            credentials["AWS_SESSION_TOKEN"],
            region_name=REGION,
        )

    def enforce(self) -> None:
        """Enforce the roles: from here on every call is checked against its caller's policies."""
        _skip_checks_for(self.origin, "0")

    def environment(self, role: str) -> dict[str, str]:
        """Return the variables with which a process uses this account, with a role's rights."""
        return self.roles[role] | {"AWS_ENDPOINT_URL": self.origin, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


OPERATOR = "operator"


@contextmanager
def account_of(stack: Stack) -> Iterator[Account]:
    """Serve an account with the stack in it while the context is open; nothing is enforced yet."""
    for handler, hook in _HOOKS.items():
        setattr(handler, _HOOK, hook)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    origin = f"http://{host}:{port}"
    try:
        operator = {
            "AWS_ACCESS_KEY_ID": "operator",
            "AWS_SECRET_ACCESS_KEY": "operator",
            "AWS_SESSION_TOKEN": "operator",
        }
        _configure_moto(origin, "reset")
        account = Account(origin, {OPERATOR: operator})
        _create(stack, account)
        yield account
    finally:
        _skip_checks_for(origin, "inf")
        server.stop()
        for handler in _HOOKS:
            delattr(handler, _HOOK)


def _create(stack: Stack, account: Account) -> None:
    session = account.session(OPERATOR)
    dynamodb = session.client("dynamodb", endpoint_url=account.origin)
    for table in stack.resources("AWS::DynamoDB::Table").values():
        members = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")
        dynamodb.create_table(**{name: table[name] for name in members})
    s3 = session.client("s3", endpoint_url=account.origin)
    for logical_id in stack.resources("AWS::S3::Bucket"):
        s3.create_bucket(Bucket=stack.ref(logical_id), CreateBucketConfiguration={"LocationConstraint": REGION})
    ssm = session.client("ssm", endpoint_url=account.origin)
    for name, secret in SECRETS.items():
        ssm.put_parameter(Name=f"{stack.ref('SecretsPath')}/{name}", Value=secret, Type="SecureString")
    _create_roles(stack, account, session)


def _create_roles(stack: Stack, account: Account, session: boto3.Session) -> None:
    iam = session.client("iam", endpoint_url=account.origin)
    sts = session.client("sts", endpoint_url=account.origin)
    for logical_id, policy in stack.resources("AWS::IAM::ManagedPolicy").items():
        iam.create_policy(PolicyName=logical_id, PolicyDocument=json.dumps(adapt_to_moto(policy["PolicyDocument"])))
    for logical_id, role in stack.resources("AWS::IAM::Role").items():
        name = stack.ref(logical_id)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(role["AssumeRolePolicyDocument"]))
        for policy in role["Policies"]:
            document = json.dumps(policy["PolicyDocument"])
            iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
        for arn in role.get("ManagedPolicyArns", ()):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        credentials = sts.assume_role(RoleArn=arn, RoleSessionName="rehearsal")["Credentials"]
        account.roles[stack.attribute(logical_id, "Arn")] = {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }


def _skip_checks_for(origin: str, count: str) -> None:
    """Allow this many calls before policies are checked (moto's documentation, "IAM-like Access Control")."""
    _configure_moto(origin, "reset-auth", count)


def _configure_moto(origin: str, command: str, body: str = "") -> None:
    url, headers = f"{origin}/moto-api/{command}", {"content-type": "text/plain"}
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers)):  # noqa: S310 loopback
        pass


_HOOK = "_determine_resource"


def _table_arn(handler: BaseResponse) -> str:
    """Return the one table of a call; all parts of a transaction or a batch have the same."""
    request: Json = json.loads(handler.raw_body)
    parts = [operation for part in request.get("TransactItems", ()) for operation in part.values()]
    batch = next(iter(request.get("RequestItems", ())), None)
    name = request.get("TableName") or batch or (parts[0]["TableName"] if parts else "*")
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def _parameter_arn(handler: BaseResponse) -> str:
    request: Json = json.loads(handler.raw_body)
    return (
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{request.get('Path') or request.get('Name') or request['Names'][0]}"
    )


def _secret_arn(handler: BaseResponse) -> str:
    secret_id = json.loads(handler.raw_body).get("SecretId")
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret_id}-AbCdEf"


def _stream_arn(handler: BaseResponse) -> str:
    name = json.loads(handler.raw_body).get("DeliveryStreamName")
    return f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}"


_HOOKS: dict[type[BaseResponse], Callable[[BaseResponse], str]] = {
    DynamoHandler: _table_arn,
    FirehoseResponse: _stream_arn,
    SecretsManagerResponse: _secret_arn,
    SimpleSystemManagerResponse: _parameter_arn,
}
