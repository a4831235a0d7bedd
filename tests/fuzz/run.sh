#!/usr/bin/env bash
# Fuzzes what reads hostile bytes, with Atheris, one target after another, and keeps the inputs that reach new code.
#   bash tests/fuzz/run.sh [SECONDS] [TARGET…]     SECONDS per target (default 60); all targets where none is named
# The status is 0 only when no target found anything; what was found lies in .cache/fuzz/TARGET/. Needs no Docker.
set -euo pipefail
cd "$(dirname "$0")/../.."
for part in ui apt python; do
    # shellcheck source=/dev/null
    . "docker/lib/$part.sh"
done

FUZZER=.cache/fuzz/site
FUZZER_LOCK=tests/fuzz/requirements.lock

# Apart from .venv: there are no wheels of it for every machine that the tests run on.
# shellcheck disable=SC2317 # called by `step`
ensure_fuzzer() {
    [ "$(cat "$FUZZER.made-from" 2>/dev/null)" != "$(sha256sum "$FUZZER_LOCK")" ] || return 0
    rm -rf "$FUZZER" "$FUZZER.made-from"
    .venv/bin/python -m pip install --no-deps --require-hashes --target "$FUZZER" -r "$FUZZER_LOCK"
    sha256sum "$FUZZER_LOCK" >"$FUZZER.made-from"
}

[[ ${1:-60} =~ ^[1-9][0-9]*$ ]] || {
    sed -n '2,4s/^# \{0,1\}//p' "$0"
    exit 2
}

start_steps 3
step "Python" ensure_python
step "Python environment" ensure_venv dev
mkdir -p .cache/fuzz
step "Fuzzer" ensure_fuzzer
exec 9>&-

export PYTHONPATH=$PWD:$PWD/$FUZZER
SECONDS_EACH=${1:-60}
shift || true
TARGETS=("$@")
[ $# -gt 0 ] ||
    mapfile -t TARGETS < <(.venv/bin/python -c 'from tests.fuzz.targets import TARGETS; print("\n".join(TARGETS))')

for target in "${TARGETS[@]}"; do
    [ -n "$(.venv/bin/python -c 'import sys; from tests.fuzz.targets import TARGETS; print(TARGETS.get(sys.argv[1], ""))' "$target")" ] || {
        .venv/bin/python -c 'from tests.fuzz.targets import TARGETS; print("The targets are:", *TARGETS)' >&2
        exit 2
    }
done

STATUS=0
for target in "${TARGETS[@]}"; do
    log=.cache/fuzz/$target.log
    if .venv/bin/python -m tests.fuzz.main "$target" "$SECONDS_EACH" >"$log" 2>&1; then
        printf '%-16s %10s inputs in %s s, nothing found\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$SECONDS_EACH"
        .venv/bin/python -m tests.fuzz.main "$target" --keep >>"$log" 2>&1
    else
        printf '%-16s found something, see %s\n' "$target" "$log"
        STATUS=1
    fi
done
exit $STATUS
