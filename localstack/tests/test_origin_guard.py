"""The guard lets programs and the server's own pages through, and no page of another origin or server."""

from __future__ import annotations

import asyncio
import json
import types

import pytest

from localstack import ministack_patches
from localstack.origin_guard import (
    Buckets,
    OriginGuard,
    Request,
    calls_function,
    host_refusal,
    page_refusal,
    presigned_object,
)

PORT = 4566
OWN = ("host", "127.0.0.1:4566")
SIGNED = (
    "x-id=PutObject&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
)


def request(*headers: tuple[str, str], method: str = "GET", target: str = "/", query: str = "") -> Request:
    return Request(method, target, query, headers)


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "LocalHost:4566", "[::1]:4566"])
def test_the_servers_own_names_are_accepted(host):
    assert host_refusal(request(("host", host)), PORT) is None


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["127.0.0.1:4566", "127.0.0.1:4566"],
        ["127.0.0.1:4566", "evil.example"],
        ["127.0.0.1"],
        ["127.0.0.1:80"],
        ["127.0.0.1:45660"],
        ["127.0.0.1:04566"],
        ["127.0.0.1.:4566"],
        ["localhost.:4566"],
        ["0.0.0.0:4566"],
        ["127.1:4566"],
        ["2130706433:4566"],
        ["::1:4566"],
        ["rebind.evil.example"],
        ["rebind.evil.example:4566"],
        ["localhost.evil.example:4566"],
        ["evil.localhost:4566"],
        ["localhost:4566.evil.example"],
        ["user@127.0.0.1:4566"],
        ["127.0.0.1:4566@evil.example"],
        ["127.0.0.1:4566,evil.example"],
        ["127.0.0.1:4566/evil.example"],
        ["127.0.0.1:4566#"],
    ],
)
def test_any_other_host_is_refused_with_the_right_address(hosts):
    refusal = host_refusal(request(*(("host", host) for host in hosts)), PORT)
    assert refusal.endswith("call the local cloud as http://127.0.0.1:4566")


def test_only_port_80_may_be_left_out():
    assert host_refusal(request(("host", "localhost")), 80) is None
    assert page_refusal(request(("origin", "http://localhost")), 80) is None
    assert page_refusal(request(("origin", "http://localhost")), PORT)


@pytest.mark.parametrize("target", ["http://evil.example/", "http://127.0.0.1:4566/", "*", "", "evil.example:443"])
def test_a_target_that_is_not_a_path_is_refused(target):
    assert "is not a path" in host_refusal(request(OWN, target=target), PORT)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("origin", "http://127.0.0.1:4566"), ("sec-fetch-site", "same-origin")],
        [("origin", "http://LOCALHOST:4566")],
        [("origin", "http://[::1]:4566")],
        # An address that the user typed, or opened from a bookmark or a terminal.
        [("sec-fetch-site", "none")],
    ],
)
def test_programs_and_own_pages_may_call(headers):
    assert page_refusal(request(*headers), PORT) is None


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "")],
        [("origin", "https://127.0.0.1:4566")],
        [("origin", "http://127.0.0.1:5173")],
        [("origin", "http://127.0.0.1")],
        [("origin", "http://127.0.0.1:4566.evil.example")],
        [("origin", "http://127.0.0.1:4566 http://evil.example")],
        [("origin", "http://127.0.0.1:4566"), ("origin", "https://evil.example")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "a value of the future")],
        [("origin", "http://127.0.0.1:4566"), ("sec-fetch-site", "cross-site")],
    ],
)
def test_pages_of_other_origins_are_refused(headers):
    assert "may not call this address: " in page_refusal(request(*headers), PORT)


@pytest.mark.parametrize(
    ("method", "target", "calls"),
    [
        ("POST", "/_aws/execute-api/abc1/v1/tasks", True),
        ("OPTIONS", "/_aws/execute-api/abc1/", True),
        ("GET", "/_aws/execute-api/abc1", True),
        ("GET", "/_aws/lambda-url/abc1", True),
        ("OPTIONS", "/_aws/lambda-url/abc1/v1/events", True),
        # The server would route this by its headers or its body.
        ("POST", "/_aws/execute-api/abc1", False),
        ("POST", "/_aws/execute-api/", False),
        ("POST", "/_aws/execute-api//2015-03-31/functions", False),
        ("POST", "/_aws/lambda-url//", False),
        ("POST", "//_aws/execute-api/abc1/", False),
        ("POST", "/x/_aws/execute-api/abc1/", False),
        ("POST", "/_AWS/execute-api/abc1/", False),
        ("POST", "/2015-03-31/functions", False),
        ("POST", "/_ministack/reset", False),
    ],
)
def test_the_stacks_functions_answer_pages_themselves(method, target, calls):
    assert calls_function(request(method=method, target=target)) is calls


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
@pytest.mark.parametrize("more", ["", "&response-content-type=text%2Fplain", "&x-amz-checksum-sha256=x"])
def test_a_presigned_address_names_an_object(method, more):
    assert presigned_object(request(method=method, target="/bucket/a/key", query=SIGNED + more)) == ("bucket", "a/key")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "POST"},
        {"method": "DELETE"},
        {"target": "/"},
        {"target": "/bucket"},
        {"target": "/bucket/"},
        {"target": "//bucket/key"},
        {"query": ""},
        {"query": "X-Amz-Signature=x"},
        {"query": f"{SIGNED}&X-Amz-Signature=0"},
        {"query": f"{SIGNED}&x-amz-signature=0"},
        {"query": SIGNED.replace("HMAC-SHA256", "OTHER")},
        {"query": f"{SIGNED}&acl"},
        {"query": f"{SIGNED}&tagging="},
        {"query": f"{SIGNED}&Action=CreateRole"},
        {"query": f"{SIGNED}&x-amz-copy-source=other%2Fkey"},
        {"headers": [("x-amz-target", "DynamoDB_20120810.ListTables")]},
        {"headers": [("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request")]},
        {"headers": [("x-amz-copy-source", "/other/key")]},
        {"headers": [("content-type", "Application/X-WWW-Form-Urlencoded; charset=utf-8")]},
        {"headers": [("origin", "https://app.example.com"), ("origin", "https://evil.example")]},
    ],
    ids=str,
)
def test_nothing_else_counts_as_presigned(changes):
    changes = {"method": "PUT", "target": "/bucket/key", "query": SIGNED, **changes}
    assert presigned_object(request(*changes.pop("headers", []), **changes)) is None


def serve(headers: list[tuple[str, str]], scope_type: str = "http", **scope) -> tuple[int, dict[str, str], bytes]:
    """The guard's answer to a request, before a server that allows all pages and knows one bucket."""

    async def app(scope, receive, send):
        start = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-max-age", b"1"), (b"etag", b"x")]
        await send({"type": "http.response.start", "status": 299, "headers": start})
        await send({"type": "http.response.body", "body": b"the server's"})

    allowed = {"access-control-allow-origin": "https://app.example.com"}
    buckets = Buckets(
        serves=lambda _, bucket: bucket == "bucket",
        preflight=lambda request, bucket, key: (200, {**allowed, "x-of": f"{bucket} {key}"}, b""),
        allowance=lambda request, _: allowed if request.values("origin") == ["https://app.example.com"] else {},
    )
    sent = []

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in [OWN, *headers]]
    scope = {"type": scope_type, "path": "/", "query_string": b"", "headers": raw, "method": "GET", **scope}
    asyncio.run(OriginGuard(app, PORT, buckets)(scope, None, send))
    fields = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, sent[1]["body"]


EVIL = ("origin", "https://evil.example")
APP = ("origin", "https://app.example.com")


def test_an_answer_allows_no_page_to_read_it_and_opens_in_a_sandbox():
    assert serve([]) == (299, {"etag": "x", "content-security-policy": "sandbox"}, b"the server's")


def test_a_refusal_is_json_without_cors():
    status, headers, body = serve([EVIL])
    assert status == 403
    assert headers == {"content-type": "application/json", "content-length": str(len(body))}
    assert "`https://evil.example`" in json.loads(body)["message"]


def test_a_functions_answer_is_unchanged():
    status, headers, _ = serve([EVIL], path="/_aws/execute-api/abc1/")
    assert (status, headers["access-control-allow-origin"]) == (299, "*")
    assert "content-security-policy" not in headers


def test_a_function_has_no_other_hosts_and_no_websockets():
    assert serve([("host", "evil.example")], path="/_aws/execute-api/abc1/")[0] == 403
    assert serve([EVIL], "websocket", path="/_aws/execute-api/abc1/")[0] == 403


def test_a_bucket_decides_which_pages_use_presigned_addresses():
    presigned = {"path": "/bucket/key", "query_string": SIGNED.encode()}
    for method in ("GET", "PUT"):
        status, headers, _ = serve([APP], method=method, **presigned)
        assert (status, headers["access-control-allow-origin"]) == (299, "https://app.example.com")
        assert "access-control-max-age" not in headers, "the bucket's CORS replaces the server's"
        assert serve([EVIL], method=method, **presigned)[0] == 403
    assert serve([APP], method="OPTIONS", **presigned)[1]["x-of"] == "bucket key"
    assert serve([APP], **{**presigned, "path": "/another/key"})[0] == 403


def test_a_link_of_another_page_opens_a_presigned_address():
    link = [("sec-fetch-site", "cross-site")]
    presigned = {"path": "/bucket/key", "query_string": SIGNED.encode()}
    status, headers, _ = serve(link, **presigned)
    assert status == 299 and "access-control-allow-origin" not in headers
    assert serve(link, method="PUT", **presigned)[0] == 403
    assert serve(link, path="/bucket/key")[0] == 403


def test_other_messages_of_the_server_pass():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    asyncio.run(OriginGuard(app, PORT, None)({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]


def test_changed_internals_are_named():
    def main():
        """Serves another application."""

    changed = types.SimpleNamespace(app=None, main=main, ProvidedWorker=object)
    with pytest.raises(ministack_patches.InternalsChanged, match="no longer serves"):
        ministack_patches.guard_origins(changed, changed, changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="_build_handler_class is missing"):
        ministack_patches.guard_runtime_api(changed)
