"""Lambda entry of the policy family."""

from obscura.api.routers import policy
from obscura.aws.handler import make_handler

handler = make_handler(policy.FAMILY)
