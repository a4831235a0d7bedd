#!/usr/bin/env bash
# Sets up what the tests need, then runs every gate: linters, types, import contracts, dead code, shell scripts, tests.
#   bash tests/run.sh [ARGUMENT…]    arguments go to pytest, e.g. tests/unit -k address
#   bash tests/run.sh --fast         linters, types, unit and memory-contract tests; needs no Docker, server or gVisor
# All gates run even if one fails; the status is 0 only if all passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

FAST=false
[ "${1:-}" != --fast ] || { FAST=true && shift; }

prepare_all() {
    bash docker/setup.sh --tests
    if [ "$(id -u)" -eq 0 ]; then
        bash docker/gvisor.sh || echo "gVisor could not be set up: the tests of isolation will fail until the reason above" \
            "is gone and 'bash docker/gvisor.sh' succeeds."
    else
        echo "Where gVisor is not registered with the engine, the tests of isolation fail: run 'sudo bash docker/gvisor.sh'" \
            "once, before the tests."
    fi
}

if $FAST; then
    bash docker/setup.sh --fast-tests
    # A fast test that needs Docker then fails on every machine, not only on one without Docker.
    export DOCKER_HOST=unix:///nowhere DOCKER_SOCKET_PATH=/nowhere
else
    prepare_all
fi

export PATH=$PWD/.venv/bin:/usr/sbin:$PATH
FAILED=()

gate() {
    local name=$1 started=$SECONDS
    shift
    printf '\n── %s\n' "$name"
    "$@" || FAILED+=("$name")
    printf '   %s: %d s\n' "$name" $((SECONDS - started))
}

COVER=(--cov=safeurl --cov=worker --cov-branch)

# A process that a test leaves fails the run.
watched_pytest() { python -m tests.support.leftovers run pytest "$@"; }

# Coverage is measured where the tests call the code of safeurl/ and worker/ in their own process. The other tests start
# SafeURL as processes, which it does not see, or test the fetcher, and it would make them slower by half.
covered_tests() {
    watched_pytest "${COVER[@]}" --cov-report=term:skip-covered tests/unit --ignore=tests/unit/fetcher tests/contract
}

# The tests mostly wait, so that three lanes run beside each other; what the second and third say comes last.
all_tests() {
    local status=0 each
    local -a beside=(tests/integration/test_{attacks,system}_*.py)
    local -a engineless=(tests/integration/test_{api,audit,backup,daemon,database,egress,fetcher,supervisor}_*.py
        tests/integration/test_{browser_agreement,suites_in_chromium,decoders_in_chromium,failing_starts,silent_redis}.py)
    local -A others=()
    {
        covered_tests || status=1
        watched_pytest tests/unit/fetcher tests/e2e "${beside[@]}" || status=1
        (exit $status)
    } >.cache/tests-beside.log 2>&1 &
    others[beside]=$!
    watched_pytest "${engineless[@]}" >.cache/tests-engineless.log 2>&1 &
    others[engineless]=$!
    watched_pytest tests/integration "${beside[@]/#/--ignore=}" "${engineless[@]/#/--ignore=}" || status=1
    for each in "${!others[@]}"; do
        wait "${others[$each]}" || status=1
        cat ".cache/tests-$each.log"
    done
    return $status
}

static_gates() {
    gate "ruff check" ruff check api docker fetcher safeurl tests worker
    gate "ruff format" ruff format --check api docker fetcher safeurl tests worker
    gate "mypy" mypy
    gate "mypy docker" mypy docker/*.py
    gate "import contracts" lint-imports
    gate "dead code" vulture
    gate "shellcheck" shellcheck docker/*.sh docker/lib/*.sh tests/*.sh tests/*/*.sh .ci/run
}

# Two halves of the unit tests run beside each other, and the static gates beside both; what they say comes last.
fast_gates() {
    local log=.cache/static-gates.log half=.cache/fast-half.log
    (static_gates && [ ${#FAILED[@]} -eq 0 ]) >"$log" 2>&1 &
    local static=$!
    if [ $# -gt 0 ]; then
        gate "unit tests" pytest "$@"
    else
        pytest tests/unit --ignore=tests/unit/safeurl --ignore=tests/unit/worker >"$half" 2>&1 &
        local other=$!
        gate "unit tests of safeurl and worker" pytest tests/unit/safeurl tests/unit/worker
        gate "contract tests, in memory" pytest tests/contract -k memory
        wait $other || FAILED+=("other unit tests")
        cat "$half"
    fi
    wait $static || FAILED+=("static gates")
    cat "$log"
}

if $FAST; then
    fast_gates "$@"
else
    static_gates
    python -m tests.support.leftovers list >.cache/before-tests.txt
    if [ $# -gt 0 ]; then
        gate "pytest" watched_pytest "$@"
    else
        gate "pytest" all_tests
    fi
    gate "nothing left behind" python -m tests.support.leftovers check .cache/before-tests.txt
fi

if [ ${#FAILED[@]} -gt 0 ]; then
    printf 'gates failed: %s\n' "$(IFS=, && echo "${FAILED[*]}")"
    exit 1
fi
echo "all gates passed in $SECONDS s"
