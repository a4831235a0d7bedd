# The image safeurl-systemd: systemd as PID 1 with SafeURL's units installed. Only the tests of the units use it.
# shellcheck shell=bash

# The last for groupadd, which newer bases do not have.
SYSTEMD_PACKAGES=(systemd dbus passwd)

ensure_systemd_image() {
    ensure_image systemd requirements.lock stage_systemd docker/lib/systemd.sh docker/systemd "${SERVICE_FILES[@]}"
}

# stage_systemd APP: lays our own code there and what else the Dockerfile copies beside it.
stage_systemd() {
    local context=${1%/*}
    stage_service "$1"
    rm -rf "$context/units"
    cp -R docker/systemd "$context/units"
    stage_debs "$context"
}

# A base made from packages (docker/lib/base_image.sh) has no apt: the host's looks up what is missing there.
stage_debs() {
    local debs=$1/debs id
    id=$(dk image inspect --format '{{.Id}}' "$BASE_TAG")
    [ "$(cat "$debs.made-from" 2>/dev/null)" != "$id" ] || return 0
    rm -rf "$debs"
    mkdir -p "$debs/partial"
    if ! in_base sh -c 'command -v apt-get'; then
        in_base cat /var/lib/dpkg/status >"$debs.status"
        note "fetching ${SYSTEMD_PACKAGES[*]}"
        download_debs "$debs" || { apt-get update && download_debs "$debs"; }
    fi
    echo "$id" >"$debs.made-from"
}

in_base() {
    dk run --rm --network none --label safeurl.managed "$BASE_TAG" "$@"
}

download_debs() {
    apt-get install -y --no-install-recommends --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o Dir::State::status="$PWD/$1.status" -o Dir::Cache::archives="$PWD/$1" "${SYSTEMD_PACKAGES[@]}"
}
