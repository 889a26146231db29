#!/bin/sh
# Make a virtual environment with this package (editable) and the named extras in it, or leave one that is up to date.
#
#     sh tools/venv.sh DIRECTORY EXTRA...
#
# PYTHON, where set, names the interpreter; otherwise the newest one that runs and is recent enough is taken.
# CONSTRAINTS is a constraints file for pip: constraints.txt, if no other is named; /dev/null takes the newest versions.
# Run it in the clone's root: it installs what pyproject.toml there says, again whenever that has changed.

set -eu

venv=$1
shift
constraints=${CONSTRAINTS:-constraints.txt}

# Prints "3.11" and the like where `$1` runs and is a Python. Version managers put commands on PATH that only fail.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null </dev/null
}

give_up() {
    printf 'cognito-verify: %s\n' "$@" >&2
    exit 1
}

explain_venv() {
    give_up "$1 (Python $(version_of "$1")) has no venv and ensurepip modules, which virtual environments need." \
        "On Debian and Ubuntu: apt-get install python$(version_of "$1")-venv" \
        "Elsewhere: install Python 3.11 or newer from https://www.python.org/downloads/, which has both."
}

chosen_python() {
    if [ -n "${PYTHON:-}" ]; then
        [ -n "$(version_of "$PYTHON")" ] ||
            give_up "PYTHON=$PYTHON does not run as a Python. Name an interpreter of Python 3.11 or newer."
        is_recent "$PYTHON" ||
            give_up "PYTHON=$PYTHON is Python $(version_of "$PYTHON"). Name an interpreter of Python 3.11 or newer."
        has_venv "$PYTHON" || explain_venv "$PYTHON"
        echo "$PYTHON"
        return
    fi
    too_old= without_venv=
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
        version=$(version_of "$candidate") || continue
        if ! is_recent "$candidate"; then
            too_old="$too_old $candidate ($version)"
        elif has_venv "$candidate"; then
            echo "$candidate"
            return
        else
            without_venv=${without_venv:-$candidate}
        fi
    done
    [ -z "$without_venv" ] || explain_venv "$without_venv"
    give_up "Python 3.11 or newer is needed; found:${too_old:- no Python that runs}." \
        "On Debian 12 or newer and Ubuntu 24.04 or newer: apt-get install python3 python3-venv" \
        "Elsewhere: install it from https://www.python.org/downloads/, or name yours: make PYTHON=/path/to/python3.12 ..."
}

build_of() {
    "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null </dev/null
}

# An environment whose interpreter is gone, or is not the one now asked for by name, is made anew.
if [ -e "$venv" ]; then
    if ! is_recent "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$venv"
    elif [ -n "${PYTHON:-}" ] && [ "$(build_of "$PYTHON")" != "$(build_of "$venv/bin/python")" ]; then
        python=$(chosen_python) # before anything is removed: a wrong PYTHON costs nobody an environment
        rm -rf "$venv"
    fi
fi
if [ ! -e "$venv" ]; then
    python=$(chosen_python)
    echo "Making $venv with $python ($(version_of "$python"))"
    "$python" -m venv "$venv" || { rm -rf "$venv"; give_up "$python -m venv $venv failed; its message is above."; }
fi

# One stamp for each extra. It holds what was installed, the place included: an editable install is bound to it.
wanted=$({ cat pyproject.toml "$constraints"; pwd; } | cksum)
missing=
for extra in "$@"; do
    if [ "$(cat "$venv/.installed-$extra" 2>/dev/null)" != "$wanted" ]; then
        missing=${missing:+$missing,}$extra
    fi
done
[ -n "$missing" ] || exit 0

echo "Installing cognito-verify[$missing] into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" \
    --editable ".[$missing]" ||
    give_up "pip could not install the development requirements; its message is above." \
        "It needs a package index: check the network, or the proxy and index settings of pip."
for extra in "$@"; do
    printf '%s\n' "$wanted" >"$venv/.installed-$extra"
done
