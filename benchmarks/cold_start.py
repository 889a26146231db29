"""Cold start: whole processes, from nothing to one verified token, in turns.

Each program is one `python -c`, so that no contender pays for reading this package; all of them read the same file
(a token, a key set, a key). `.pyc` files are there before anything is timed.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.corpus import CLIENT_ID, SigningPool
from benchmarks.peers import is_installed
from benchmarks.rounds import Figure, figures_from, in_turns
from benchmarks.stampede import key_endpoint

__all__ = ["FLOOR", "ColdStartReport", "Program", "measure_cold_start"]

FLOOR = "floor: jose.jwk.construct and one signature check"
_ROOT = Path(__file__).resolve().parent.parent

_READ = "import json, sys\ngiven = json.load(open(sys.argv[1]))\n"

_FLOOR_CODE = """
from jose import jwk
from jose.utils import base64url_decode
signing_input, _, signature = given["token"].encode().rpartition(b".")
if not jwk.construct(given["jwk"], "RS256").verify(signing_input, base64url_decode(signature)):
    sys.exit("the signature did not verify")
"""

_OWN_CODE = """
from cognito_verify import CognitoVerifier
verifier = CognitoVerifier(
    given["pool_id"], client_id=given["client_id"], token_use="access", jwks=given["jwks"]
)
if verifier.verify(given["token"]).username != "testUser":
    sys.exit("another user")
"""

_OWN_CODE_FETCHING = _OWN_CODE.replace('jwks=given["jwks"]', 'jwks_uri=given["jwks_uri"]')

_PYJWT_CODE = """
import jwt
options = {"require": ["exp", "iss"], "verify_aud": False}
key = jwt.PyJWK(given["jwk"])
claims = jwt.decode(given["token"], key, algorithms=["RS256"], issuer=given["issuer"], options=options)
if claims["token_use"] != "access" or claims["client_id"] != given["client_id"]:
    sys.exit("another use or client")
"""

_JOSERFC_CODE = """
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry, decode
token = decode(given["token"], KeySet.import_key_set(given["jwks"]), algorithms=["RS256"])
JWTClaimsRegistry(
    iss={"essential": True, "value": given["issuer"]},
    exp={"essential": True},
    client_id={"essential": True, "value": given["client_id"]},
    token_use={"essential": True, "value": "access"},
).validate(token.claims)
"""

_JOSE_CODE = """
from jose import jwt
options = {"verify_aud": False, "require_exp": True, "require_iss": True}
claims = jwt.decode(given["token"], given["jwk"], algorithms=["RS256"], issuer=given["issuer"], options=options)
if claims["token_use"] != "access" or claims["client_id"] != given["client_id"]:
    sys.exit("another use or client")
"""


@dataclass(frozen=True, slots=True)
class Program:
    """One process to start, and what it must reach."""

    name: str
    code: str
    needs: str = "python-jose"  # a distribution
    target: float | None = None


PROGRAMS = (
    Program("bare python", "pass"),
    Program("import jose.jwk", "import jose.jwk"),
    Program(FLOOR, _READ + _FLOOR_CODE),
    Program("cognito-verify: import, verifier with jwks=, one token", _READ + _OWN_CODE, target=1.1),
    Program("cognito-verify: the same, keys fetched on loopback", _READ + _OWN_CODE_FETCHING, "requests"),
    Program("python-jose jwt.decode, one token", _READ + _JOSE_CODE),
    Program("joserfc, one token", _READ + _JOSERFC_CODE, "joserfc"),
    Program("PyJWT, one token", _READ + _PYJWT_CODE, "PyJWT"),
    Program("import jose.jwk and requests", "import jose.jwk, requests", "requests"),
)


@dataclass(frozen=True, slots=True)
class ColdStartReport:
    """Wall and processor time of each program, over the same processes."""

    programs: list[Program]
    wall: dict[str, Figure]
    cpu: dict[str, Figure]
    rounds: int


def measure_cold_start(*, rounds: int) -> ColdStartReport:
    programs = [program for program in PROGRAMS if is_installed(program.needs)]
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    with TemporaryDirectory() as folder, key_endpoint(json.dumps(pool.jwks).encode(), 0) as (jwks_uri, _):
        path = Path(folder) / "given.json"
        path.write_text(json.dumps({**_given(pool), "jwks_uri": jwks_uri}))
        for program in programs * 2:  # writes the .pyc files, warms the page cache
            _run(program, path)
        cpu: dict[str, list[list[float]]] = {program.name: [] for program in programs}
        contenders = {program.name: _contender(program, path, cpu[program.name]) for program in programs}
        wall = in_turns(contenders, floor=FLOOR, rounds=rounds)
    return ColdStartReport(programs, figures_from(wall, floor=FLOOR), figures_from(cpu, floor=FLOOR), rounds)


def _given(pool: SigningPool) -> dict[str, object]:
    return {
        "token": pool.access_token(),
        "jwk": pool.jwk,
        "jwks": pool.jwks,
        "issuer": pool.issuer,
        "pool_id": pool.pool_id,
        "client_id": CLIENT_ID,
    }


def _contender(program: Program, path: Path, cpu: list[list[float]]) -> Callable[[int], float]:
    def run(number: int) -> float:
        if number == len(cpu):
            cpu.append([])
        wall_seconds, cpu_seconds = _run(program, path)
        cpu[number].append(cpu_seconds)
        return wall_seconds

    return run


def _run(program: Program, path: Path) -> tuple[float, float]:
    """Wall and processor seconds of one process; `os.wait4`, since `subprocess` can't say what one child used."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    arguments = [sys.executable, "-c", program.code, str(path)]
    start = time.perf_counter()
    child = os.posix_spawn(sys.executable, arguments, environment)
    _, status, used = os.wait4(child, 0)
    wall_seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{program.name}: the process failed, so its time means nothing")
    return wall_seconds, used.ru_utime + used.ru_stime
