# Python, the virtual environment in .venv and what is installed into it.
# shellcheck shell=bash

VENV_STAMP=.venv/.safeurl-stamp

# Prints the first Python that is new enough and able to make a virtual environment.
find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
        # sys.executable, because a version manager's shim is not the interpreter itself
        "$candidate" -c '
import ensurepip, sys, venv
sys.exit(1) if sys.version_info < (3, 11) else print(sys.executable)' 2>/dev/null && return
    done
    return 1
}

ensure_python() {
    find_python >/dev/null && return
    may_install || die "SafeURL needs Python 3.11 or newer with its venv module:" \
        "install it (on Debian or Ubuntu: sudo apt-get install python3 python3-venv) and run this again."
    apt_install python3 python3-venv
    find_python >/dev/null ||
        die "This system's python3 is older than 3.11: install Python 3.11 or newer, put it on PATH" \
            "or name it in PYTHON, and run this again."
}

# The inputs of the environment. The folder is one of them, because scripts in .venv name their interpreter.
venv_key() {
    { pwd && cat requirements.lock requirements-dev.lock pyproject.toml; } | sha256sum | cut -d' ' -f1
}

# The development environment holds everything the plain one does. Python may have been replaced since by another
# release, which does not find what is installed; -I, because our own code is found in this folder anyway.
venv_is_current() {
    local kind key
    [ -f "$VENV_STAMP" ] && .venv/bin/python -I -c 'import pip, safeurl' 2>/dev/null || return 1
    read -r kind key <"$VENV_STAMP"
    [ "$key" = "$(venv_key)" ] && { [ "$kind" = "$1" ] || [ "$kind" = dev ]; }
}

# Whether the environment has a package that docker/left-out.txt names.
has_left_out() {
    local name
    while read -r name _; do
        .venv/bin/python -m pip show --quiet "$name" 2>/dev/null && return 0
    done < <(grep -v '^#' docker/left-out.txt)
    return 1
}

# ensure_venv runtime|dev
ensure_venv() {
    local lock=requirements.lock
    ! venv_is_current "$1" || return 0
    [ "$1" = runtime ] || lock=requirements-dev.lock
    note "installing $(grep -c == "$lock") packages"
    rm -f "$VENV_STAMP"
    # pip does not remove packages of an older lock.
    { .venv/bin/python -m pip --version 2>/dev/null && ! has_left_out; } || "$(find_python)" -m venv --clear .venv
    # The lock names every package, so nothing is resolved: an older pip would use an extra's newest release, not ours.
    .venv/bin/python -m pip install --no-deps --require-hashes -r "$lock"
    .venv/bin/python -m pip install --no-deps --no-build-isolation -e .
    .venv/bin/python docker/lib/check_requirements.py docker/left-out.txt
    printf '%s %s\n' "$1" "$(venv_key)" >"$VENV_STAMP"
}
