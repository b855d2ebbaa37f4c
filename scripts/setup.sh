#!/usr/bin/env bash
# Make or refresh the environment: `setup.sh run` for running, `setup.sh dev` for testing too, `setup.sh bench` for measuring. Quick when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
set_of=${1:-run}

say() { printf '%s\n' "$*" >&2; }
shown() { say "+ $*"; "$@"; }

new_enough() { "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1; }

choose_python() {
    local name
    for name in python3.13 python3.12 python3; do
        if new_enough "$name"; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    say "Gantry needs Python 3.12, 3.13 or 3.14, and none of python3.13, python3.12 and python3 is one: install it and run make again."
    exit 1
}

stamp_of() { cat "$@" | cksum | tr ' ' '-'; }

mkdir -p var/stamps

node=$(node --version 2>/dev/null || echo v0)
if [ "$(printf '%s' "${node#v}" | cut -d. -f1)" -lt 20 ] || ! command -v npm >/dev/null; then
    say "Gantry needs Node 20 or later with npm for the design system's files (found: ${node/v0/none}): install it and run make again."
    exit 1
fi

if ! new_enough .venv/bin/python; then
    python=$(choose_python)
    rm -f var/stamps/run var/stamps/dev var/stamps/bench
    if ! shown "$python" -m venv --clear .venv; then
        say "This Python cannot make environments; on Debian and Ubuntu: apt-get install -y python3-venv, then run make again."
        exit 1
    fi
fi

if ! .venv/bin/python -m uv --version >/dev/null 2>&1; then
    shown .venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
fi

wanted=$(stamp_of "requirements/$set_of.lock" pyproject.toml)-$PWD
if [ "$(cat "var/stamps/$set_of" 2>/dev/null)" != "$wanted" ]; then
    shown .venv/bin/python -m uv pip install --python .venv/bin/python --quiet --require-hashes -r "requirements/$set_of.lock"
    shown .venv/bin/python -m uv pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation -e .
    printf '%s' "$wanted" >"var/stamps/$set_of"
fi

wanted=$(stamp_of package-lock.json)
if [ "$(cat var/stamps/npm 2>/dev/null)" != "$wanted" ] || [ ! -d node_modules ]; then
    shown npm ci --ignore-scripts --silent
    printf '%s' "$wanted" >var/stamps/npm
fi
