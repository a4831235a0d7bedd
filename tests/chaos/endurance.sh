#!/usr/bin/env bash
# Runs one worker that never recycles for many scans, and compares its memory, files and threads with an early look.
#   bash tests/chaos/endurance.sh [SCANS]    1000 by default
# The status is 0 only if no process has grown by more than a tenth, and none has more open files or threads.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash docker/setup.sh --tests
export PYTHONPATH="$PWD"
exec .venv/bin/python -m tests.chaos.endurance "${1:-1000}"
