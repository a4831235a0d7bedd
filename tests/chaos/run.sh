#!/usr/bin/env bash
# Breaks a running SafeURL at random and checks that nothing accepted was lost. As root: it starts engines of its own.
#   bash tests/chaos/run.sh SCANS SEED [sqlite|sqld] [--lease SECONDS] [--keep]
# The status is 0 only when every check holds. --keep leaves the folder with logs and database behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash docker/setup.sh --tests
export PYTHONPATH="$PWD"
exec .venv/bin/python -m tests.chaos.main "$@"
