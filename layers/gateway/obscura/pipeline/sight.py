"""What is to be described of a request to a model that cannot see; what does it is imported only then (ADR 185)."""

from typing import TYPE_CHECKING, Any

from obscura.auth.access import Principal
from obscura.pipeline.request import GatewayRequest
from obscura.pipeline.services import Services

if TYPE_CHECKING:
    from obscura.pipeline.describe import Describing
    from obscura.pipeline.handle import PreparedRequest


async def describing_of(
    prepared: "PreparedRequest[Any]", request: GatewayRequest, principal: Principal, services: Services
) -> "Describing | None":
    """Return what is to be described of a request, None without an image."""
    from obscura.pipeline.describe import Describing

    return await Describing.of(prepared, request, principal, services)
