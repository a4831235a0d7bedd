# The output of the set-up: numbered steps with their time, and one precise sentence if the user must act.
# Sourced by docker/setup.sh, docker/build.sh and tests/run.sh; expects `set -euo pipefail`.
# shellcheck shell=bash

STEP_NUMBER=0
STEP_TOTAL=0
SETUP_LOG=.cache/setup.log
SETUP_SENTENCE=.cache/setup.sentence

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' DIM=$'\e[2m' PLAIN=$'\e[0m'
else
    BOLD='' GREEN='' RED='' DIM='' PLAIN=''
fi

# Descriptor 3 is the output for people; inside a step stdout and stderr go to the log.
exec 3>&1

# Adds the present action to the line of the running step.
note() {
    printf '%s%s%s … ' "$DIM" "$*" "$PLAIN" >&3
}

# Ends the step with one sentence for the user. 78 is EX_CONFIG: the script cannot repair this.
die() {
    printf '%s\n' "$*" >"$SETUP_SENTENCE"
    exit 78
}

# step TITLE COMMAND…: runs the command with its output in the log, and reports it in one line.
step() {
    local title=$1 started=$SECONDS status
    shift
    STEP_NUMBER=$((STEP_NUMBER + 1))
    printf '%s[%d/%d]%s %s … ' "$BOLD" "$STEP_NUMBER" "$STEP_TOTAL" "$PLAIN" "$title" >&3
    rm -f "$SETUP_SENTENCE"
    printf '== %s\n' "$title" >>"$SETUP_LOG"
    # Not `if ( … )`: a condition would switch errexit off inside the step.
    set +e
    (
        set -e
        "$@"
    ) >>"$SETUP_LOG" 2>&1
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        printf '%sok%s (%d s)\n' "$GREEN" "$PLAIN" $((SECONDS - started)) >&3
    else
        step_failed "$status"
    fi
}

# Prints why a step failed: its own sentence if it has one, otherwise the end of its log.
step_failed() {
    printf '%sfailed%s\n' "$RED" "$PLAIN" >&3
    if [ -s "$SETUP_SENTENCE" ]; then
        cat "$SETUP_SENTENCE" >&2
    else
        tail -n 25 "$SETUP_LOG" >&2
        printf 'The whole log is in %s.\n' "$SETUP_LOG" >&2
    fi
    exit "$1"
}

# One set-up at a time per checkout; the lock goes with the process.
start_steps() {
    STEP_TOTAL=$1
    mkdir -p .cache
    exec 9>.cache/setup.lock
    if ! flock -n 9; then
        printf 'Another set-up is running in this checkout; waiting for it.\n' >&3
        flock 9
    fi
    : >"$SETUP_LOG"
}
