"""``python -m rehearsal.managed``: write ``template-managed.yaml``, the stack on Lambda Managed Instances (ADR 149).

SAM takes no condition for ``CapacityProviderConfig``, so that one template cannot do both. This one is
``template.yaml`` with the changes below: each raises an error when the text that it replaces is not there once.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rehearsal.stack import ROOT

TEMPLATE = ROOT / "template-managed.yaml"
MANAGED = ("Chat", "Messages", "Responses")
"""The functions that wait for models, and so are worth an instance; the others run on Lambda as before."""
HEADER = "# Written by `make managed-template` from template.yaml (rehearsal/managed.py): change that one.\n"

_PARAMETERS = """\
  InstanceSubnetIds:
    Type: List<AWS::EC2::Subnet::Id>
    Description: Subnets of the instances, in several zones, with a way to the model and to AWS's APIs.
  InstanceSecurityGroupIds:
    Type: List<AWS::EC2::SecurityGroup::Id>
    Description: Security groups of the instances; they need no way in.
  MaxVCpus:
    Type: Number
    Default: 24
    MinValue: 12
    MaxValue: 15000
    Description: Processors that all instances may have together, the bound of the bill.
  ManagedMemorySize:
    Type: Number
    Default: 4096
    MinValue: 2048
    MaxValue: 32768
    Description: MB of an environment on an instance; each 2,048 come with one processor.
  Concurrency:
    Type: Number
    Default: 64
    MinValue: 1
    MaxValue: 1600
    Description: Requests that one environment serves at once, at most 64 for each of its processors.
"""
_PROVIDER = """\
  # ---------------------------------------------------------------- the instances
  CapacityProvider:
    Type: AWS::Serverless::CapacityProvider
    Properties:
      CapacityProviderName: !Ref AWS::StackName
      VpcConfig: {SubnetIds: !Ref InstanceSubnetIds, SecurityGroupIds: !Ref InstanceSecurityGroupIds}
      InstanceRequirements: {Architectures: [!Ref Architecture]}
      ScalingConfig: {MaxVCpuCount: !Ref MaxVCpus}

"""
_CONFIG = """\
      MemorySize: !Ref ManagedMemorySize
      CapacityProviderConfig:
        Arn: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:capacity-provider:${CapacityProvider}
        PerExecutionEnvironmentMaxConcurrency: !Ref Concurrency
        ExecutionEnvironmentMemoryGiBPerVCpu: 2
      ReservedConcurrentExecutions: !Ref AWS::NoValue
"""
_NETWORK = re.compile(r"    VpcConfig: .*\n")
"""Of all functions, in Globals: SAM takes none beside a capacity provider, not even ``AWS::NoValue``."""
_LOGGING = re.compile(r"      LoggingConfig: \{LogGroup: !Ref (\w+)LogGroup\}\n")
_SNAP_START = (
    "  SnapStart:\n    Type: String\n    Default: None\n    AllowedValues: [None, PublishedVersions]\n"
    "    Description: Starts from a snapshot. Billed as long as a version exists, with or without traffic; "
    "docs/operating.md has the figures.\n"
)
_RETAIN = "  OldVersions:\n    Type: String\n    Default: Retain\n"
"""Each version on instances keeps environments of its own ("Scaling Lambda Managed Instances")."""
_LAYERS = "  # ---------------------------------------------------------------- the layers\n"
_DESCRIPTION = "Description: Obscura, an image LLM API in your own account"


@dataclass(frozen=True, slots=True)
class Change:
    """A text that is there once, and what is in its place."""

    old: str
    new: str

    def made(self, template: str) -> str:
        """Return the template with the change; raises ValueError unless the text is there once."""
        times = template.count(self.old)
        if times != 1:
            raise ValueError(f"template.yaml has this {times} times, not once:\n{self.old}")
        return template.replace(self.old, self.new)


def _changes(template: str) -> list[Change]:
    network = next(iter(_NETWORK.findall(template)), "    VpcConfig: ")
    return [
        Change("AWSTemplateFormatVersion:", f"{HEADER}AWSTemplateFormatVersion:"),
        Change(
            f"{_DESCRIPTION}. Nothing runs, and nothing is billed, between requests.",
            f"{_DESCRIPTION}, on Lambda Managed Instances, which run between requests too.",
        ),
        Change(
            "Parameters: [Architecture, MemorySize, SnapStart, ",
            "Parameters: [InstanceSubnetIds, InstanceSecurityGroupIds, MaxVCpus, ManagedMemorySize, Concurrency, "
            "Architecture, MemorySize, ",
        ),
        Change(_SNAP_START, _PARAMETERS),
        Change(network, ""),
        Change("    SnapStart: {ApplyOn: !Ref SnapStart}\n", ""),
        Change(" ${SnapStart} ", " ${ManagedMemorySize} ${Concurrency} "),
        Change(_RETAIN, _RETAIN.replace("Retain\n", "Delete\n")),
        Change(_LAYERS, _PROVIDER + _LAYERS),
        *(
            Change(
                f"      LoggingConfig: {{LogGroup: !Ref {name}LogGroup}}\n",
                f"{_CONFIG}      LoggingConfig: {{LogGroup: !Ref {name}LogGroup, LogFormat: JSON}}\n"
                if name in MANAGED
                else f"  {network}      LoggingConfig: {{LogGroup: !Ref {name}LogGroup}}\n",
            )
            for name in _LOGGING.findall(template)
        ),
    ]


def managed_template(template: str) -> str:
    """Return the text of ``template-managed.yaml``; raises ValueError if ``template.yaml`` has changed beside it."""
    for change in _changes(template):
        template = change.made(template)
    return template


def main(target: Path = TEMPLATE) -> int:
    """Write the template."""
    target.write_text(managed_template((ROOT / "template.yaml").read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
