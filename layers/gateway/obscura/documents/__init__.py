"""PDFs as images and text, page by page, rendered in a child process that can open nothing (ADR 66)."""
