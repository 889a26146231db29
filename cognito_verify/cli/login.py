"""A login with user name and password, for tokens to try things with. The one command that talks to AWS (boto3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cognito_verify.cli.failures import LoginRefusedError, ServiceError
from cognito_verify.cli.words import warn
from cognito_verify.errors import CognitoVerifyError, ConfigurationError
from cognito_verify.pool import UserPool

__all__ = ["Login", "is_unprotected", "logged_in"]

_T = TypeVar("_T")
_Answer = Mapping[str, Any]
_SECONDS = 10  # to connect, and to wait for an answer
_TOKENS = ("AccessToken", "IdToken", "RefreshToken")
_TOKEN = r"[A-Za-z0-9_.+/=~-]+"  # RFC 6750 section 2.1, b64token: nothing that a shell or a terminal heeds
_SESSION_CHARACTERS = 20  # at least, of a challenge's Session ("RespondToAuthChallenge", API Reference)
_SAID_CHARACTERS = 300  # of what a service says; Cognito's own messages are shorter

# Of what Cognito answers: its code, words of its message, and what to do about it. The first that fits is said.
_SET_UP: tuple[tuple[str, str, str], ...] = (
    ("", "configured with secret but SECRET_HASH was not", "this app client has a secret: set COGNITO_CLIENT_SECRET"),
    ("", "verify secret hash", "COGNITO_CLIENT_SECRET is not this app client's secret, or the client has none"),
    ("", "without secret but SECRET_HASH was", "this app client has no secret: unset COGNITO_CLIENT_SECRET"),
    (
        "InvalidParameterException",
        "flow not enabled",
        "allow ALLOW_USER_PASSWORD_AUTH to the app client, or ALLOW_ADMIN_USER_PASSWORD_AUTH and log in with --admin",
    ),
    ("ResourceNotFoundException", "", "is this the pool's id and region, and an app client of that pool?"),
    (
        "AccessDenied",
        "",
        "--admin needs cognito-idp:AdminInitiateAuth and, for a first login, cognito-idp:AdminRespondToAuthChallenge; "
        "without --admin no AWS rights are needed",
    ),
)
# Of the AWS credentials of --admin. The message is not said: it may quote the request with its session token.
_CREDENTIALS = {
    "UnrecognizedClientException": "AWS does not know them",
    "InvalidClientTokenId": "AWS does not know them",
    "ExpiredToken": "they have expired",
    "RequestExpired": "they have expired, or this machine's clock is wrong",
    "InvalidSignature": "the secret key is not the access key's, or this machine's clock is wrong",
    "SignatureDoesNotMatch": "the secret key is not the access key's, or this machine's clock is wrong",
    "IncompleteSignature": "they are not whole",
    "MissingAuthenticationToken": "they are not whole",
    "OptInRequired": "their account may not use the service",
}
_REFUSED: tuple[tuple[str, str, str], ...] = (
    ("PasswordResetRequiredException", "", "an administrator asked for a new password: use the pool's reset first"),
    ("UserNotConfirmedException", "", "confirm the user first: aws cognito-idp admin-confirm-sign-up"),
    ("UserNotFoundException", "", "is the user in this pool?"),
    ("InvalidPasswordException", "", "the pool's password policy wants another one"),
    ("NotAuthorizedException", "", "check user name and password; a temporary password ends after some days"),
)
_LATER = ("TooManyRequests", "LimitExceeded", "Throttling", "Internal", "ServiceUnavailable", "RequestTimeout")


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where.

    Attributes:
        user_pool_id: The pool; its region is where the service is asked.
        client_id: The app client.
        username: The user's name, or an alias that the pool accepts.
        client_secret: Of app clients that have one.
        is_admin: By ADMIN_USER_PASSWORD_AUTH, with AWS credentials, in the place of USER_PASSWORD_AUTH.
        endpoint_url: A service on this machine in the place of AWS's.
    """

    user_pool_id: str
    client_id: str
    username: str
    client_secret: str | None = field(default=None, repr=False)
    is_admin: bool = False
    endpoint_url: str | None = None


def logged_in(login: Login, password: Callable[[], str], new_password: Callable[[], str]) -> dict[str, Any]:
    """The tokens of a user, as Cognito's `AuthenticationResult`. Warns where others could read the password.

    Args:
        login: Who logs in where.
        password: Asked once there is a service to send it to.
        new_password: Asked where the user must choose one, after a first login with a temporary password.

    Raises:
        LoginRefusedError: By the pool, or it asks for something else than a password.
        ServiceError: The service is out of reach, or asks to be called later.
        ConfigurationError: boto3 or AWS credentials are missing, or the app client is set up otherwise.

    Source: "AdminInitiateAuth", "InitiateAuth", "RespondToAuthChallenge", Amazon Cognito user pools API Reference.
    """
    service = _Service(login)
    if is_unprotected(service.endpoint_url):
        warn(f"the password goes unprotected to {service.endpoint_url}")
    answer = service.initiate(password())
    if answer.get("ChallengeName") == "NEW_PASSWORD_REQUIRED":
        answer = service.respond(answer, new_password())
    if "ChallengeName" in answer:
        raise LoginRefusedError(
            f"login: the pool asks for {service.quoted(str(answer['ChallengeName']))!r}, which this command does not "
            "answer; it answers NEW_PASSWORD_REQUIRED alone. Use a user without it, or your own client"
        )
    return _result(answer)


def _result(answer: _Answer) -> dict[str, Any]:
    """The tokens, each of which goes to a shell or a terminal: whoever answered may be no Cognito."""
    result = answer.get("AuthenticationResult")
    if not (isinstance(result, dict) and "AccessToken" in result):
        raise _no_answer_of_cognito("an AuthenticationResult with tokens")
    for name in _TOKENS:
        if name in result and not (isinstance(result[name], str) and re.fullmatch(_TOKEN, result[name])):
            raise _no_answer_of_cognito(f"a token in {name}")
    return result


def _no_answer_of_cognito(expected: str) -> ServiceError:
    return ServiceError(f"login: expected {expected}, found what Cognito does not answer: is that its service?")


def is_unprotected(endpoint_url: str) -> bool:
    """Whether a password on its way there can be read by others: plain http to another machine."""
    try:  # the rule for a pool's keys is that for passwords; any pool will do
        UserPool("us-east-1_A", client_id=None, jwks_uri=endpoint_url)
    except ConfigurationError:
        return True
    return False


class _Service:
    """Cognito's API, its errors told as ours."""

    def __init__(self, login: Login) -> None:
        try:
            import boto3  # 0.2 s, and an extra of its own
            import botocore.exceptions
            from botocore.config import Config
            from botocore.parsers import ResponseParserError
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in ("boto3", "botocore"):
                raise
            raise ConfigurationError(f"login: needs {error.name}: pip install 'cognito-verify[cli,aws]'") from None
        self._login = login
        self._errors: Any = botocore.exceptions
        self._parser_error = ResponseParserError
        self._secrets = [login.client_secret or ""]
        config = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1})
        region = login.user_pool_id.partition("_")[0]
        session = self._set_up(boto3.session.Session)
        options = {"region_name": region, "endpoint_url": login.endpoint_url}
        self._client = self._set_up(lambda: session.client("cognito-idp", **options, config=config))
        parts = urlsplit(self.endpoint_url)
        if "@" in parts.netloc:
            raise ConfigurationError("login: expected an endpoint URL without a user name, found one with it")
        if _is_loopback(parts.hostname):
            # A proxy of the environment is for other machines: it would get the password.
            config = config.merge(Config(proxies={}))
            self._client = self._set_up(lambda: session.client("cognito-idp", **options, config=config))

    def _set_up(self, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except self._errors.BotoCoreError as error:
            refusal = ConfigurationError(f"login: {type(error).__name__}: {error}")
        except ValueError:  # it quotes the URL, in which there may be a password
            refusal = ConfigurationError("login: expected the URL of a service in --endpoint-url or AWS_ENDPOINT_URL")
        raise refusal

    @property
    def endpoint_url(self) -> str:
        """Where the password goes; AWS_ENDPOINT_URL and AWS's configuration files have a say in it as well."""
        return str(self._client.meta.endpoint_url)

    def quoted(self, text: str) -> str:
        """What the service says, for a message: cut short, and without the secrets that it may echo."""
        secrets = "|".join(map(re.escape, sorted(filter(None, self._secrets), key=len, reverse=True)))
        text = re.sub(secrets, "(not shown)", text) if secrets else text
        return text if len(text) <= _SAID_CHARACTERS else f"{text[:_SAID_CHARACTERS]}..."

    def initiate(self, password: str) -> _Answer:
        self._secrets.append(password)
        username, client_id = self._login.username, self._login.client_id
        parameters = {"USERNAME": username, "PASSWORD": password, **_secret_hash(self._login, username)}
        if self._login.is_admin:
            return self._told(
                lambda: self._client.admin_initiate_auth(
                    UserPoolId=self._login.user_pool_id,
                    ClientId=client_id,
                    AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                    AuthParameters=parameters,
                )
            )
        return self._told(
            lambda: self._client.initiate_auth(
                ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
            )
        )

    def respond(self, challenge: _Answer, new_password: str) -> _Answer:
        self._secrets.append(new_password)
        # The user's own name, where the login was by an alias such as an e-mail address.
        username = (challenge.get("ChallengeParameters") or {}).get("USER_ID_FOR_SRP", self._login.username)
        session = challenge.get("Session")
        if not (isinstance(username, str) and isinstance(session, str) and len(session) >= _SESSION_CHARACTERS):
            raise _no_answer_of_cognito("a challenge with a Session")
        answers = {
            "ClientId": self._login.client_id,
            "ChallengeName": challenge["ChallengeName"],
            "Session": session,
            "ChallengeResponses": {
                "USERNAME": username,
                "NEW_PASSWORD": new_password,
                **_secret_hash(self._login, username),
            },
        }
        if self._login.is_admin:
            pool = {"UserPoolId": self._login.user_pool_id}
            return self._told(lambda: self._client.admin_respond_to_auth_challenge(**pool, **answers))
        return self._told(lambda: self._client.respond_to_auth_challenge(**answers))

    def _told(self, call: Callable[[], _T]) -> _T:
        refusal: CognitoVerifyError
        try:
            return call()
        except self._errors.ClientError as error:
            answer = error.response["Error"]
            code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            refusal = _refusal(self.quoted(code), message, status, self.quoted(message))
        except (self._errors.HTTPClientError, self._errors.ConnectionError) as error:
            refusal = ServiceError(f"login: the service cannot be reached ({type(error).__name__})")
        except self._errors.NoCredentialsError:
            refusal = ConfigurationError(
                "login: --admin needs AWS credentials and found none; without it none are needed"
            )
        except self._errors.BotoCoreError as error:
            refusal = ConfigurationError(f"login: {type(error).__name__}: {self.quoted(str(error))}")
        except (
            self._parser_error,
            AttributeError,
            KeyError,
            RecursionError,
            TypeError,
            ValueError,
        ):  # botocore takes it on trust that an answer has the form of one
            refusal = _no_answer_of_cognito("an answer of its form")
        raise refusal


def _is_loopback(host: str | None) -> bool:
    return host is not None and not is_unprotected(f"http://[{host}]" if ":" in host else f"http://{host}")


def _secret_hash(login: Login, username: str) -> dict[str, str]:
    """What proves that the caller has the client's secret ("Computing secret hash values", Developer Guide)."""
    if login.client_secret is None:
        return {}
    digest = hmac.new(login.client_secret.encode(), f"{username}{login.client_id}".encode(), hashlib.sha256).digest()
    return {"SECRET_HASH": base64.b64encode(digest).decode()}


def _refusal(code: str, message: str, status: int, shown: str) -> CognitoVerifyError:
    """Ours for an error of the service; of its message, `shown` is what may be said."""
    said = f"login: {code}: {shown}"
    for known, fault in _CREDENTIALS.items():
        if code.startswith(known):
            return ConfigurationError(
                f"login: {code}: --admin needs valid AWS credentials, and {fault}; without --admin none are needed"
            )
    if code.startswith(_LATER) or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ServiceError(f"{said}; try again later")
    if code.isdecimal():  # the status itself, where the body names no error
        return _no_answer_of_cognito("an error by name")
    for kind, rows in ((ConfigurationError, _SET_UP), (LoginRefusedError, _REFUSED)):
        for known, words, cure in rows:
            if code.startswith(known) and re.search(words, message, re.IGNORECASE):
                return kind(f"{said}; {cure}")
    return LoginRefusedError(said)
