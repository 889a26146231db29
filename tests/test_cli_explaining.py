"""`explain` row by row: what each says, what is looked at after a failure, and that its verdict is `verify`'s own."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify.cli.explaining import CHECKS, Explainer, Explanation, Row
from cognito_verify.errors import AccessDeniedError, CheckFailedError, CognitoVerifyError, ConfigurationError
from cognito_verify.jwks import JwksCache
from cognito_verify.jws import json_object, parse_compact
from cognito_verify.pool import UserPool
from cognito_verify.testing import FakeUserPool
from cognito_verify.tokens import AccessToken

NOW = 1_800_000_000
POOL = FakeUserPool(clock=lambda: NOW)
OTHER_POOL = FakeUserPool("eu-west-1_Other1", clock=lambda: NOW)


def cache(error: Exception | None = None) -> JwksCache:
    """Keys of the pool, or an endpoint that has none; after the first fetch none is due."""

    def fetch(uri: str, seconds: float) -> bytes:
        if error is not None:
            raise error
        return POOL.fetch_jwks(uri, seconds)

    return JwksCache(fetch=fetch, retries=0, clock=lambda: NOW)


KEYS = cache()
DOWN = OSError("down")


def explainer(*, client_id: Any = POOL.client_id, resource: str | None = None, **options: Any) -> Explainer[Any]:
    options.setdefault("token_use", "access")
    options.setdefault("jwks_cache", KEYS)
    pool = UserPool(POOL.user_pool_id, client_id=client_id, resource=resource)
    made: Explainer[Any] = Explainer(pool, clock=lambda: NOW, **options)
    return made


def row(explanation: Explanation, check: str) -> Row:
    return explanation.rows[CHECKS.index(check)]


def failed(explanation: Explanation) -> list[str]:
    return [one.check for one in explanation.rows if one.verdict == "failed"]


def not_looked_at(explanation: Explanation) -> list[str]:
    return [one.check for one in explanation.rows if one.verdict == "not looked at"]


# The verdict is `verify`'s.


def refuses(token: object) -> None:
    assert token
    raise CheckFailedError("no")


def denies(token: object) -> None:
    assert token
    raise AccessDeniedError("no")


def lets_pass(token: object) -> None:
    assert token


def answers(token: object) -> bool:
    return bool(token)


ROWS = {  # where each refusal shows
    "missing_token": {"structure"},
    "malformed_token": {"structure"},
    "unsupported_algorithm": {"algorithm"},
    "invalid_issuer": {"issuer"},
    "unknown_key": {"key"},
    "keys_unavailable": {"key"},
    "invalid_signature": {"signature"},
    "token_expired": {"time"},
    "token_not_yet_valid": {"time"},
    "invalid_token_use": {"token use"},
    "invalid_client": {"client"},
    "invalid_resource": {"resource"},
    "invalid_claim": {"time", "other claims"},
    "reauthentication_required": {"max_age"},
    "insufficient_scope": {"scopes"},
    "missing_group": {"groups"},
    "check_failed": {"checks"},
    "access_denied": {"checks"},
}
TIMES: st.SearchStrategy[Any] = st.sampled_from(
    [NOW, NOW - 1, NOW + 1, NOW + 500, 0, -1, 1e300, True, "1", None, [], NOW + 0.5]
)
VALUES: dict[str, Any] = {
    "iss": [OTHER_POOL.issuer, POOL.issuer.replace("//", "//issuer-"), 5, None, [POOL.issuer], ""],
    "token_use": ["access", "id", "refresh", 3, None, ["access"]],
    "client_id": [POOL.client_id, "other", "", 5, None],
    "aud": [POOL.client_id, "other", [POOL.client_id, "x"], ["x"], [1], 5, None, "https://api.example"],
    "scope": ["a b", "", ["a"], 5, None],
    "cognito:groups": [["g"], ["h", "g"], "g", [1], None, []],
    "sub": ["s", 5, None],
    "username": [None, "x\x1b[31m\u202e"],
    "email_verified": [True, "true", False],
}


def few(most: int, choices: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A few of the members, mostly: with many at once the first rows refuse everything, and the last are never seen."""
    one = st.sampled_from(sorted(choices)).flatmap(lambda name: st.tuples(st.just(name), choices[name]))
    return st.lists(one, max_size=most).map(dict)


CLAIMS = few(
    2,
    {
        **dict.fromkeys(("exp", "nbf", "iat", "auth_time"), TIMES),
        **{name: st.sampled_from(values) for name, values in VALUES.items()},
    },
)
OMITTED = st.just(set[str]()) | st.sets(
    st.sampled_from(["exp", "iss", "iat", "auth_time", "token_use", "client_id", "aud", "scope"]), max_size=2
)
HEADERS = few(
    1,
    {
        "alg": st.sampled_from(["none", "HS256", "RS512", 5, None]),
        "kid": st.sampled_from(["unknown", "", 5, None, *OTHER_POOL.header().values()]),
        "crit": st.just(["b64"]),
        "typ": st.just("JWT"),
    },
)
MANGLED: list[Callable[[str], str]] = [
    lambda raw: raw[:-1],
    lambda raw: raw[:-8] + ("AAAAAAAA" if raw[-8:] != "AAAAAAAA" else "BBBBBBBB"),
    lambda raw: raw.rpartition(".")[0] + ".",
    lambda raw: raw + ".x.y",
    lambda raw: f"{raw}\n",
    lambda raw: raw[:0],
    lambda raw: f"{raw[:1]}.b.c",
    lambda raw: raw.replace(".", "", 1),
    lambda raw: "é" + raw,
    lambda raw: raw * 20,
    lambda raw: OTHER_POOL.access_token(jti=raw[-8:]),
    lambda raw: POOL.sign(POOL.header(), raw.encode()),
    lambda raw: POOL.sign(POOL.header(), b'{"iss": 1, "iss": "%s"}' % raw[-8:].encode()),
]
OPTIONS = few(
    3,
    {
        "token_use": st.sampled_from(["access", "id", None]),
        "client_id": st.sampled_from([None, "other", [POOL.client_id, "other"]]),
        "resource": st.just("https://api.example"),
        "groups": st.sampled_from(["g", ["g", "h"]]),
        "scopes": st.sampled_from(["a", ["a", "z"], "aws.cognito.signin.user.admin"]),
        "max_age": st.sampled_from([0, 100, 10_000]),
        "claims": st.sampled_from([{"email_verified": True}, {"sub": {"s", "t"}}, {"client_id": POOL.client_id}]),
        "checks": st.sampled_from([[refuses], [denies], [lets_pass], [lets_pass, refuses]]),
        "leeway": st.just(2),
        "jwks_cache": st.sampled_from([cache(DOWN), cache(LookupError("gone"))]),
        "token_cache_size": st.just(0),
    },
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    use=st.sampled_from(["access", "id"]),
    claims=CLAIMS,
    omitted=OMITTED,
    header=HEADERS,
    mangled=st.none() | st.sampled_from(MANGLED),
    options=OPTIONS,
    is_touched=st.booleans(),
)
def test_the_verdict_and_the_code_of_the_first_failing_row_are_those_of_verify(
    use: Any,
    claims: dict[str, Any],
    omitted: set[str],
    header: dict[str, Any],
    mangled: Callable[[str], str] | None,
    options: dict[str, Any],
    is_touched: bool,
) -> None:
    mint = POOL.access_token if use == "access" else POOL.id_token
    raw = mint(omit=omitted - claims.keys(), **claims)
    if is_touched:
        payload = json.dumps(claims_of(raw)).encode()
        raw = POOL.sign({**POOL.header(use), **header}, payload)
        raw = mangled(raw) if mangled else raw
    verifier = explainer(**options)
    try:
        outcome = verifier.verify(raw)
        code, message = None, ""
    except CognitoVerifyError as error:
        outcome, code, message = None, error.code, str(error)
    explanation = verifier.explain(raw)
    failing = [one for one in explanation.rows if one.error]
    assert tuple(one.check for one in explanation.rows) == CHECKS
    assert (explanation.error and explanation.error.code) == code
    assert (failing[0].error and failing[0].error.code if failing else None) == code
    if code not in ("unknown_key", "keys_unavailable"):  # these tell of the fetch that has just been
        assert str(explanation.error or "") == message
    assert all(one.error and one.check in ROWS[one.error.code] for one in failing)
    assert (explanation.token and dict(explanation.token)) == (outcome and dict(outcome))
    assert all(bool(one.error) == (one.verdict == "failed") for one in explanation.rows)
    assert all(bool(one.why_not) == (one.verdict == "not looked at") for one in explanation.rows)
    assert all(one.cause and one.cure for one in failing)


def claims_of(raw: str) -> dict[str, Any]:
    return json_object("payload", parse_compact(raw, 1_000_000).payload)


# What the rows say.


def test_a_good_token_passes_every_row_that_is_asked_for() -> None:
    verifier = explainer(
        groups="g", scopes="a", max_age=60, claims={"username": {"ada", "bob"}}, resource="r", checks=[lets_pass]
    )
    explanation = verifier.explain(POOL.access_token(groups="g", scopes="a", aud="r"))
    assert [one.verdict for one in explanation.rows] == ["passed"] * len(CHECKS)
    assert explanation.is_signed
    assert explanation.notes == ()
    assert isinstance(explanation.token, AccessToken)
    assert row(explanation, "checks").expected == "lets_pass"
    assert row(explanation, "other claims").found == "username 'ada'"


def test_what_is_not_asked_for_is_not_looked_at_and_says_so() -> None:
    explanation = explainer().explain(POOL.access_token())
    assert not_looked_at(explanation) == ["resource", "max_age", "scopes", "groups"]
    assert row(explanation, "groups").why_not == "no groups are asked for"
    assert explanation.error is None


def test_a_token_of_another_pool_is_told_whose_it_is_and_its_claims_prove_nothing() -> None:
    explanation = explainer(groups="g").explain(OTHER_POOL.access_token(expires_in=-10_800))
    assert failed(explanation) == ["issuer", "time", "groups"]
    assert "issued by user pool eu-west-1_Other1 of eu-west-1" in row(explanation, "issuer").cause
    assert "expired 3 h ago" in row(explanation, "time").cause
    assert "no key is looked up" in row(explanation, "key").why_not
    assert row(explanation, "signature").verdict == "not looked at"
    assert not explanation.is_signed
    assert "prove nothing" in explanation.notes[0]


def test_several_pools_leave_the_client_open_where_the_issuer_is_none_of_them() -> None:
    pools = [UserPool(one.user_pool_id, client_id="c") for one in (POOL, OTHER_POOL)]
    verifier: Explainer[Any] = Explainer(pools, token_use="access", clock=lambda: NOW)
    explanation = verifier.explain(POOL.access_token(iss="https://login.example"))
    assert row(explanation, "client").why_not == row(explanation, "resource").why_not == "the pool is not known"


def test_an_unknown_key_names_the_keys_that_are_there() -> None:
    explanation = explainer().explain(POOL.sign({"kid": "new", "alg": "RS256"}, claims_of(POOL.access_token())))
    found = row(explanation, "key").found
    assert found.startswith("'new'; keys there: ")
    assert all(repr(one["kid"]) in found for one in POOL.jwks["keys"])
    assert "(fetched 0 s ago)" in found
    assert row(explanation, "signature").why_not == "there is no key to check it with"
    assert failed(explanation) == ["key"]


def test_bundled_keys_are_told_as_such() -> None:
    pool = UserPool(POOL.user_pool_id, client_id=POOL.client_id, jwks=POOL.jwks)
    verifier: Explainer[Any] = Explainer(pool, token_use="access", jwks_cache=cache(DOWN), clock=lambda: NOW)
    explanation = verifier.explain(POOL.sign({"kid": "new", "alg": "RS256"}, claims_of(POOL.access_token())))
    assert explanation.error is not None
    assert explanation.error.code == "keys_unavailable"
    assert "(bundled)" in row(explanation, "key").found


def test_keys_that_cannot_be_had_leave_the_claims_to_be_read() -> None:
    explanation = explainer(jwks_cache=cache(DOWN)).explain(POOL.access_token(expires_in=-1))
    assert failed(explanation) == ["key", "time"]
    assert row(explanation, "key").found.endswith("no keys: not fetched")
    assert not explanation.is_signed


def test_a_token_without_a_signature_worth_checking_is_read_on() -> None:
    raw = POOL.sign({**POOL.header(), "alg": "none"}, claims_of(POOL.access_token()))
    explanation = explainer().explain(raw)
    assert failed(explanation) == ["algorithm"]
    assert row(explanation, "key").verdict == "passed"
    assert row(explanation, "signature").why_not == "it is not of the expected algorithm"
    assert not explanation.is_signed


@pytest.mark.parametrize("alg", [["RS256"], {"RS256": 1}, None, 256], ids=repr)
def test_an_algorithm_that_is_no_name_is_explained_as_well(alg: object) -> None:
    raw = POOL.sign({"kid": POOL.jwks["keys"][0]["kid"], "alg": alg}, {"iss": POOL.issuer})
    explanation = explainer().explain(raw)
    assert explanation.error is not None
    assert explanation.error.code == "unsupported_algorithm"
    assert row(explanation, "signature").verdict == "not looked at"


def test_what_cannot_be_read_is_not_looked_at() -> None:
    explanation = explainer().explain("no token")
    assert failed(explanation) == ["structure"]
    assert set(not_looked_at(explanation)) == set(CHECKS[1:])
    explanation = explainer().explain(POOL.sign({**POOL.header(), "alg": "none"}, b"no json"))
    assert failed(explanation) == ["structure", "algorithm"]


def test_the_wrong_kind_of_token_is_still_read_by_the_rules_of_its_own_kind() -> None:
    explanation = explainer(resource="r", scopes="a").explain(POOL.id_token(client_id="other"))
    assert failed(explanation) == ["token use", "client", "scopes"]
    assert row(explanation, "client").found == "'other'"
    assert row(explanation, "resource").why_not == "ID tokens are not bound to a resource"
    assert "ID token" in row(explanation, "token use").cause


def test_a_token_of_no_kind_leaves_open_what_depends_on_it() -> None:
    explanation = explainer(groups="g").explain(POOL.access_token(token_use="refresh"))
    assert failed(explanation) == ["token use"]
    assert "access or for ID tokens" in row(explanation, "client").why_not
    assert row(explanation, "groups").verdict == "not looked at"


def test_a_missing_client_and_a_wrong_type_leave_open_what_comes_after() -> None:
    explanation = explainer(groups="g").explain(POOL.access_token(omit="client_id"))
    assert failed(explanation) == ["client"]
    assert row(explanation, "client").found == "nothing"
    assert row(explanation, "other claims").verdict == row(explanation, "groups").verdict == "not looked at"
    explanation = explainer(groups="g").explain(
        POOL.sign(POOL.header(), {**claims_of(POOL.access_token()), "cognito:groups": "g"})
    )
    assert failed(explanation) == ["other claims"]
    assert row(explanation, "groups").verdict == "not looked at"


KIDS = ", ".join(sorted(repr(one["kid"]) for one in POOL.jwks["keys"]))
PAYLOAD = parse_compact(POOL.access_token(), 10_000).payload
UTC_NOW, UTC_LATER = "2027-01-15T08:00:00Z", "2027-01-15T08:10:00Z"


@pytest.mark.parametrize(
    ("options", "raw", "check", "expected", "found", "cure"),
    [
        pytest.param(
            {}, "x.y", "structure",
            "three segments of base64url, strict JSON, a 'kid', at most 16384 bytes", "3 characters, segments: 2",
            "send the access or ID token whole, as Cognito gave it", id="structure",
        ),
        pytest.param({}, "", "structure", None, "0 characters, segments: 0", "nothing came", id="nothing"),
        pytest.param({}, POOL.none_algorithm(), "algorithm", "RS256", "'none'", "RS256 alone", id="algorithm"),
        pytest.param(
            {}, OTHER_POOL.access_token(), "issuer",
            f"{POOL.issuer} or {POOL.issuer.replace('//', '//issuer-')}", repr(OTHER_POOL.issuer),
            "log in to the pool that is verified here", id="issuer",
        ),
        pytest.param(
            {}, POOL.sign({**POOL.header(), "kid": "new"}, PAYLOAD), "key",
            f"a key that {POOL.issuer}/.well-known/jwks.json publishes",
            f"'new'; keys there: {KIDS} (fetched 0 s ago)", "see that the keys are this pool's", id="unknown-key",
        ),
        pytest.param(
            {"jwks_cache": cache(DOWN)}, POOL.access_token(), "key", None, "no keys: not fetched",
            "this machine reaches the endpoint", id="no-keys",
        ),
        pytest.param(
            {}, POOL.tampered(), "signature",
            f"the key {POOL.header()['kid']!r} signed header and payload as they are", "another one",
            "copy the token anew, whole", id="signature",
        ),
        pytest.param(
            {}, POOL.access_token(expires_in=-60), "time", f"exp after, nbf not after {UTC_NOW}",
            "exp 2027-01-15T07:59:00Z, 60 s ago", "get a new token with the refresh token", id="expired",
        ),
        pytest.param(
            {}, POOL.access_token(nbf=NOW + 600), "time", f"exp after, nbf not after {UTC_NOW}",
            f"; nbf {UTC_LATER}, in 10 min", "set the clock of this machine or of the issuer right", id="too-early",
        ),
        pytest.param(
            {}, POOL.id_token(), "token use", "access", "'id'", "send the other token of the same login", id="use",
        ),
        pytest.param(
            {"client_id": ["b", "a"]}, POOL.access_token(), "client", "'a', 'b'", f"{POOL.client_id!r}",
            "add this one: --client-id", id="client",
        ),
        pytest.param(
            {"client_id": None}, POOL.access_token(omit="client_id"), "client", "any client of the pool", "nothing",
            "add this one: --client-id", id="any-client",
        ),
        pytest.param(
            {"resource": "r"}, POOL.access_token(aud="s"), "resource", "'r'", "'s'", "ask for the resource",
            id="resource",
        ),
        pytest.param(
            {"claims": {"a": {1, 2}}}, POOL.access_token(a=3), "other claims", "the right types, a 1 or 2", "a 3",
            "see where the claim comes from", id="claim",
        ),
        pytest.param(
            {"max_age": 300}, POOL.access_token(auth_time=NOW - 600, iat=NOW), "max_age",
            "an authentication at most 5 min ago", "10 min ago", "have the user log in again", id="max_age",
        ),
        pytest.param(
            {"max_age": 300}, POOL.access_token(omit="auth_time", iat=NOW - 900), "max_age",
            "an authentication at most 5 min ago", "15 min ago", "have the user log in again", id="max_age-by-iat",
        ),
        pytest.param(
            {"scopes": ["a", "b"]}, POOL.access_token(scopes="d c"), "scopes", "'a' or 'b'", "'c', 'd'",
            "allow it to the app client", id="scopes",
        ),
        pytest.param(
            {"groups": "a"}, POOL.access_token(groups="b"), "groups", "'a'", "'b'", "put the user into the group",
            id="groups",
        ),
        pytest.param(
            {"checks": [lets_pass, partial(denies)]}, POOL.access_token(), "checks", "lets_pass, partial", "",
            "see the check in your program", id="checks",
        ),
    ],
)  # fmt: skip
def test_each_failing_row_says_what_was_expected_what_was_found_and_what_to_do(
    options: dict[str, Any], raw: str, check: str, expected: str | None, found: str, cure: str
) -> None:
    one = row(explainer(**options).explain(raw), check)
    assert one.verdict == "failed"
    assert one.expected == (one.expected if expected is None else expected)
    assert one.expected
    assert one.found.endswith(found)
    assert found or not one.found
    assert cure in one.cure


def test_every_failure_is_shown_not_the_first_alone() -> None:
    verifier = explainer(
        resource="r", claims={"email_verified": True}, max_age=60, scopes="a", groups="g", token_use="access"
    )
    raw = POOL.access_token(client_id="other", expires_in=-1, auth_time=NOW - 100)
    explanation = verifier.explain(raw)
    assert failed(explanation) == [
        "time",
        "client",
        "resource",
        "other claims",
        "max_age",
        "scopes",
        "groups",
    ]
    assert row(explanation, "other claims").found == "email_verified nothing"
    assert "checks see verified tokens alone" in row(explanation, "checks").why_not


def test_times_that_are_no_times_leave_max_age_open() -> None:
    explanation = explainer(max_age=60).explain(POOL.access_token(exp="soon"))
    assert failed(explanation) == ["time"]
    assert row(explanation, "time").found == "exp 'soon'"
    assert row(explanation, "max_age").why_not == "a time is missing or no number"
    explanation = explainer(max_age=60).explain(POOL.access_token(omit=("auth_time", "iat", "exp")))
    assert row(explanation, "time").found == "nothing"
    explanation = explainer(max_age=60).explain(POOL.access_token(omit=("auth_time", "iat")))
    assert row(explanation, "max_age").found == "neither auth_time nor iat"


def test_an_iat_in_the_future_is_not_refused_and_said() -> None:
    explanation = explainer(leeway=5).explain(POOL.access_token(iat=NOW + 600))
    assert explanation.error is None
    assert explanation.notes == (
        "not refused, since clocks differ: iat lies 10 min in the future: is this machine's clock right?",
    )
    assert "give or take 5 s" in row(explanation, "time").expected


def test_a_check_of_the_application_has_the_last_word() -> None:
    explanation = explainer(checks=[lets_pass, denies]).explain(POOL.access_token())
    assert failed(explanation) == ["checks"]
    assert row(explanation, "checks").expected == "lets_pass, denies"
    assert explanation.error is not None
    assert explanation.error.code == "access_denied"
    assert row(explanation, "checks").cure == "see the check in your program"


def test_a_fault_of_ours_is_raised_as_by_verify() -> None:
    verifier = explainer(checks=[answers])
    with pytest.raises(ConfigurationError):
        verifier.verify(POOL.access_token())
    with pytest.raises(ConfigurationError):
        verifier.explain(POOL.access_token())


def test_many_names_are_cut_short() -> None:
    explanation = explainer(groups="g").explain(POOL.access_token(groups=[f"g{number:02}" for number in range(20)]))
    assert row(explanation, "groups").found.endswith("'g07' and 12 more")


def test_no_row_holds_the_token() -> None:
    for raw in (POOL.access_token(), POOL.access_token()[:-8] + "AAAAAAAA", OTHER_POOL.id_token(), "x" * 500):
        text = repr(explainer().explain(raw))
        assert not any(raw[start : start + 24] in text for start in range(0, len(raw) - 24, 8))
