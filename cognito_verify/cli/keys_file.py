"""A pool's keys in a file, for `jwks=`: fetched by the core, which refuses a bad set, and written whole or not."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cognito_verify.errors import ConfigurationError, KeysUnavailableError
from cognito_verify.jwks import JwksCache
from cognito_verify.keys import KeySet
from cognito_verify.pool import UserPool

__all__ = ["Comparison", "compare", "fetched_keys", "keys_in", "write_keys"]

_MAX_BYTES = 512 * 1_024  # a pool's keys take one or two thousand


@dataclass(frozen=True, slots=True)
class Comparison:
    """A file's keys beside those that the pool publishes now, by `kid`.

    Attributes:
        missing: Published, and not in the file.
        withdrawn: In the file, and no longer published.
        changed: In both, and not the same key.
    """

    missing: tuple[str, ...]
    withdrawn: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether the file holds what the pool publishes, and nothing else."""
        return not (self.missing or self.withdrawn or self.changed)


def fetched_keys(pool: UserPool) -> KeySet:
    """The keys that the pool publishes now, under all of its issuers that have some.

    Raises:
        KeysUnavailableError: No issuer has keys, or one did not say whether it has: half a set looks like a whole one.
        ConfigurationError: Two issuers publish different keys under one `kid`.
    """
    cache = JwksCache()
    uris = tuple(dict.fromkeys(pool.issuers.values()))
    for uri in uris:
        cache.add_source(uri)
    cache.prefetch([uris])
    for uri, status in cache.status().items():
        if not (status["key_ids"] or status["is_absent"]):
            name = uri.partition("?")[0]  # a signed URL's query is a secret
            raise KeysUnavailableError(
                f"keys: expected keys or a 404 of each of the pool's issuers ({name}: {status['last_error']}); "
                "try again, or name the one place that has them all with --jwks-uri"
            )
    jwks = [jwk for uri in uris for jwk in cache.keys(uri).jwks["keys"]]
    keys = KeySet.from_jwks({"keys": jwks})
    if lost := {jwk["kid"] for jwk in jwks} - keys.keys():
        raise ConfigurationError(f"jwks: the pool's issuers publish different keys under one kid: {sorted(lost)}")
    return keys


def keys_in(path: str) -> KeySet:
    """The usable keys of a file, as `jwks=` takes them.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for, a device may never end
            raise ConfigurationError(f"jwks: expected a regular file, found {path!r}")
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"jwks: expected a file that can be read, found {path!r} ({error.strerror})") from None
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"jwks: expected a pool's keys, found more than {_MAX_BYTES} bytes in {path!r}")
    keys = KeySet.from_jwks(content)
    if not keys:
        raise ConfigurationError(f"jwks: expected a pool's keys, found no usable RS256 key in {path!r}")
    return keys


def compare(bundled: KeySet, published: KeySet) -> Comparison:
    """What has changed since the keys were bundled."""
    return Comparison(
        missing=tuple(sorted(published.keys() - bundled.keys())),
        withdrawn=tuple(sorted(bundled.keys() - published.keys())),
        changed=tuple(
            sorted(kid for kid in bundled.keys() & published.keys() if not bundled[kid].is_same(published[kid]))
        ),
    )


def write_keys(keys: KeySet, path: str) -> None:
    """Put the keys into the file's place in one step: whoever reads it meanwhile finds the old ones or the new ones.

    Raises:
        ConfigurationError: The file cannot be written, or is no file; what was there is as it was.
    """
    target = Path(path)
    # A link is not followed: in a directory that others may write to, it is theirs to say where it leads.
    is_device = Path(os.path.realpath(path)).parts[:2] in (("/", "dev"), ("/", "proc"))
    if is_device or target.is_symlink() or (target.exists() and not target.is_file()):
        raise ConfigurationError(
            f"--output: {path!r} cannot be written: expected a regular file or none yet, found something that would be "
            "replaced; name the file that a link leads to, and - for standard output"
        )
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644  # keys are public
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(json.dumps(keys.jwks, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--output: {path!r} cannot be written ({error.strerror})") from None
