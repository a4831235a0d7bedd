# The Docker engine: found, or installed and started. A running engine is never stopped or restarted.
# shellcheck shell=bash

DEFAULT_SOCKET=/var/run/docker.sock
ENGINE_LOG=/var/log/safeurl/dockerd.log
ENGINE_PIDFILE=/var/run/docker.pid
ENGINE_START_SECONDS=60

# setting NAME DEFAULT: from the environment, else from .env in this folder, as safeurl reads it; never run as code. The
# scripts have made the checkout their folder.
setting() {
    local value=${!1:-}
    if [ -z "${!1+set}" ] && [ -f .env ] && [ -r .env ]; then
        [ -n "$(find -L .env -maxdepth 0 \( -uid "$(id -u)" -o -uid 0 \) ! -perm /022)" ] || {
            echo "$PWD/.env is not yours alone: run 'chown $(id -un) .env && chmod go-w .env' if its settings are yours." >&2
            exit 78
        }
        value=$(sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*//p" .env | tail -n 1 |
            sed -E "s/^(['\"])(.*)\1.*/\2/; t; s/[[:space:]]+#.*//; s/[[:space:]]+$//")
    fi
    echo "${value:-$2}"
}

DOCKER_SOCKET=$(setting DOCKER_SOCKET_PATH "$DEFAULT_SOCKET")
# Another builder of the user would not have the base image, which only the engine has.
export BUILDX_BUILDER=default

# Always by socket: DOCKER_HOST and the client's context may name another engine than the worker's.
dk() {
    "${DOCKER_CLI:-docker}" -H "unix://$DOCKER_SOCKET" "$@"
}

# Prints the first client that works with the engine; a client that is much newer than the engine may not.
working_client() {
    local client
    while read -r client; do
        DOCKER_CLI=$client dk version --format '{{.Server.Version}}' >/dev/null 2>&1 || continue
        echo "$client"
        return
    done < <(type -ap docker)
    return 1
}

ensure_engine() {
    local client
    if client=$(working_client); then
        refuse_snap "$client"
        DOCKER_CLI=$client dk version --format 'engine {{.Server.Version}}'
        return
    fi
    explain_if_forbidden
    ! type -ap docker >/dev/null || explain_if_not_understood
    [ "$DOCKER_SOCKET" = "$DEFAULT_SOCKET" ] ||
        die "No Docker engine answers at $DOCKER_SOCKET: start it, or unset DOCKER_SOCKET_PATH."
    may_install || die "$(what_to_do_without_root)"
    install_engine
    working_client >/dev/null && return
    explain_if_not_understood
    start_engine
}

# Ubuntu's snap of Docker can read only its own folders and parts of a user's home folder.
refuse_snap() {
    [[ $(readlink -m "$1") =~ ^(/usr/bin/snap$|/snap/) ]] || return 0
    die "Docker is installed as a snap here ($1), which cannot read SafeURL's folders: replace it ('sudo snap remove" \
        "docker && sudo apt-get install docker.io') and run this again."
}

# Two engines at the same time would do harm. An engine that is still starting answers a later request.
explain_if_not_understood() {
    local engine
    engine=$(engine_version) && ! working_client >/dev/null || return 0
    die "The Docker engine at $DOCKER_SOCKET is $engine, and no Docker client here speaks with it:" \
        "install a docker-cli of its age and run this again."
}

# The engine's public information about itself; fails if no engine answers.
engine_version() {
    "$(find_python)" -c '
import http.client, json, socket, sys
link = http.client.HTTPConnection("localhost")
link.sock = socket.socket(socket.AF_UNIX)
link.sock.settimeout(10)
link.sock.connect(sys.argv[1])
link.request("GET", "/version")
print("{Version} (API {MinAPIVersion} to {ApiVersion})".format_map(json.load(link.getresponse())))
' "$DOCKER_SOCKET" 2>/dev/null
}

explain_if_forbidden() {
    [ -S "$DOCKER_SOCKET" ] && [ ! -w "$DOCKER_SOCKET" ] || return 0
    die "You may not use the Docker engine at $DOCKER_SOCKET: run 'sudo usermod -aG docker $(id -un)'," \
        "log in again and run this again."
}

what_to_do_without_root() {
    if PATH=$PATH:/usr/sbin:/sbin command -v dockerd >/dev/null; then
        echo "No Docker engine answers at $DOCKER_SOCKET and only root may start it: run" \
            "'sudo $([ -d /run/systemd/system ] && echo systemctl start docker || echo service docker start)'" \
            "and run this again."
    elif is_debian_like; then
        echo "No Docker engine answers at $DOCKER_SOCKET and only root may start one:" \
            "run 'sudo apt-get install docker.io && sudo usermod -aG docker $(id -un)', log in again and run this again."
    else
        echo "No Docker engine answers at $DOCKER_SOCKET: install and start Docker as your system's" \
            "documentation says, and run this again."
    fi
}

install_engine() {
    # AppArmor's parser is only recommended, but without it containers run without Docker's profile.
    command -v dockerd >/dev/null || apt_install docker.io apparmor
    # From Debian 13 on the client is a separate package.
    type -ap docker >/dev/null || apt_install docker-cli
}

start_engine() {
    note "starting it"
    if [ -d /run/systemd/system ]; then
        systemctl enable --now docker
    # The package's start script may have started one already; a second engine on the same data would do harm.
    elif ! engine_pid; then
        mount_cgroups
        spawn_engine "$ENGINE_LOG" -H "unix://$DOCKER_SOCKET"
    fi
    await_engine
}

# On a machine without systemd they may not be mounted, and no cap works without them.
mount_cgroups() {
    ! grep -qE ' /sys/fs/cgroup(/[a-z,_]+)? cgroup2? ' /proc/mounts || return 0
    apt_install cgroupfs-mount
    cgroupfs-mount
}

# The engine's process, if it is on this machine and ours to signal; a file left by a crash may name any process.
engine_pid() {
    local pid
    pid=$(cat "$ENGINE_PIDFILE" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] &&
        kill -0 "$pid" && echo "$pid"
}

# spawn_engine LOG ARGUMENT…: an engine in its own session, so that it outlives this script and its terminal.
spawn_engine() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    setsid nohup dockerd "$@" >>"$log" 2>&1 </dev/null 3>&- 9>&- &
}

await_engine() {
    local deadline=$((SECONDS + ENGINE_START_SECONDS))
    until working_client >/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            die "The Docker engine did not answer within $ENGINE_START_SECONDS s (see $ENGINE_LOG or" \
                "'journalctl -u docker'): $(grep -v 'level=info' "$ENGINE_LOG" 2>/dev/null | tail -n 1)"
        fi
        sleep 0.3
    done
}
