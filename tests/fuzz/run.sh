#!/usr/bin/env bash
# Fuzzes what reads hostile bytes, with Atheris, one target after another, and keeps the inputs that reach new code.
#   bash tests/fuzz/run.sh [SECONDS] [TARGET…]     SECONDS per target (default 60); all targets where none is named
#   bash tests/fuzz/run.sh SECONDS GROUP           SECONDS in all, shared by the group's targets: `300 reading` is five
#                                                  minutes of what browsers read and what people paste and set
# The status is 0 only if no target found anything; findings are in .cache/fuzz/TARGET/. Needs no Docker.
set -euo pipefail
cd "$(dirname "$0")/../.."
for part in ui apt python; do
    # shellcheck source=/dev/null
    . "docker/lib/$part.sh"
done

FUZZER=.cache/fuzz/site
FUZZER_LOCK=tests/fuzz/requirements.lock

# Not in .venv, because there are no wheels of it for every machine of the tests.
# shellcheck disable=SC2317 # called by `step`
ensure_fuzzer() {
    [ "$(cat "$FUZZER.made-from" 2>/dev/null)" != "$(sha256sum "$FUZZER_LOCK")" ] || return 0
    rm -rf "$FUZZER" "$FUZZER.made-from"
    .venv/bin/python -m pip install --no-deps --require-hashes --target "$FUZZER" -r "$FUZZER_LOCK"
    sha256sum "$FUZZER_LOCK" >"$FUZZER.made-from"
}

[[ ${1:-60} =~ ^[1-9][0-9]*$ ]] || {
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
}

start_steps 3
step "Python" ensure_python
step "Python environment" ensure_venv dev
mkdir -p .cache/fuzz
step "Fuzzer" ensure_fuzzer
exec 9>&-

export PYTHONPATH=$PWD:$PWD/$FUZZER
BUDGET=${1:-60}
shift || true
if ! PLAN=$(.venv/bin/python -m tests.fuzz.plan "$BUDGET" "$@"); then
    exit 2
fi
IFS=: read -r TOTAL NAMES <<<"$PLAN"
read -ra TARGETS <<<"$NAMES"

STATUS=0
LEFT=${#TARGETS[@]}
END=$((SECONDS + TOTAL))
for target in "${TARGETS[@]}"; do
    log=.cache/fuzz/$target.log
    # Time that one target leaves or exceeds is added to or taken from the others.
    share=$(((END - SECONDS) / LEFT))
    LEFT=$((LEFT - 1)) began=$SECONDS
    if .venv/bin/python -m tests.fuzz.main "$target" "$((share > 1 ? share : 1))" >"$log" 2>&1; then
        printf '%-16s %10s inputs in %s s, nothing found\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$((SECONDS - began))"
    else
        printf '%-16s found something, see %s\n' "$target" "$log"
        STATUS=1
        continue
    fi
    .venv/bin/python -m tests.fuzz.main "$target" --keep >>"$log" 2>&1
done
exit $STATUS
