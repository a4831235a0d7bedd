#!/usr/bin/env bash
# Builds the image safeurl-systemd, if what it is made of has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for part in ui apt python engine base_image images systemd; do
    # shellcheck source=/dev/null
    . "docker/lib/$part.sh"
done

start_steps 2
step "Docker engine" ensure_engine
DOCKER_CLI=$(working_client) && export DOCKER_CLI
step "systemd image" ensure_systemd_image
