"""Outside judges, run against a served gateway: ``make conformance`` writes ``docs/conformance.md``."""
