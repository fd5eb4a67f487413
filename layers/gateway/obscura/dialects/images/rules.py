"""The rules of the fields of image requests (OpenAI's API reference, "Create image", "Create image edit").

Reference images, images and masks were taken out of the tree before; docs/fields-images.md shows the whole table.
"""

from obscura.dialects.rules.containers import ByKey, Fields
from obscura.dialects.rules.leaves import Rule, identifier, number, replaced, text, unknown

_IDENTIFIERS = (
    *("model", "size", "quality", "background", "style", "moderation", "response_format", "output_format"),
    *("input_fidelity", "complexity", "user", "safety_identifier", "aspect_ratio", "resolution"),
)
NUMBERS = (
    *("n", "output_compression", "stream", "partial_images", "seed", "steps", "num_inference_steps"),
    *("guidance_scale", "cfg_scale", "strength"),
)
_COMMON: dict[str, Rule] = {
    "prompt": text,
    "negative_prompt": text,
    "metadata": ByKey(unknown),
    **dict.fromkeys(_IDENTIFIERS, identifier),
    **dict.fromkeys(NUMBERS, number),
}

REFERENCES = ("image_url", "image_urls", "file_id", "file_ids")
"""The fields of reference images, in the order in which they go on."""

GENERATION = Fields(_COMMON, dict.fromkeys(REFERENCES, replaced))
EDIT = Fields(_COMMON, dict.fromkeys(("images", "image", "mask"), replaced))
