#!/usr/bin/env bash
# The whole suite, or with arguments the part of it that they name to pytest. Twenty minutes at most on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
budget_seconds=1200

scripts/setup.sh dev
scripts/packages.sh chromium dcmtk orthanc orthanc-dicomweb

if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi

began=$SECONDS
run() { timeout --signal=INT --kill-after=30 $((budget_seconds - SECONDS + began)) .venv/bin/python -m pytest -q -n 2 --dist loadfile --durations=15 "$@"; }

# Journeys come apart from the rest: they time pages and race clients, and want the machine to themselves.
failed=0
run -m "not journey" || failed=$?
run -m journey || failed=$?
echo "The suite took $((SECONDS - began)) s of $budget_seconds s"
exit "$failed"
