"""What a web page can do with a running local cloud: call the stack's own API, and use presigned addresses that the
bucket allows. It cannot run code."""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import urllib.parse
import zipfile

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localstack.cloud import client, region

EVIL = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
APP = "https://app.example.com"


def send(
    address: str, method: str = "GET", headers: dict[str, str] | None = None, body: str = "", host: str | None = None
) -> tuple[int, dict[str, str], str]:
    """Sends exactly these headers. `host` replaces the address's own."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.putrequest(method, address.removeprefix(f"http://{parts.netloc}"), skip_host=True)
    fields = {"Host": host or parts.netloc, "Content-Length": str(len(body)), **(headers or {})}
    for name, value in fields.items():
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    connection.close()
    return answer


def new_function(name: str) -> str:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handler(event, context):\n    return 'it ran'\n")
    return json.dumps(
        {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Handler": "f.handler",
            "Role": "arn:aws:iam::000000000000:role/none",
            "Code": {"ZipFile": base64.b64encode(code.getvalue()).decode()},
        }
    )


def test_a_page_cannot_create_or_run_a_function(endpoint):
    functions = f"{endpoint}/2015-03-31/functions"
    status, headers, body = send(functions, "POST", EVIL, new_function("of-a-page"))
    assert status == 403 and "`https://evil.example` may not call this address" in body
    assert "access-control-allow-origin" not in headers
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client("lambda").get_function(FunctionName="of-a-page")

    # A program sends the same without Origin.
    program = {"Content-Type": "text/plain"}
    assert send(functions, "POST", program, new_function("of-a-program"))[0] == 201
    try:
        invocations = f"{functions}/of-a-program/invocations"
        assert send(invocations, "POST", EVIL, "{}")[0] == 403
        status, headers, body = send(invocations, "POST", program, "{}")
        assert (status, body) == (200, '"it ran"')
        assert "access-control-allow-origin" not in headers
    finally:
        client("lambda").delete_function(FunctionName="of-a-program")


def test_a_signature_in_the_query_opens_no_service(endpoint):
    # The bucket's CORS would allow this page if the server took the address for that of an object.
    create_bucket("2015-03-31")
    functions = f"{endpoint}/2015-03-31/functions"
    for query in ("X-Amz-Signature=x", presigned("2015-03-31", "functions").partition("?")[2]):
        for method in ("POST", "PUT", "GET", "OPTIONS"):
            for headers in ({**EVIL, "Origin": APP}, {"Sec-Fetch-Site": "cross-site"}):
                assert send(f"{functions}?{query}", method, headers, new_function("of-a-page"))[0] == 403


def test_a_preflight_allows_no_page(endpoint):
    preflight = {**EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-amz-target"}
    for path in ("/", "/2015-03-31/functions", "/some-bucket/key", "/_ministack/reset"):
        status, headers, _ = send(endpoint + path, "OPTIONS", preflight)
        assert status == 403 and not [name for name in headers if name.startswith("access-control-")]
    # Without a page, as curl sends it.
    assert not [name for name in send(endpoint, "OPTIONS")[1] if name.startswith("access-control-")]


def test_a_server_of_another_name_is_refused(endpoint):
    tables = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    status, _, body = send(endpoint, "POST", tables, "{}", host="rebind.evil.example")
    assert status == 403 and f"call the local cloud as {endpoint}" in json.loads(body)["message"]
    assert send(f"{endpoint}/_ministack/reset", "POST", host="rebind.evil.example")[0] == 403
    port = urllib.parse.urlsplit(endpoint).port
    for host in (None, f"localhost:{port}"):
        status, _, body = send(endpoint, "POST", tables, "{}", host=host)
        assert status == 200 and "TableNames" in json.loads(body)


def test_requests_that_no_client_sends_are_refused(endpoint):
    parts = urllib.parse.urlsplit(endpoint)
    host = f"Host: {parts.netloc}\r\n"
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    for head, status in {
        "GET /_ministack/ready HTTP/1.0\r\n": b"403",
        f"GET {endpoint}/_ministack/ready HTTP/1.1\r\n{host}": b"403",
        f"GET http://evil.example/_ministack/ready HTTP/1.1\r\n{host}": b"403",
        f"GET /_ministack/ready HTTP/1.1\r\n{host}{host}": b"400",
        "GET /_ministack/ready HTTP/1.1\r\n": b"400",
        f"GET /_aws/execute-api/abc1/ HTTP/1.1\r\n{host}Origin: https://evil.example\r\n{upgrade}": b"403",
        f"GET /_ministack/ready HTTP/1.1\r\n{host}": b"200",
    }.items():
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            connection.sendall(f"{head}\r\n".encode())
            assert connection.makefile("rb").readline().split()[1] == status, head


def presigned(bucket: str, key: str, operation: str = "get_object") -> str:
    # The version of signatures that the SDK for Rust makes.
    s3 = boto3.client("s3", region_name=region(), config=Config(signature_version="s3v4"))
    return s3.generate_presigned_url(operation, {"Bucket": bucket, "Key": key})


def create_bucket(name: str) -> None:
    """Creates a bucket which allows the pages of one origin."""
    client("s3").create_bucket(Bucket=name)
    rule = {"AllowedOrigins": [APP], "AllowedMethods": ["PUT", "GET"], "AllowedHeaders": ["*"]}
    client("s3").put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})


@pytest.fixture(scope="module")
def bucket(endpoint) -> str:
    create_bucket("pages")
    return "pages"


def test_a_presigned_address_follows_the_buckets_cors(bucket):
    put, get = (presigned(bucket, "key", operation) for operation in ("put_object", "get_object"))
    preflight = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    for method, address, more, answer in (
        ("OPTIONS", put, preflight, ""),
        ("PUT", put, {}, ""),
        ("GET", get, {}, "content"),
    ):
        body = "content" if method == "PUT" else ""
        status, headers, received = send(address, method, {"Origin": APP, **more}, body)
        assert (status, headers["access-control-allow-origin"], received) == (200, APP, answer)
        for origin in ("https://evil.example", "null"):
            status, headers, _ = send(address, method, {"Origin": origin, **more}, body)
            assert status == 403 and "access-control-allow-origin" not in headers
    # A program, such as `mesh` or curl.
    assert send(put, "PUT", body="content")[0] == 200
    assert send(get)[2] == "content"
    # The page has no other use of the bucket that allows it.
    object_address = get.partition("?")[0]
    for address, method in ((object_address, "GET"), (f"{get}&acl", "GET"), (f"{put}&tagging", "PUT")):
        assert send(address, method, {"Origin": APP})[0] == 403


def test_a_presigned_put_with_a_form_creates_nothing(bucket):
    form = {"Origin": APP, "Content-Type": "application/x-www-form-urlencoded"}
    action = "Action=CreateUser&Version=2010-05-08&UserName=of-a-page"
    assert send(presigned(bucket, "key", "put_object"), "PUT", form, action)[0] == 403
    assert "of-a-page" not in {user["UserName"] for user in client("iam").list_users()["Users"]}


def test_a_stored_page_is_not_a_page_of_this_server(bucket):
    client("s3").put_object(Bucket=bucket, Key="page.html", Body=b"<script></script>", ContentType="text/html")
    _, headers, _ = send(f"{client('s3').meta.endpoint_url}/{bucket}/page.html", headers={"Sec-Fetch-Site": "none"})
    assert headers["content-security-policy"] == "sandbox"


def test_pages_call_the_stacks_own_api(endpoint, running):
    """Whose page may read the answer is a matter of the functions, which have tests of their own."""
    api = f"{endpoint}/_aws/execute-api/{running.ids['HttpApi']}/"
    stream = client("lambda").get_function_url_config(FunctionName=running.ids["EventStreamFunction"])["FunctionUrl"]
    for address in (api, stream):
        for method in ("OPTIONS", "GET"):
            status, headers, _ = send(address, method, {**EVIL, "Sec-Fetch-Site": "cross-site"})
            assert status == 200 and "content-security-policy" not in headers
        assert send(address, host="rebind.evil.example")[0] == 403


def test_an_api_with_cors_answers_preflights_itself(endpoint):
    cors = {"AllowOrigins": [APP], "AllowMethods": ["POST"], "AllowHeaders": ["x-service-token"]}
    api = client("apigatewayv2").create_api(Name="pages", ProtocolType="HTTP", CorsConfiguration=cors)["ApiId"]
    client("apigatewayv2").create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    try:
        preflight = {"Origin": APP, "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
        _, headers, _ = send(f"{endpoint}/_aws/execute-api/{api}/v1/tasks", "OPTIONS", preflight)
        assert headers["access-control-allow-origin"] == APP
    finally:
        client("apigatewayv2").delete_api(ApiId=api)


def test_a_page_reaches_no_runtime_api(endpoint, running):
    environment = json.loads(send(f"{endpoint}/_aws/execute-api/{running.ids['HttpApi']}/")[2])
    runtime = f"http://{environment['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    for method, path in (("GET", "/next"), ("POST", "/none/response")):
        assert send(runtime + path, method, EVIL)[0] == 403
        assert send(runtime + path, method, {"Sec-Fetch-Site": "cross-site"})[0] == 403
        status, _, body = send(runtime + path, method, host="rebind.evil.example")
        assert status == 403 and "call the local cloud as" in json.loads(body)["errorMessage"]
    # The answer to the function itself.
    assert send(f"{runtime}/none/response", "POST", body="{}")[0] == 400
