#!/usr/bin/env bash
# Measures SafeURL's speed beside its rivals', in one run: bash tests/bench/run.sh [--quick] [--help]
set -euo pipefail
cd "$(dirname "$0")/../.."
case " $* " in *' --help '* | *' -h '*) ;; *)
    bash docker/setup.sh --tests
    # Where gVisor is missing, its table is left out.
    [ "$(id -u)" -ne 0 ] || bash docker/gvisor.sh || true
    ;;
esac
export PYTHONPATH="$PWD"
exec .venv/bin/python -m tests.bench.main "$@"
