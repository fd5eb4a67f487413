"""The rules of tools, of calls to them, and of what chooses between them, by the type of each.

A tool of a type that is not listed is moderated as a whole, and may hold neither media nor URLs.
"""

from obscura.dialects.rules.containers import ByKey, ByType, Each, Fields, either
from obscura.dialects.rules.leaves import Rule, identifier, links, number, schema, text, unknown
from obscura.dialects.rules.marks import DEFAULT_TTL, LoadingTool, cache_hint, kept_upstream


def ids(*names: str) -> dict[str, Rule]:
    """Return the rules of an object's ``type`` and of some more of its identifiers."""
    return dict.fromkeys(("type", *names), identifier)


def numbers(*names: str) -> dict[str, Rule]:
    """Return the rules of numbers and booleans."""
    return dict.fromkeys(names, number)


def texts(*names: str) -> dict[str, Rule]:
    """Return the rules of texts."""
    return dict.fromkeys(names, text)


def by_type(*kinds: str, fields: Rule) -> dict[str, Rule]:
    """Return the rules by type of objects that have the same fields."""
    return dict.fromkeys(kinds, fields)


link = either(links, unknown)
"""The URL of a page, or text, which has to be a string."""
CACHE_CONTROL = cache_hint(Fields(ids(), {"ttl": kept_upstream(identifier, (DEFAULT_TTL,))}))
CITATIONS_CONFIG = Fields(numbers("enabled"))
CALLER = ByType(
    {"direct": Fields(ids())}
    | by_type("code_execution_20250825", "code_execution_20260120", fields=Fields(ids("tool_id")))
)

_OPTIONS: dict[str, Rule] = {
    "cache_control": CACHE_CONTROL,
    **ids("allowed_callers"),
    **numbers("strict", "defer_loading"),
    "input_examples": Each(schema),
}
_OWN_TOOL = Fields(_OPTIONS, texts("name", "description"), {"input_schema": schema, "eager_input_streaming": number})
MCP_TOOL = Fields({"name": text, "description": text, "input_schema": schema})
_CONFIG = Fields(numbers("enabled", "defer_loading"))
_NAMED = Each(Fields(ids(), {"name": text}))
_URL_SOURCE = ByType(
    by_type("all", "none", fields=Fields(ids())) | by_type("only", "except", fields=Fields(ids(), {"tools": _NAMED}))
)
_PROVIDER_TOOL = Fields(
    _OPTIONS,
    {"name": unknown, "caching": CACHE_CONTROL, **ids("model", "response_inclusion")},
    numbers("max_uses", "max_tokens", "max_characters", "max_content_tokens", "use_cache"),
    numbers("display_width_px", "display_height_px", "display_number", "enable_zoom"),
    {"configs": ByKey(_CONFIG), "default_config": _CONFIG, "citations": CITATIONS_CONFIG},
    {"mcp_server_name": text, "tools": Each(MCP_TOOL)},
    {"allowed_domains": Each(link), "blocked_domains": Each(link)},
    {"user_location": Fields(ids(), texts("city", "region", "country", "timezone"))},
    {"url_sources": Fields(dict.fromkeys(("client_tool_results", "server_tool_results", "user_input"), _URL_SOURCE))},
)
"""The name is one of a few of the provider's: moderated, and no place for media."""
_PROVIDER_TYPES = (
    *("bash_20241022", "bash_20250124", "memory_20250818", "mcp_toolset", "advisor_20260301"),
    *("computer_20241022", "computer_20250124", "computer_20251124"),
    *("browser_toolset_20260801", "computer_toolset_20260801"),
    *("text_editor_20241022", "text_editor_20250124", "text_editor_20250429", "text_editor_20250728"),
    *("web_search_20250305", "web_search_20260209", "web_search_20260318"),
    *("web_fetch_20250910", "web_fetch_20260209", "web_fetch_20260309", "web_fetch_20260318"),
    *("tool_search_tool_bm25_20251119", "tool_search_tool_bm25"),
    *("tool_search_tool_regex_20251119", "tool_search_tool_regex"),
)
_CODE_EXECUTION = (
    *("code_execution_20250522", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"),
)
"""Their containers keep what was in them for 30 days (API reference, "Code execution tool")."""
_TOOL = ByType(
    by_type("", "custom", fields=_OWN_TOOL)
    | by_type(*_PROVIDER_TYPES, fields=_PROVIDER_TOOL)
    | by_type(*_CODE_EXECUTION, fields=kept_upstream(_PROVIDER_TOOL)),
    other=unknown,
)
"""A tool without a type is the caller's own."""


_LOADED_TOOL = LoadingTool(("web_fetch", "web_search"), _TOOL)
TOOLS = Each(_LOADED_TOOL)
TOOL_CHOICE = ByType(
    {
        "none": Fields(ids()),
        "tool": Fields(ids(), {"name": text}, numbers("disable_parallel_tool_use")),
    }
    | by_type("auto", "any", fields=Fields(ids(), numbers("disable_parallel_tool_use")))
)
CHANGED_TOOL = ByType(
    {
        "tool_reference": Fields(ids(), {"name": text}),
        "mcp_tool_reference": Fields(ids(), texts("name", "server_name")),
        "mcp_toolset_reference": Fields(ids(), {"server_name": text}),
        "tool_definition": Fields(ids(), {"definition": _LOADED_TOOL}),
    }
)
"""What a ``tool_addition`` or ``tool_removal`` block names."""
