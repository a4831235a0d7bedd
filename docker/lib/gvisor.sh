# gVisor's runtime runsc: installed, registered with the engine, and tested. The engine gets a signal to read its
# configuration again and is never restarted. A registration that does not work is removed.
# shellcheck shell=bash

RUNSC=runsc
RELOAD_SECONDS=20
# The faster one first; the release and the machine decide which of them works.
RUNSC_PLATFORMS=(systrap ptrace)

ensure_runsc() {
    if ! command -v "$RUNSC" >/dev/null; then
        may_install || die "gVisor can only be installed by root on Debian or Ubuntu: install runsc as gVisor's" \
            "documentation says and run this again as root."
        apt_install runsc
    fi
    "$RUNSC" --version
}

# Registers runsc on the first platform that passes the proof, unless the engine has one already that does.
ensure_gvisor() {
    local platform why='' args=()
    if registered; then
        why=$(prove_gvisor) && echo "registered already: $(registration)" && return
        is_ours || die "The engine's runtime 'runsc' is not fit for sandboxes ($why), and its registration" \
            "($(registration)) is not from here: give it $(runsc_args ptrace) or remove it, then run this again."
        need_engine_process
        # The copy that is kept below must not contain it.
        edit_configuration unset runsc
    fi
    need_engine_process
    keep_configuration
    for platform in "${RUNSC_PLATFORMS[@]}"; do
        note "trying $platform"
        read -ra args <<<"$(runsc_args "$platform")"
        register "$(type -P "$RUNSC")" "${args[@]}"
        why=$(prove_gvisor) && echo "registered: $(registration)" && return
        echo "$platform: $why"
    done
    take_back
    die "gVisor does not work here and was not registered: $why."
}

need_engine_process() {
    engine_pid >/dev/null || die "Only root can register a runtime, and only with an engine on this machine" \
        "(its process id is expected in $ENGINE_PIDFILE)."
}

# Sandboxes reach only their gateway's unix socket, which gVisor opens only with this option.
runsc_args() {
    local uds=--fsgofer-host-uds flags
    flags=$("$RUNSC" flags 2>&1) || true
    ! grep -qE '^ +-host-uds' <<<"$flags" || uds=--host-uds=open
    echo "--platform=$1 --network=none $uds"
}

registration() {
    dk info --format '{{with index .Runtimes "runsc"}}{{.Path}}{{range .Args}} {{.}}{{end}}{{end}}'
}

registered() {
    [ -n "$(registration)" ]
}

# A registration by this script, perhaps for a release that was replaced since.
is_ours() {
    local arg rest
    read -r _ rest <<<"$(registration)"
    [[ $rest == *--network=none* ]] || return 1
    for arg in $rest; do
        [[ $arg =~ ^--(platform=(systrap|ptrace)|network=none|fsgofer-host-uds|host-uds=open)$ ]] || return 1
    done
}

prove_gvisor() {
    "$(find_python)" docker/gvisor_proof.py "$RUNSC" "$BASE_TAG" "$DOCKER_CLI" -H "unix://$DOCKER_SOCKET" 2>&1
}

# The path of this engine's configuration; --config-file changes it.
engine_configuration() {
    local words=() i
    mapfile -d '' -t words <"/proc/$(engine_pid)/cmdline"
    for ((i = 0; i < ${#words[@]}; i++)); do
        case ${words[i]} in
            --config-file=*) echo "${words[i]#*=}" && return ;;
            --config-file) echo "${words[i + 1]}" && return ;;
        esac
    done
    echo /etc/docker/daemon.json
}

keep_configuration() {
    local file
    file=$(engine_configuration)
    rm -f "$file.before-gvisor"
    [ ! -e "$file" ] || cp -p "$file" "$file.before-gvisor"
}

edit_configuration() {
    local verb=$1 said
    shift
    said=$("$(find_python)" docker/daemon_json.py "$verb" "$(engine_configuration)" "$@" 2>&1) || die "$said"
}

register() {
    edit_configuration set runsc "$@"
    reload_until "$*" || { take_back && die "The engine did not take the registration of runsc: see its log."; }
}

# The engine removes a runtime only if its configuration lists runtimes without it; then the old file is restored.
take_back() {
    local file
    file=$(engine_configuration)
    edit_configuration unset runsc
    reload_until '' || true
    if [ -e "$file.before-gvisor" ]; then
        mv "$file.before-gvisor" "$file"
    else
        rm -f "$file"
    fi
}

# reload_until REGISTRATION: the engine reads its configuration some time after the signal.
reload_until() {
    local deadline=$((SECONDS + RELOAD_SECONDS))
    kill -HUP "$(engine_pid)"
    until [ "$(registration)" = "$1" ]; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}
