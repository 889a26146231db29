"""A user pool as configuration: its id becomes a region, the issuers that are accepted and where their keys are.

All of this is the operator's word. Nothing that a token says ever becomes a `UserPool`, an issuer or a URL.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from cognito_verify.errors import ConfigurationError, shown

__all__ = ["JwksSource", "UserPool", "pool_named_in"]

JwksSource = Mapping[str, object] | str | os.PathLike[str]
"""Known keys: a JWKS (RFC 7517 section 5) as a mapping, as JSON text (it starts with `{`) or as the path of a file."""

# Patterns are compiled at their first use: all of them together would cost every cold start 1 ms.
_JWKS_PATH = "/.well-known/jwks.json"
_REGION = r"[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}"
_USER_POOL_ID = rf"({_REGION})_[0-9A-Za-z]{{1,55}}"
_AWS_ISSUER = rf"https://(?:issuer-)?cognito-idp\.({_REGION})\.[a-z0-9.-]+/([\w-]{{1,90}})"
_SHOWN_PATH = r"[\w.~/\\: -]{1,120}"
_VISIBLE_ASCII = r"[!#-\[\]_a-z~]+"  # no space, no control character, none of "\^`{|}

_MAX_FILE_CHARACTERS = 512 * 1024  # as much as of an answer of a key endpoint; a device has no end

_NETLOC = r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?"  # no user name, nothing exotic

# The DNS suffix of each partition of botocore's partitions.json, by the start of its regions; the first takes the rest.
_DNS_SUFFIXES = {
    "": "amazonaws.com",
    "us-gov-": "amazonaws.com",
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}


class UserPool:
    """One user pool: whose tokens are accepted, for which app clients, and where the keys come from.

    Args:
        user_pool_id: Such as `us-east-1_AbCdEfGhI`.
        client_id: The app client whose tokens are accepted, or several; None accepts every client of the pool.
        resource: What an access token's `aud` must hold (RFC 8707 resource binding); None lets `aud` be.
        replica_regions: Regions to which a pool on its ORIGINAL issuer is replicated; their issuers are accepted too,
            unless `issuer_type` is "UPDATED", whose tokens always name the primary region.
        issuer_type: "ORIGINAL" or "UPDATED" accepts that form of issuer alone; None accepts both.
        issuer: Replaces the accepted issuers. `https`, or `http` to a loopback host.
        jwks_uri: Where the keys of all the issuers are. `https`, or `http` to a loopback host.
        jwks: Known keys, so that no fetch is needed; they serve every issuer of the pool.

    Raises:
        ConfigurationError: A setting is empty, malformed or contradicts another.

    Source: "Verifying JSON web tokens", Amazon Cognito Developer Guide; `IssuerConfigurationType`, Amazon Cognito user
    pools API Reference.
    """

    __slots__ = ("_client_ids", "_issuers", "_jwks", "_resource", "_user_pool_id")

    def __init__(
        self,
        user_pool_id: str,
        *,
        client_id: str | Collection[str] | None,
        resource: str | None = None,
        replica_regions: Collection[str] = (),
        issuer_type: Literal["ORIGINAL", "UPDATED"] | None = None,
        issuer: str | None = None,
        jwks_uri: str | None = None,
        jwks: JwksSource | None = None,
    ) -> None:
        region = _region_of(user_pool_id)
        if issuer_type not in (None, "ORIGINAL", "UPDATED"):
            raise ConfigurationError(f"issuer_type: expected 'ORIGINAL', 'UPDATED' or None, found {shown(issuer_type)}")
        replicas = _replicas(region, replica_regions)
        if issuer is None:
            issuers = _issuers_of(user_pool_id, region, replicas, issuer_type)
        elif replicas or issuer_type:
            raise ConfigurationError("issuer= replaces the accepted issuers: leave out replica_regions and issuer_type")
        else:
            issuers = (_secure_url("issuer", issuer),)
        if jwks_uri is not None:
            _secure_url("jwks_uri", jwks_uri, query=True)
        self._set(user_pool_id, client_id, resource, issuers, jwks_uri, jwks)

    @classmethod
    def local(
        cls, endpoint: str, user_pool_id: str, *, client_id: str | Collection[str] | None, issuer: str | None = None
    ) -> UserPool:
        """A pool of an emulator (moto, cognito-local, LocalStack): any id, and plain `http` to the host named here.

        Warns, since whoever sits between this process and such an endpoint can hand out keys of their own.

        Args:
            endpoint: Where the emulator listens, such as `http://localhost:9229`; the keys are fetched from
                `{endpoint}/{user_pool_id}/.well-known/jwks.json`.
            user_pool_id: The id that the emulator gave, of any form.
            client_id: As for any pool.
            issuer: The only accepted `iss`. Without it these are `{endpoint}/{user_pool_id}` and, for an id of AWS's
                form, AWS's own issuers, since some emulators claim to be AWS.

        Raises:
            ConfigurationError: Inside a Lambda function (`AWS_LAMBDA_FUNCTION_NAME` is set), or a malformed setting.
        """
        if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
            raise ConfigurationError(
                "UserPool.local is for emulators and refused inside AWS Lambda (AWS_LAMBDA_FUNCTION_NAME is set): "
                "use UserPool(user_pool_id, client_id=...)"
            )
        endpoint = _url("endpoint", endpoint).rstrip("/")
        if not isinstance(user_pool_id, str) or not re.fullmatch(r"[\w-]{1,90}", user_pool_id, re.ASCII):
            raise ConfigurationError(
                f"user_pool_id: expected letters, digits, '_' and '-', found {shown(user_pool_id)}"
            )
        served_at = f"{endpoint}/{user_pool_id}"
        if issuer is not None:
            issuers: tuple[str, ...] = (_url("issuer", issuer),)
        elif region := re.fullmatch(_USER_POOL_ID, user_pool_id):
            issuers = (served_at, *_issuers_of(user_pool_id, region[1], (), None))
        else:
            issuers = (served_at,)
        pool = cls.__new__(cls)
        pool._set(user_pool_id, client_id, None, issuers, served_at + _JWKS_PATH, None)
        warnings.warn(
            f"user pool {user_pool_id} is an emulator's; its keys come unprotected from {endpoint}: not for production",
            stacklevel=2,
        )
        return pool

    def _set(
        self,
        user_pool_id: str,
        client_id: str | Collection[str] | None,
        resource: str | None,
        issuers: Iterable[str],
        jwks_uri: str | None,
        jwks: JwksSource | None,
    ) -> None:
        if resource is not None:
            _check_word("resource", resource)
        self._user_pool_id = user_pool_id
        self._client_ids = None if client_id is None else _client_ids(client_id)
        self._resource = resource
        self._issuers = {issuer: jwks_uri or issuer.rstrip("/") + _JWKS_PATH for issuer in issuers}
        self._jwks = None if jwks is None else _jwks_text(jwks)

    @property
    def user_pool_id(self) -> str:
        """The pool's id."""
        return self._user_pool_id

    @property
    def client_ids(self) -> frozenset[str] | None:
        """The accepted app clients; None accepts every client of the pool."""
        return self._client_ids

    @property
    def resource(self) -> str | None:
        """What an access token's `aud` must hold, or None."""
        return self._resource

    @property
    def issuers(self) -> Mapping[str, str]:
        """The JWKS URI of each accepted issuer."""
        return MappingProxyType(self._issuers)

    @property
    def jwks(self) -> str | None:
        """The bundled keys as JSON text, or None."""
        return self._jwks

    def __repr__(self) -> str:
        clients = "any" if self._client_ids is None else ", ".join(sorted(self._client_ids))
        return f"UserPool({self._user_pool_id!r}, clients: {clients})"


def pool_named_in(issuer: str) -> tuple[str, str] | None:
    """Region and pool id that a foreign `iss` of AWS's form names. For messages only: nothing vouches for it."""
    match = re.fullmatch(_AWS_ISSUER, issuer, re.ASCII)
    return None if match is None else (match[1], match[2])


def _region_of(user_pool_id: str) -> str:
    match = re.fullmatch(_USER_POOL_ID, user_pool_id) if isinstance(user_pool_id, str) else None
    if match is None:
        raise ConfigurationError(
            "user_pool_id: expected '<region>_<letters and digits>' such as 'us-east-1_AbCdEfGhI', "
            f"found {shown(user_pool_id)}"
        )
    return match[1]


def _replicas(region: str, replica_regions: Collection[str]) -> tuple[str, ...]:
    if isinstance(replica_regions, str) or not isinstance(replica_regions, Collection):
        raise ConfigurationError(
            f"replica_regions: expected a collection such as ('eu-west-1',), found {shown(replica_regions)}"
        )
    replica_regions = tuple(replica_regions)
    for replica in replica_regions:
        if not isinstance(replica, str) or not re.fullmatch(_REGION, replica):
            raise ConfigurationError(f"replica_regions: expected regions such as 'eu-west-1', found {shown(replica)}")
        if _partition(replica) != _partition(region):
            raise ConfigurationError(f"replica_regions: {replica} is not in the AWS partition of {region}")
    return replica_regions


def _issuers_of(user_pool_id: str, region: str, replicas: tuple[str, ...], issuer_type: str | None) -> tuple[str, ...]:
    suffix = _DNS_SUFFIXES[_partition(region)]
    original = [f"https://cognito-idp.{one}.{suffix}/{user_pool_id}" for one in (region, *replicas)]
    updated = [f"https://issuer-cognito-idp.{region}.{suffix}/{user_pool_id}"]
    forms = {"ORIGINAL": original, "UPDATED": updated, None: original + updated}
    return tuple(forms[issuer_type])


def _partition(region: str) -> str:
    return max((start for start in _DNS_SUFFIXES if region.startswith(start)), key=len)


def _client_ids(client_id: str | Collection[str]) -> frozenset[str]:
    if isinstance(client_id, str):
        client_id = (client_id,)
    elif not isinstance(client_id, Collection) or isinstance(client_id, (bytes, bytearray, Mapping)):
        raise ConfigurationError(f"client_id: expected a string or several, or None, found {shown(client_id)}")
    client_id = tuple(client_id)
    if not client_id:
        raise ConfigurationError("client_id: an empty collection accepts no token; None accepts any client")
    for one in client_id:
        _check_word("client_id", one)
    return frozenset(client_id)


def _check_word(option: str, value: object) -> None:
    if not isinstance(value, str) or not value.isprintable() or value.split() != [value]:
        raise ConfigurationError(f"{option}: expected a string without spaces, found {shown(value)}")


def _url(option: str, value: object, *, query: bool = False) -> str:
    """`value` if it is an absolute http(s) URL with nothing in it that readers take in two ways."""
    if (
        isinstance(value, str)
        and re.fullmatch(_VISIBLE_ASCII, value)
        and "#" not in value
        and (query or "?" not in value)
    ):
        try:
            parts = urlsplit(value)
            is_port = parts.port is None or parts.port > 0
        except ValueError:
            parts, is_port = urlsplit(""), False
        # The host as a whole: `hostname` of older Pythons reads `[::1].example.com` as `::1` (CVE-2025-0938).
        if parts.scheme in ("http", "https") and re.fullmatch(_NETLOC, parts.netloc) and is_port:
            return value
    raise ConfigurationError(
        f"{option}: expected an https URL without user name, fragment{'' if query else ', query'}, found {shown(value)}"
    )


def _secure_url(option: str, value: object, *, query: bool = False) -> str:
    url = _url(option, value, query=query)
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"{option}: expected https (http to a loopback host alone), found {shown(url)}; "
            "for an emulator on another host there is UserPool.local"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # a name: whoever answers for it may be anywhere


def _jwks_text(jwks: JwksSource) -> str:
    """The bundled keys as JSON text, so that nothing the caller holds can change them later."""
    if isinstance(jwks, Mapping):
        try:
            return json.dumps(jwks if isinstance(jwks, dict) else dict(jwks))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"jwks: expected a JWKS (RFC 7517 section 5), but it is no JSON: {error}"
            ) from None
    if isinstance(jwks, str) and jwks.lstrip().startswith("{"):
        return jwks
    if not jwks or not isinstance(jwks, (str, os.PathLike)):
        raise ConfigurationError(f"jwks: expected a mapping, JSON text or a path, found {type(jwks).__name__}")
    try:
        with open(jwks, encoding="utf-8") as file:
            text = file.read(_MAX_FILE_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        # Whoever gives a key's text instead of a path must not find it in a log: only what looks like a path is shown.
        path = os.fspath(jwks)
        named = f" {path}" if isinstance(path, str) and re.fullmatch(_SHOWN_PATH, path) else ""
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
    else:
        if len(text) <= _MAX_FILE_CHARACTERS:
            return text
        named, reason = "", "longer than 512 Ki characters"
    raise ConfigurationError(
        f"jwks: expected a JWKS as a mapping, as JSON text starting with '{{' or as a file in UTF-8{named} ({reason})"
    )
