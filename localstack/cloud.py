"""Clients for the cloud that the standard AWS variables name, and the error type that commands print."""

from __future__ import annotations

import functools
import ipaddress
import os
import urllib.parse

import boto3
import botocore.config


class Failure(Exception):
    """An error for the person who ran the command: what is wrong, and what to do."""


def region() -> str:
    # boto3 reads only the second; Lambda and the other SDKs read the first.
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@functools.cache
def client(service: str):
    config = botocore.config.Config(
        connect_timeout=5,
        # A local server answers in milliseconds; this stops the wait for one that hangs.
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 3},
    )
    return boto3.client(service, region_name=region(), config=config)


def local_endpoint() -> str:
    """The local cloud's address. Any other is refused, since callers change settings without CloudFormation."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    host = urllib.parse.urlsplit(endpoint).hostname or ""
    if not is_loopback(host):
        raise Failure(
            "AWS_ENDPOINT_URL must name a local cloud on this machine, such as http://127.0.0.1:4566, "
            f"not {endpoint or 'nothing'}. To deploy to AWS use `sam deploy`"
        )
    return endpoint.rstrip("/")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
