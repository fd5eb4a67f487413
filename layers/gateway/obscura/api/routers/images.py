"""Images out: generations and edits, with and without ``/v1``."""

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import Family
from obscura.auth.base import KeyScope
from obscura.dialects.images.apis import EditsApi, GenerationsApi
from obscura.pipeline.images_out import handle_images, refuse_dry_run

FAMILY = Family(
    name="images",
    scope=KeyScope.IMAGES,
    free_tier=True,
    streams=True,
    dialects=tuple(
        DialectEndpoint(api, handle_images, KeyScope.IMAGES, refuse_dry_run) for api in (GenerationsApi(), EditsApi())
    ),
)
