"""External checks of policies: clients of guardrail services."""
