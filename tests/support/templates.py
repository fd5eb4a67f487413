"""Stacks with one change, and the responses that API Gateway returns by itself."""

import copy
import json
from collections.abc import Callable

from rehearsal.stack import Stack


def changed(stack: Stack, change: Callable[[dict], object]) -> Stack:
    """Return the stack after ``change`` was made to its resources."""
    template = copy.deepcopy(stack.template)
    change(template["Resources"])
    return Stack(template, stack.given)


def gateway_responses(stack: Stack) -> dict[str, dict]:
    """Return the responses that API Gateway returns by itself, with their bodies as callers get them."""
    [api] = stack.resources("AWS::ApiGateway::RestApi").values()
    responses = api["Body"]["x-amazon-apigateway-gateway-responses"]
    values = {"$context.requestId": "c6af9ac6", "$context.error.messageString": '"Unsupported Media Type"'}
    bodies = {}
    for name, response in responses.items():
        body = response["responseTemplates"]["application/json"]
        for variable, value in values.items():
            body = body.replace(variable, value)
        bodies[name] = response | {"body": json.loads(body)}
    return bodies
