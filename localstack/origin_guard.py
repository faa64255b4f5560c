"""Refuses requests that a web page may have made. The local cloud checks no credentials, and it runs code: without this
guard, any page that its user opens could create a Lambda function and run it on this machine.

A browser says which page sends a request. `Origin` and `Sec-Fetch-Site` report a page of another origin, and programs
send neither. `Host` is the name of the page's own server if that name now resolves to this machine (DNS rebinding).
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

NAMES = ("127.0.0.1", "localhost", "[::1]")

# The addresses of the stack's own functions, which decide by themselves which pages may call.
FUNCTION_ADDRESSES = re.compile(r"/_aws/(execute-api/[0-9A-Za-z]+/|lambda-url/[0-9A-Za-z]+(/|$))")
# `ministack_patches.redirect_bare_address` redirects these.
BARE_API_ADDRESS = re.compile(r"/_aws/execute-api/[0-9A-Za-z]+")

# The query of an object's presigned address. Other parameters would choose another operation, such as `acl`.
SIGNATURE = {f"x-amz-{name}" for name in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")}
PRESIGNED = re.compile(r"x-amz-(security-token|content-sha256|(sdk-)?checksum-.+)|x-id|response-.+")
FORM = "application/x-www-form-urlencoded"
PRESIGNED_METHODS = ("GET", "HEAD", "PUT", "OPTIONS")


@dataclass(frozen=True)
class Request:
    """`target` is the path without the query, decoded as the server's routes see it. Headers have lower-case names."""

    method: str
    target: str
    query: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def from_scope(cls, scope: dict) -> Request:
        headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
        return cls(scope.get("method", "GET"), scope["path"], scope.get("query_string", b"").decode("latin-1"), headers)

    def values(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]


def authorities(port: int) -> set[str]:
    """The values of `Host` that name the server. Only port 80 may be left out."""
    return {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())


def host_refusal(request: Request, port: int) -> str | None:
    """Why the request is addressed to another server; None if it is addressed to this one."""
    if not request.target.startswith("/"):
        return f"the request target `{request.target}` is not a path: send a path, such as /health"
    hosts = request.values("host")
    if len(hosts) == 1 and hosts[0].lower() in authorities(port):
        return None
    return f"the header Host is `{', '.join(hosts)}`: call the local cloud as http://127.0.0.1:{port}"


def page_refusal(request: Request, port: int) -> str | None:
    """Why the request is from a page of another origin; None if it is from a program or a page of this server."""
    own = {f"http://{authority}" for authority in authorities(port)}
    for origin in request.values("origin"):
        if origin.lower() not in own:
            return f"pages of `{origin}` may not call this address: call the API, or set the parameter WebOrigin"
    for site in request.values("sec-fetch-site"):
        # `same-site` is another port of this machine.
        if site.lower() not in ("same-origin", "none"):
            return f"a {site} page may not call this address: call it from a program, or open it by hand"
    return None


def calls_function(request: Request) -> bool:
    """Whether the request is to the stack's own API or to a function URL."""
    if FUNCTION_ADDRESSES.match(request.target):
        return True
    return request.method in ("GET", "HEAD") and BARE_API_ADDRESS.fullmatch(request.target) is not None


def presigned_object(request: Request) -> tuple[str, str] | None:
    """The bucket and key whose presigned address the request may be for. The server still checks the signature."""
    bucket, _, key = request.target.removeprefix("/").partition("/")
    pairs = urllib.parse.parse_qsl(request.query, keep_blank_values=True)
    query = {name.lower(): value for name, value in pairs}
    if (
        request.method not in PRESIGNED_METHODS
        or not (bucket and key)
        or len(query) != len(pairs)
        # The server does not check signatures of other algorithms.
        or query.get("x-amz-algorithm") != "AWS4-HMAC-SHA256"
        or not SIGNATURE <= query.keys()
        or not all(PRESIGNED.fullmatch(name) for name in query.keys() - SIGNATURE)
        # The server would route these by the header or by the body, or copy another object.
        or any(name in ("x-amz-target", "authorization", "x-amz-copy-source") for name, _ in request.headers)
        or any(FORM in value.lower() for value in request.values("content-type"))
        or len(request.values("origin")) > 1
    ):
        return None
    return bucket, key


@dataclass(frozen=True)
class Buckets:
    """What the guard needs of the server's S3."""

    # Whether the server takes the request as one for an object of an existing bucket.
    serves: Callable[[Request, str], bool]
    # The answer to a preflight of a bucket and key: status, headers, body.
    preflight: Callable[[Request, str, str], tuple[int, dict[str, str], bytes]]
    # The headers by which a bucket allows the page of a request to read the answer; none if it does not allow the page.
    allowance: Callable[[Request, str], dict[str, str]]


class OriginGuard:
    """An ASGI application around the server's own."""

    def __init__(self, app, port: int, buckets: Buckets) -> None:
        self.app, self.port, self.buckets = app, port, buckets

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        request = Request.from_scope(scope)
        problem = host_refusal(request, self.port)
        # CORS does not apply to WebSockets: any page may open one.
        if problem is None and scope["type"] == "http" and calls_function(request):
            return await self.app(scope, receive, send)
        allowed: dict[str, str] = {}
        if problem is None and (problem := page_refusal(request, self.port)):
            found = presigned_object(request) if scope["type"] == "http" else None
            if found and self.buckets.serves(request, found[0]):
                if request.method == "OPTIONS":
                    return await respond(send, *self.buckets.preflight(request, *found))
                allowed = self.buckets.allowance(request, found[0])
                # Whoever knows the root's well-known keys can sign, so the bucket's CORS decides here too. A link or a
                # picture of another page has no Origin, and that page cannot read the answer.
                if allowed or (request.method in ("GET", "HEAD") and not request.values("origin")):
                    problem = None
        if problem:
            body = json.dumps({"__type": "AccessDeniedException", "message": problem}).encode()
            return await respond(send, 403, {"content-type": "application/json"}, body, prefix=scope["type"])
        await self.app(scope, receive, with_headers_of_guard(send, allowed))


def with_headers_of_guard(send, allowed: dict[str, str]):
    """Replaces the server's CORS headers, which allow any page to read any answer.

    The policy makes a browser open a stored page in an origin of its own, not in this server's."""

    async def send_changed(message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            others = [(name, value) for name, value in headers if not name.lower().startswith(b"access-control-")]
            own = encoded({**allowed, "content-security-policy": "sandbox"}.items())
            message = {**message, "headers": [*others, *own]}
        await send(message)

    return send_changed


async def respond(send, status: int, headers: dict[str, str], body: bytes, prefix: str = "http") -> None:
    start = "http.response" if prefix == "http" else "websocket.http.response"
    length = {} if any(name.lower() == "content-length" for name in headers) else {"content-length": str(len(body))}
    await send({"type": f"{start}.start", "status": status, "headers": encoded({**headers, **length}.items())})
    await send({"type": f"{start}.body", "body": body})


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
