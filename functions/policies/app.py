"""Lambda entry of the policies family."""

from obscura.api.routers import policies
from obscura.aws.handler import make_handler

handler = make_handler(policies.FAMILY)
