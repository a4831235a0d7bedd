#!/usr/bin/env bash
# Builds the images safeurl-fetcher and safeurl-service, and the base of both where it is missing or outdated.
# --fresh makes the base anew, with today's packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=docker/lib/engine.sh
. docker/lib/engine.sh
case ${1:-} in
    '') ;;
    --fresh) dk rmi --no-prune safeurl-base:latest >/dev/null || true ;;
    *)
        echo "usage: bash docker/build.sh [--fresh]" >&2
        exit 2
        ;;
esac
exec bash docker/setup.sh --service
