#!/usr/bin/env bash
# From a bare machine to a verdict in one command:
#   bash docker/quickstart.sh                 scans a harmless demonstration page of its own
#   bash docker/quickstart.sh URL [OPTION…]   scans that URL; options go to `safeurl scan`
# Sets up what is missing first (docker/setup.sh). Ends as `safeurl scan` does: 0 clean, 10 suspicious,
# 20 malicious, 30 not concluded; the demonstration ends with 0 whenever a verdict was reached.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=docker/lib/engine.sh
. docker/lib/engine.sh

SCAN=.venv/bin/safeurl
DEMO_PID=

# The set-up and the last messages go to stderr, so that stdout contains only the scan's result.
say() {
    printf '%s\n' "$@" >&2
}

stop_demo() {
    [ -z "$DEMO_PID" ] || kill "$DEMO_PID" 2>/dev/null || true
}

# Prints the interface to serve on: the gateway reaches loopback, a sandbox on the bridge only that.
demo_interface() {
    if [ "$(setting CONTAINER_NETWORK none)" != bridge ]; then
        echo lo
        return
    fi
    dk network inspect bridge \
        --format '{{index .Options "com.docker.network.bridge.name"}}' || echo docker0
}

# Starts the page server and sets DEMO_PID and DEMO_URL.
start_demo() {
    local announced=.cache/demo.url tries=0
    : >"$announced"
    .venv/bin/python docker/demo.py --interface "$(demo_interface)" >"$announced" &
    DEMO_PID=$!
    until [ -s "$announced" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$DEMO_PID" 2>/dev/null; then
            say "The demonstration page could not be served; scan a URL of yours: bash docker/quickstart.sh URL"
            exit 70
        fi
        sleep 0.1
    done
    DEMO_URL=$(cat "$announced")
}

# Private addresses are refused by design; only this run allows the demonstration's own address.
scan_demo() {
    local status=0 host
    trap stop_demo EXIT
    start_demo
    host=${DEMO_URL#http://}
    say "" "Scanning a harmless imitation of a fake log-in page, served at $DEMO_URL" ""
    EGRESS_ALLOW_CIDRS=${host%%:*}/32 "$SCAN" scan "$DEMO_URL" || status=$?
    case $status in
        0 | 10 | 20) status=0 ;;
        *) return "$status" ;;
    esac
    say "" "What comes next:" \
        "  $SCAN scan URL     scan a URL of yours, or: bash docker/quickstart.sh URL" \
        "  $SCAN up           keep the whole system running: API, workers, queue" \
        "  $SCAN --help       all commands; docs/ has the rest"
}

main() {
    bash docker/setup.sh >&2
    if [ $# -eq 0 ]; then
        scan_demo
    else
        "$SCAN" scan "$@"
    fi
}

main "$@"
