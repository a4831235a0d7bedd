#!/usr/bin/env bash
# Prints SafeURL's speed beside its rival's, in one run: bash tests/bench/run.sh [SCANS]
set -euo pipefail
cd "$(dirname "$0")/../.."
bash docker/setup.sh --tests
# Where gVisor is missing, its row is left out.
[ "$(id -u)" -ne 0 ] || bash docker/gvisor.sh || true
export PYTHONPATH="$PWD"
exec .venv/bin/python -m tests.bench.main "${1:-60}"
