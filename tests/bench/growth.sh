#!/usr/bin/env bash
# Measures how SafeURL grows: bash tests/bench/growth.sh [--quick] [drain] [million] [crowd] [real]
set -euo pipefail
cd "$(dirname "$0")/../.."
case " $* " in *' --help '* | *' -h '*) ;; *) bash docker/setup.sh --tests ;; esac
export PYTHONPATH="$PWD"
exec .venv/bin/python -m tests.bench.growth "$@"
