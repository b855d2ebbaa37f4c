#!/usr/bin/env bash
# Everything that can be judged without running the product; all of it is tried before the verdict.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev || exit 1

failed=()
try() {
    local name=$1
    shift
    printf '%-24s' "$name"
    if said=$("$@" 2>&1); then
        echo ok
    else
        echo FAILED
        printf '%s\n' "$said"
        failed+=("$name")
    fi
}

printed_is_kept() {
    local kept
    kept=$(mktemp -d)
    cp -R docs/rules "$kept/"
    .venv/bin/python -m tests.spec.print && diff -ru "$kept/rules" docs/rules
    local status=$?
    rm -rf "$kept"
    return $status
}

try "lint" .venv/bin/ruff check .
try "format" .venv/bin/ruff format --check .
try "types" .venv/bin/python -m mypy
try "import contracts" .venv/bin/lint-imports
try "migrations written" .venv/bin/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
try "rulebook" printed_is_kept
try "documents, addresses" .venv/bin/python -m pytest -q -n 0 -p no:cacheprovider tests/test_tree.py
try "architecture" .venv/bin/python -m pytest -q -n 0 -p no:cacheprovider tests/test_architecture.py

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nNot yet: %s\n' "$(IFS=,; echo "${failed[*]}")"
    exit 1
fi
