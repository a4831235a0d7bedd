#!/usr/bin/env bash
# Installs gVisor's runsc (root, Debian or Ubuntu), registers it with the Docker engine, which keeps running, and proves
# it with a container. CONTAINER_RUNTIME=auto then takes it. Run it as often as you like; what is in place is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for part in ui apt python engine base_image gvisor; do
    # shellcheck source=/dev/null
    . "docker/lib/$part.sh"
done

[ $# -eq 0 ] || {
    echo "usage: bash docker/gvisor.sh" >&2
    exit 2
}
start_steps 4
step "Docker engine" ensure_engine
DOCKER_CLI=$(working_client) && export DOCKER_CLI
step "Base image" ensure_base_image
step "gVisor" ensure_runsc
step "gVisor in the engine" ensure_gvisor
