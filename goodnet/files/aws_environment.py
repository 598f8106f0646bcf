"""AWS' own environment variables, checked before a client is made of them.

A client says of most of them only when it is used, and then without their names.
"""

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from goodnet.errors import RequestRefused

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
CERTIFICATES = "AWS_CA_BUNDLE"


def check(environment: Mapping[str, str]) -> None:
    """Nothing: the addresses are addresses, and the certificates certificates.

    Args:
        environment: of this process.

    Raises:
        RequestRefused: one is not; the variable is named, and credentials are not repeated.
    """
    for name in ENDPOINTS:
        if environment.get(name):
            _check_endpoint(name, environment[name])
    bundle = environment.get(CERTIFICATES)
    if bundle:
        try:
            ssl.create_default_context(cafile=bundle)
        except (OSError, ValueError) as fault:  # ssl's own errors are OSErrors
            reason = getattr(fault, "strerror", None) or fault
            raise RequestRefused(
                CERTIFICATES, f"{bundle!r} is no file of certificates: {reason}"
            ) from None


def _check_endpoint(name: str, value: str) -> None:
    if "@" in value:
        raise RequestRefused(
            name, "carries credentials; they belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    try:
        address = urlsplit(value)
        whole = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:  # of the port, or of an IPv6 address
        whole = False
    if not whole or any(char.isspace() for char in value):
        raise RequestRefused(name, f"{value!r} is no address like http://host:port")
