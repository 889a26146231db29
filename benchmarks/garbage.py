"""What a stranger can make us pay: the costliest garbage that we know, against a good token.

Each shape is a token of the full size that is let in, refused in the end: by its structure, or by its signature, after
all of it has been read. The pieces are chosen so that every limit of the strict parse is met, or just kept.
"""

import timeit
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import product
from string import ascii_letters, digits

from benchmarks.corpus import CLIENT_ID, SigningPool, b64url
from benchmarks.report import Table
from benchmarks.rounds import Figure, figures_from, in_turns, quiet
from cognito_verify import AccessToken, CognitoVerifier, CognitoVerifyError

__all__ = ["garbage_table"]

_FLOOR = "a good token of 1 KB, not remembered"
_MAX_BYTES = 16_384
_BEYOND_BYTES = 1_048_576
_TIME_TARGET = 25  # x the floor
_MEMORY_TARGET = 10  # x the input
_SHOWN = 8
_CALLS = 5


def garbage_table(*, quick: bool) -> Table:
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    verifier, patient = (
        CognitoVerifier(
            pool.pool_id,
            client_id=CLIENT_ID,
            token_use="access",
            jwks=pool.jwks,
            token_cache_size=0,
            max_token_bytes=size,
        )
        for size in (_MAX_BYTES, 4 * _MAX_BYTES)
    )
    good = pool.access_token()
    verifier.verify(good)
    shapes = dict(_shapes(pool, _MAX_BYTES))
    contenders = {_FLOOR: _timed(verifier, good), **{name: _timed(verifier, raw) for name, raw in shapes.items()}}
    figures = _figures(contenders, rounds=4 if quick else 20)
    worst = sorted((name for name in figures if name != _FLOOR), key=lambda name: -figures[name].ratio)
    rows = [_row(_FLOOR, figures[_FLOOR], len(good))]
    rows += [_row(name, figures[name], len(shapes[name]), _memory(verifier, shapes[name])) for name in worst[:_SHOWN]]
    hungriest = max(shapes, key=lambda name: _memory(verifier, shapes[name]))
    if hungriest not in worst[:_SHOWN]:
        rows.append(_row(hungriest, figures[hungriest], len(shapes[hungriest]), _memory(verifier, shapes[hungriest])))
    grown = {
        f"{worst[0]}, {size:,} bytes": (patient, dict(_shapes(pool, size))[worst[0]])
        for size in (_MAX_BYTES // 4, _MAX_BYTES * 4)
    }
    grown[f"anything beyond the limit, {_BEYOND_BYTES:,} bytes"] = (verifier, "a" * _BEYOND_BYTES)
    contenders = {_FLOOR: _timed(verifier, good), **{name: _timed(*subject) for name, subject in grown.items()}}
    figures = _figures(contenders, rounds=4 if quick else 20)
    rows += [_row(name, figures[name], len(grown[name][1])) for name in grown]
    return Table(
        "the cost of garbage",
        ("one token, refused", "bytes", "us", "x a good one", "target", "memory, x full size", "target"),
        rows,
        [
            f"The {_SHOWN} costliest of {len(shapes)} shapes and the hungriest; the last rows show how the cost grows. "
            f"Memory: the most that was allocated at a time while it was refused, in multiples of {_MAX_BYTES:,} bytes."
        ],
    )


def _shapes(pool: SigningPool, size: int) -> Iterator[tuple[str, str]]:
    """By name: tokens of at most `size` characters, with the header and issuer of good ones and a bad signature."""
    header, signature = pool.access_token().partition(".")[0], b64url(bytes(256))
    room = (size - len(header) - len(signature) - 2) * 3 // 4
    names = ["".join(pair) for pair in product(ascii_letters + digits, repeat=2)]
    issuer = f'{{"iss":"{pool.issuer}"'

    def filled(members: str) -> str:
        text = f"{issuer},{members}"
        rest = room - len(text.encode()) - len(',"z":""}')
        return f'{text},"z":"{"x" * rest}"}}' if rest >= 0 else text + "}"

    def listed(unit: str, count: int | None = None) -> str:
        fit = (room - len(issuer) - 10) // len(f"{unit},".encode())
        return filled(f'"a":[{",".join([unit] * min(fit, count or fit))}]')

    def membered(value: str, count: int | None = None) -> str:
        fit = (room - len(issuer) - 10) // len(f'"aa":{value},'.encode())
        return filled(",".join(f'"{name}":{value}' for name in names[: min(fit, count or fit)]))

    payloads = {
        "as many empty objects as fit": listed("{}"),
        "as many empty strings as fit": listed('""'),
        "as many escapes in strings as fit": listed('"\\n"'),
        "as many members as fit": membered("1"),
        "as many objects of one member as fit": listed('{"":1}'),
        "as many digits as fit": filled('"a":' + "1" * (room - len(issuer) - 20)),
        "as many quotes as fit": filled('"a":"' + '\\"' * ((room - len(issuer)) // 2 - 10) + '"'),
        "as many escaped characters as fit": filled('"a":"' + "\\u00e9" * ((room - len(issuer)) // 6 - 4) + '"'),
        "deep nesting, as much as fits": issuer + ',"a":' + "[" * (room - len(issuer) - 10),
        "500 empty objects": listed("{}", 500),
        "500 empty objects, one escape": listed("{}", 500).replace("{", '{"e":"\\n",', 1),
        "980 numbers": listed("1", 980),
        "980 numbers, one escape": listed("1", 980).replace("{", '{"e":"\\n",', 1),
        "980 fractions": listed("1.5", 980),
        "980 strings": listed('"aa"', 980),
        "numbers of 40 digits": listed("1" * 40),
        "250 members": membered("1", 250),
        "250 members, one character of four bytes": membered("1", 250).replace("xxxx", "\U0001f600", 1),
        "980 strings, one character of four bytes": listed('"aa"', 980).replace("xxxx", "\U0001f600", 1),
        "250 members with escapes": membered('"\\u00e9"', 250),
        "250 objects of one member": listed('{"aa":"b"}', 250),
        "7 lists, 63 deep": listed("[" * 61 + "]" * 61, 7),
        "7 lists, 63 deep, one escape": listed("[" * 61 + "]" * 61, 7).replace("{", '{"e":"\\n",', 1),
        "a duplicate at the end": listed("1", 980)[:-1] + ',"iss":1}',
    }
    for name, payload in payloads.items():
        encoded = b64url(payload.encode())
        yield name, f"{header}.{encoded[: size - len(header) - len(signature) - 2]}.{signature}"
    for name in ("250 members", "500 empty objects", "as many members as fit"):
        yield f"{name}, in the header", f"{b64url(payloads[name].encode())[: size - 300]}.{b64url(b'{}')}.{'A' * 200}"
    yield "dots", "." * size
    yield "no dot at all", "a" * size
    yield "a signature of that size", f"{pool.access_token().rpartition('.')[0]}.".ljust(size, "A")


def _refusal(verifier: CognitoVerifier[AccessToken], raw: str) -> None:
    try:
        verifier.verify(raw)
    except CognitoVerifyError:
        return
    raise AssertionError("a token that must be refused was accepted")


def _timed(verifier: CognitoVerifier[AccessToken], raw: str) -> Callable[[int], float]:
    def call() -> None:
        try:
            verifier.verify(raw)
        except CognitoVerifyError:
            pass

    timer = timeit.Timer(call)
    return lambda _number: timer.timeit(_CALLS)


def _memory(verifier: CognitoVerifier[AccessToken], raw: str) -> float:
    _refusal(verifier, raw)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        _refusal(verifier, raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (peak - before) / _MAX_BYTES


def _figures(contenders: dict[str, Callable[[int], float]], *, rounds: int) -> dict[str, Figure]:
    with quiet():
        return figures_from(in_turns(contenders, floor=_FLOOR, rounds=rounds), floor=_FLOOR, calls=_CALLS)


def _row(name: str, figure: Figure, size: int, memory: float | None = None) -> tuple[str, ...]:
    is_garbage = name != _FLOOR
    at_limit = is_garbage and size <= _MAX_BYTES
    return (
        name,
        f"{size:,}",
        f"{figure.median * 1e6:.0f}",
        f"{figure.ratio:.1f}",
        f"<= {_TIME_TARGET}, {'met' if figure.ratio <= _TIME_TARGET else 'MISSED'}" if at_limit else "",
        f"{memory:.1f}" if memory is not None else "",
        f"<= {_MEMORY_TARGET}, {'met' if memory <= _MEMORY_TARGET else 'MISSED'}" if memory is not None else "",
    )
