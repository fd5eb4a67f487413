"""Management of policies, for keys of the scope admin."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from obscura.api.dependencies import JsonBody, RequestServices, gateway_request, principal, validate
from obscura.api.routers import Family, FamilyRoute
from obscura.auth.access import Principal
from obscura.auth.base import KeyScope
from obscura.errors import InvalidRequest, RequestTooLarge, RetentionConflict, UnsupportedField
from obscura.pipeline.read_body import OFF_LOOP_BYTES, read_body
from obscura.policy.cases import parse_cases
from obscura.policy.document import PolicyDocument
from obscura.policy.management import (
    Policy,
    PolicyService,
    assign_project,
    find_records,
    find_version,
    list_policies,
    read_history,
    revert_policy,
    save_policy,
    simulate_document,
    simulate_stored,
)
from obscura.policy.objects import (
    AssignPolicy,
    ConfigObject,
    HistoryEntry,
    PolicyDiff,
    PolicyHistory,
    PolicyList,
    PolicyListEntry,
    PolicyObject,
    ProjectObject,
    RevertPolicy,
    SimulatePolicy,
    Simulation,
    VersionList,
)
from obscura.policy.parse import MAX_DOCUMENT_BYTES, document_schema, parse_document, parse_json
from obscura.policy.versions import diff

PREFIX = "/api/policy-gateway"


async def _read_plain(request: Request) -> Any:
    """Read a JSON body into plain values; raises what ``read_body`` raises, and InvalidRequest."""
    try:
        body = await read_body(gateway_request(request), MAX_DOCUMENT_BYTES)
    except RequestTooLarge:
        raise RequestTooLarge(
            f"The body is over the limit of {MAX_DOCUMENT_BYTES:,} bytes for policies. Send a smaller one."
        ) from None
    content = body.render()
    if len(content) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(parse_json, content)
    return parse_json(content)


@dataclass(frozen=True, slots=True)
class PlainBody[M: BaseModel](JsonBody[M]):
    """The dependency that reads a JSON body into plain values; its model is the schema of the body."""

    async def __call__(self, request: Request) -> Any:
        """Raise what ``_read_plain`` raises."""
        return await _read_plain(request)


@dataclass(frozen=True, slots=True)
class DocumentBody(JsonBody[PolicyDocument]):
    """The dependency that reads a policy document, in any of its spellings."""

    async def __call__(self, request: Request) -> PolicyDocument:
        """Raise what ``_read_plain`` and ``parse_document`` raise; in a thread, since expressions are compiled."""
        return await asyncio.to_thread(parse_document, await _read_plain(request))


async def _policies(services: RequestServices) -> PolicyService:
    return await services.open_policies()


async def _require_retention(
    admin: Annotated[Principal, Depends(principal(KeyScope.ADMIN, free_tier=False))],
) -> None:
    if admin.zero_retention:
        raise RetentionConflict(
            "A zero-retention request stores nothing, and a policy is stored. Send it without X-Zero-Retention, with a "
            "key that was made without zero retention."
        )


STORES = [Depends(_require_retention)]
"""Of the endpoints that store what they are sent."""

Document = Annotated[PolicyDocument, Depends(DocumentBody(PolicyDocument))]
Policies = Annotated[PolicyService, Depends(_policies)]
PolicyIdInPath = Annotated[str, Path(max_length=200)]
Version = Annotated[int | None, Query(ge=1, le=999_999_999)]
Limit = Annotated[int, Query(ge=1, le=100)]

router = APIRouter(prefix=PREFIX, route_class=FamilyRoute)


@router.get("/policies")
async def get_policies(policies: Policies, limit: Limit = 100, after: str | None = None) -> PolicyList:
    """List the policies, in the order of their ids."""
    found = await list_policies(after, limit + 1, policies)
    return PolicyList(data=[PolicyListEntry.of(one) for one in found[:limit]], has_more=len(found) > limit)


@router.post(
    "/policies", dependencies=STORES, responses={201: {"model": PolicyObject, "description": "The first version."}}
)
async def create_version(
    request: Request,
    response: Response,
    document: Document,
    policies: Policies,
    services: RequestServices,
) -> PolicyObject:
    """Save a document as the next version of its policy; ``If-Match`` is honoured."""
    saved = await save_policy(document, _if_match(request), policies, services.clock.now())
    response.status_code = 201 if saved.version.number == 1 else 200
    return _with_etag(saved, response)


@router.get("/policies/{policy_id}")
async def get_policy(
    policy_id: PolicyIdInPath, response: Response, policies: Policies, version: Version = None
) -> PolicyObject:
    """Return the newest version of a policy, or the one that ``version`` names."""
    return _with_etag(await find_version(policy_id, version, policies, "version" if version else "policy_id"), response)


@router.get("/policies/{policy_id}/history")
async def get_policy_history(
    policy_id: PolicyIdInPath, policies: Policies, limit: Limit = 100, before: Version = None
) -> VersionList:
    """List the versions of a policy, the newest first."""
    return VersionList.of(policy_id, await find_records(policy_id, policies), before, limit)


@router.get("/policies/{policy_id}/diff")
async def get_diff(
    policy_id: PolicyIdInPath,
    policies: Policies,
    from_version: Annotated[int | None, Query(ge=1, le=999_999_999, alias="from")] = None,
    to_version: Annotated[int | None, Query(ge=1, le=999_999_999, alias="to")] = None,
) -> PolicyDiff:
    """Return what differs between two versions: by default the newest, and the one before the other."""
    new = await find_version(policy_id, to_version, policies, "to" if to_version else "policy_id")
    number = from_version or max(1, new.version.number - 1)
    old = await find_version(policy_id, number, policies, "from")
    changes = await asyncio.to_thread(diff, old.version.document, new.version.document)
    return PolicyDiff.of(policy_id, (number, new.version.number), changes)


@router.post("/policies/{policy_id}/revert", dependencies=STORES)
async def revert(  # noqa: PLR0913, PLR0917 FastAPI's dependencies
    request: Request,
    response: Response,
    policy_id: PolicyIdInPath,
    target: Annotated[RevertPolicy, Depends(JsonBody(RevertPolicy))],
    policies: Policies,
    services: RequestServices,
) -> PolicyObject:
    """Save the document of an earlier version as the next one, live at once; ``If-Match`` is honoured."""
    reverted = await revert_policy(policy_id, target.version, _if_match(request), policies, services.clock.now())
    return _with_etag(reverted, response)


@router.post("/simulate")
async def simulate(plain: Annotated[Any, Depends(PlainBody(SimulatePolicy))], policies: Policies) -> Simulation:
    """Decide on samples as if the policy were enforced."""
    for name in plain:
        if name not in SimulatePolicy.model_fields:
            fields = ", ".join(SimulatePolicy.model_fields)
            raise UnsupportedField(f"'{name[:100]}' is not known here. Known fields: {fields}.", param=name[:100])
    asked = validate(SimulatePolicy.model_validate, plain)
    if (asked.policy_id is None) == (asked.policy is None):
        raise InvalidRequest("Name a stored policy in 'policy_id', or send a document in 'policy'.", param="policy_id")
    cases = await asyncio.to_thread(parse_cases, asked.samples, "samples")
    if asked.policy_id is not None:
        return await asyncio.to_thread(Simulation.of, await simulate_stored(asked.policy_id, cases, policies))
    try:
        document = await asyncio.to_thread(parse_document, {"policy_id": "simulated"} | (asked.policy or {}))
    except InvalidRequest as error:
        raise error.at(f"policy.{error.param}" if error.param else "policy") from None
    return await asyncio.to_thread(Simulation.of, await simulate_document(document, cases, policies))


@router.get("/schema")
async def get_schema() -> dict[str, Any]:
    """Return the JSON Schema of policy documents."""
    return document_schema()


@router.get("/config")
async def get_config(policy_id: Annotated[str, Query(max_length=200)], policies: Policies) -> ConfigObject:
    """Return the newest version of a policy, as clients of other policy gateways read it."""
    return ConfigObject.of(await find_version(policy_id, None, policies))


@router.post("/config", dependencies=STORES)
async def save_config(
    request: Request,
    document: Document,
    policies: Policies,
    services: RequestServices,
) -> ConfigObject:
    """Save ``{"config": …}`` as the next version of its policy, as clients of other policy gateways do."""
    return ConfigObject.of(await save_policy(document, _if_match(request), policies, services.clock.now()))


@router.get("/history")
async def get_history(
    policies: Policies, policy_id: Annotated[str | None, Query(max_length=200)] = None, limit: Limit = 20
) -> PolicyHistory:
    """List the versions of all policies or of one, with their documents, the newest first."""
    versions, has_more = await read_history(policy_id, limit, policies)
    return PolicyHistory(entries=[HistoryEntry.of(version) for version in versions], has_more=has_more)


@router.get("/projects/{project_id:path}")
async def get_project(project_id: str, policies: Policies) -> ProjectObject:
    """Return the policy that holds for a project's requests that name none."""
    return ProjectObject(project_id=project_id, policy_id=await policies.stores.versions.project_policy(project_id))


@router.patch("/projects/{project_id:path}", dependencies=STORES)
async def update_project(
    project_id: str, assigned: Annotated[AssignPolicy, Depends(JsonBody(AssignPolicy))], policies: Policies
) -> ProjectObject:
    """Let a policy hold for a project's requests that name none, or with null no policy."""
    await assign_project(project_id, assigned.policy_id, policies)
    return ProjectObject(project_id=project_id, policy_id=assigned.policy_id)


def _if_match(request: Request) -> str | None:
    """Return the header; several of one name are one list (RFC 9110 §5.3)."""
    values = request.headers.getlist("if-match")
    return ", ".join(values) if values else None


def _with_etag(policy: Policy, response: Response) -> PolicyObject:
    response.headers["etag"] = policy.version.etag
    return PolicyObject.of(policy)


FAMILY = Family(name="policies", scope=KeyScope.ADMIN, free_tier=False, streams=False, router=router)
