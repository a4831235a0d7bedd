#!/usr/bin/env bash
# Breaks a running SafeURL at random and checks that no accepted scan was lost. Needs root: it starts its own engines.
#   bash tests/chaos/run.sh SCANS SEED [sqlite|sqld] [--lease SECONDS] [--keep]
# The status is 0 only if every check passes. --keep leaves the folder with logs and database behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash docker/setup.sh --tests
export PYTHONPATH="$PWD"
exec .venv/bin/python -m tests.chaos.main "$@"
