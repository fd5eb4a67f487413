"""Stacks that went wrong: a translated template with one thing changed."""

import copy
import json
from collections.abc import Callable

from rehearsal.stack import Stack


def changed(stack: Stack, change: Callable[[dict], object]) -> Stack:
    """The stack after ``change`` was made to its resources."""
    template = copy.deepcopy(stack.template)
    change(template["Resources"])
    return Stack(template, stack.given)


def gateway_answers(stack: Stack) -> dict[str, dict]:
    """The answers that API Gateway gives by itself, with their bodies as callers get them."""
    [api] = stack.resources("AWS::ApiGateway::RestApi").values()
    response = api["Body"]["x-amazon-apigateway-gateway-responses"]
    filled = {"$context.requestId": "c6af9ac6", "$context.error.messageString": '"Unsupported Media Type"'}
    bodies = {}
    for name, answer in response.items():
        body = answer["responseTemplates"]["application/json"]
        for variable, value in filled.items():
            body = body.replace(variable, value)
        bodies[name] = answer | {"body": json.loads(body)}
    return bodies
