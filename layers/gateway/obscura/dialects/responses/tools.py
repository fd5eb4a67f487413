"""The rules of tools, and of the formats of answers, as a request describes them to the model.

The credentials of an MCP server, also those in its URL, and the secrets of a container's network are for the upstream's
own calls: they go to the upstream alone, so the moderation does not see them.
"""

from obscura.dialects.json.raw import Node
from obscura.dialects.responses.unlisted import address, flat, numbers, provider_files, unseen_image
from obscura.dialects.rules.containers import ByKey, ByType, Each, Fields, either
from obscura.dialects.rules.leaves import (
    Review,
    Rule,
    credential,
    identifier,
    number,
    schema,
    server_address,
    text,
    unknown,
)
from obscura.dialects.rules.marks import LoadingTool, account_state, kept_upstream

_ANY: dict[str, Rule] = {"type": identifier, "allowed_callers": Each(identifier), "defer_loading": number}
_NAMED: dict[str, Rule] = {"name": text, "description": text, "async": number}
_NETWORK = Fields(
    {
        "type": identifier,
        "allowed_domains": Each(address),
        "domain_secrets": Each(Fields({"domain": address, "name": text, "value": credential})),
    }
)


def _container(kind: str) -> Fields:
    """Return the rule of a container, in which programs of the model's run; ``kind`` is the type of its tool."""
    skill = Fields(
        {
            "type": identifier,
            "skill_id": account_state(identifier),
            "version": identifier,
            "name": text,
            "description": text,
            "path": text,
            "source": Fields({"type": identifier, "media_type": identifier, "data": unseen_image(kind)}),
        }
    )
    return Fields(
        {
            "type": identifier,
            "container_id": account_state(identifier),
            "file_ids": provider_files(kind),
            "memory_limit": identifier,
            "network_policy": _NETWORK,
            "skills": Each(skill),
        }
    )


ENVIRONMENT = ByType({"local": _container("shell")}, other=kept_upstream(_container("shell")))
"""A container of the upstream's keeps what is in it for a while; a local environment is the caller's own."""
REASONING = flat("effort", "summary", "generate_summary", "context", "mode")
_TEXT_FORMAT = Fields({"type": identifier, "name": text, "description": text, "schema": schema, "strict": number})
TEXT_FORMAT = ByType(
    dict.fromkeys(("text", "json_object", "json_schema"), _TEXT_FORMAT),
    other=_TEXT_FORMAT.with_fields({"type": unknown}),
)


def _tool_within(node: Node, review: Review) -> None:
    """A tool within another, such as a namespace."""
    TOOL(node, review)


def _filter(node: Node, review: Review) -> None:
    """A filter of a file search, or filters that are joined: values to compare attributes of files with."""
    _FILTER(node, review)


_COMPARED = Fields({"type": identifier, "key": unknown, "value": either(address, Each(address))})
_FILTER = ByType(
    {
        **dict.fromkeys(("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"), _COMPARED),
        **dict.fromkeys(("and", "or"), Fields({"type": identifier, "filters": Each(_filter)})),
    }
)
_FORMAT = ByType(
    {
        "text": Fields({"type": identifier}),
        "grammar": Fields({"type": identifier, "syntax": identifier, "definition": text}),
    }
)
_MCP_TOOLS = Fields({"read_only": number, "tool_names": Each(text)})
_WEB_SEARCH = Fields(
    {
        "filters": Fields({"allowed_domains": Each(address)}),
        "user_location": Fields(
            {"type": identifier, **dict.fromkeys(("city", "country", "region", "timezone"), text)},
        ),
        "external_web_access": number,
        "search_context_size": identifier,
        "search_content_types": Each(identifier),
    },
    _ANY,
)
_COMPUTER = Fields(
    {"environment": identifier},
    numbers("display_height", "display_width"),
    _ANY,
)
_TOOL = ByType(
    {
        "function": Fields({"parameters": schema, "output_schema": schema, "strict": number}, _NAMED, _ANY),
        "custom": Fields({"format": _FORMAT}, _NAMED, _ANY),
        "namespace": Fields({"tools": Each(_tool_within)}, _NAMED, _ANY),
        "tool_search": Fields({"parameters": schema, "execution": identifier}, _NAMED, _ANY),
        "mcp": Fields(
            {
                "server_label": text,
                "server_description": text,
                "server_url": server_address,
                "authorization": credential,
                "headers": ByKey(credential),
                "connector_id": identifier,
                "tunnel_id": account_state(identifier),
                "allowed_tools": Each(text, other=_MCP_TOOLS),
                "require_approval": either(identifier, Fields({"always": _MCP_TOOLS, "never": _MCP_TOOLS})),
            },
            _ANY,
        ),
        "code_interpreter": kept_upstream(
            Fields({"container": either(account_state(identifier), _container("code_interpreter"))}, _ANY)
        ),
        "shell": Fields({"environment": ENVIRONMENT}, _ANY),
        "image_generation": Fields(
            {
                "input_image_mask": unseen_image("image_generation"),
                **dict.fromkeys(
                    (
                        *("action", "background", "complexity", "input_fidelity"),
                        *("model", "moderation", "output_format", "quality", "size"),
                    ),
                    identifier,
                ),
                **numbers("frame_count", "frame_duration_ms", "output_compression", "partial_images"),
                "svg": Fields({"model": identifier, "reasoning": flat("effort")}),
            },
            _ANY,
        ),
        "file_search": Fields(
            {
                "vector_store_ids": Each(account_state(identifier), other=account_state(unknown)),
                "filters": _FILTER,
                "max_num_results": number,
                "ranking_options": Fields(
                    {
                        "ranker": identifier,
                        "score_threshold": number,
                        "hybrid_search": Fields(numbers("embedding_weight", "text_weight")),
                    }
                ),
            },
            _ANY,
        ),
        **dict.fromkeys(
            ("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"), _WEB_SEARCH
        ),
        **dict.fromkeys(("computer", "computer_use_preview", "computer_use"), _COMPUTER),
        **dict.fromkeys(("local_shell", "apply_patch", "programmatic_tool_calling"), Fields(_ANY)),
    },
    other=Fields(
        {"parameters": schema, "tools": Each(_tool_within), "input_image_mask": unseen_image("image_generation")},
        _NAMED,
        _ANY,
        {"type": unknown},
    ),
)
"""A tool of a type that is not listed describes itself as a function does; what else it has is unknown."""
TOOL = LoadingTool(("mcp", "web_search", "file_search"), _TOOL)
