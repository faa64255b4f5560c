"""Clients of the cloud that the standard AWS variables name, and the errors that reach a person."""

from __future__ import annotations

import functools
import ipaddress
import os
import urllib.parse

import boto3
import botocore.config


class Failure(Exception):
    """A sentence for the person who called: what went wrong, and what to do."""


def region() -> str:
    # boto3 itself reads the second only; Lambda and the other SDKs go by the first.
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@functools.cache
def client(service: str):
    config = botocore.config.Config(
        connect_timeout=5,
        # A bound on what a local server answers in milliseconds, for one that is stuck.
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 3},
    )
    return boto3.client(service, region_name=region(), config=config)


def local_endpoint() -> str:
    """The local cloud's address. Refuses any other: what follows changes settings behind the template's back."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    host = urllib.parse.urlsplit(endpoint).hostname or ""
    if not is_loopback(host):
        raise Failure(
            "AWS_ENDPOINT_URL must name a local cloud on this machine (http://127.0.0.1:4566, say), "
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
