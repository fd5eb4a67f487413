"""Events as API Gateway's REST API passes them to a function (developer guide, "Input format of a Lambda function")."""

import base64
import json
from urllib.parse import parse_qsl

SOURCE_IP = "203.0.113.7"


def rest_event(method: str, path: str, body: object = None, *, binary: bool = False, **headers: str) -> dict:
    """A proxy event; header names have underscores for dashes, the body is text, bytes, or encoded as JSON."""
    text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
    raw = text.encode() if isinstance(text, str) else text
    path, _, query = path.partition("?")
    named = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
        "X-Forwarded-For": SOURCE_IP,
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    parameters = dict(parse_qsl(query)) or None
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": named,
        "multiValueHeaders": {name: [value] for name, value in named.items()},
        "queryStringParameters": parameters,
        "multiValueQueryStringParameters": parameters and {name: [value] for name, value in parameters.items()},
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "2gxmpl",
            "resourcePath": path,
            "httpMethod": method,
            "extendedRequestId": "JJbxmplHYosFVYQ=",
            "requestTime": "21/Nov/2026:08:00:00 +0000",
            "path": f"/Prod{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": "Prod",
            "domainPrefix": "a1b2c3d4e5",
            "requestTimeEpoch": 1795248000000,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": SOURCE_IP, "userAgent": "curl/8.0", "accessKey": None},
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "apiId": "a1b2c3d4e5",
        },
        "body": base64.b64encode(raw).decode() if binary and raw is not None else text,
        "isBase64Encoded": binary,
    }
