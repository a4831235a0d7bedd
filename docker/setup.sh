#!/usr/bin/env bash
# Makes a checkout ready: Python environment, Docker engine, images. Run it as often as you like; what is in place
# is left alone. --tests adds what the tests need; --fast-tests installs only what they need without Docker. Part of docker/quickstart.sh and tests/run.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for part in ui apt python engine base_image images tools; do
    # shellcheck source=/dev/null
    . "docker/lib/$part.sh"
done

common_steps() {
    step "Python" ensure_python
    step "Python environment" ensure_venv "$1"
    step "Docker engine" ensure_engine
    DOCKER_CLI=$(working_client) && export DOCKER_CLI
    step "Base image" ensure_base_image
    step "Fetcher image" ensure_fetcher_image
}

case ${1:-} in
    '')
        start_steps 5
        common_steps runtime
        ;;
    --tests)
        start_steps 7
        common_steps dev
        step "libSQL server for tests" ensure_sqld
        step "Checkers" ensure_checkers
        ;;
    --fast-tests)
        start_steps 3
        step "Python" ensure_python
        step "Python environment" ensure_venv dev
        step "Checker of shell scripts" ensure_shellcheck
        ;;
    --service)
        start_steps 6
        common_steps runtime
        step "Service image" ensure_service_image
        ;;
    *)
        echo "usage: bash docker/setup.sh [--tests | --fast-tests | --service]" >&2
        exit 2
        ;;
esac
