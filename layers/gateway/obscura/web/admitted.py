"""Admission for the families that FastAPI routes."""

from fastapi import Request

from obscura.pipeline.admit import Caller, admit
from obscura.pipeline.gateway import Gateway
from obscura.web.request_log import JOURNAL


async def admitted(request: Request) -> Caller:
    """Let the caller of a request in, and note in its journal who it is; raises what ``admit`` raises."""
    gateway: Gateway = request.app.state.gateway
    caller = await admit(request.headers, gateway.keys)
    journal = request.scope[JOURNAL]
    journal.project, journal.zero_retention = caller.project, caller.zero_retention
    return caller
