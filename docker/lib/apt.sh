# Installing Debian or Ubuntu packages, where we may.
# shellcheck shell=bash

is_debian_like() {
    command -v apt-get >/dev/null && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

may_install() {
    [ "$(id -u)" -eq 0 ] && is_debian_like
}

# apt_install PACKAGE…: as root only. Lists are refreshed only when the first try fails, which is what
# happens on a machine that has none or stale ones.
apt_install() {
    local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=120)
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
    note "installing $*"
    apt-get install "${options[@]}" "$@" && return
    apt-get update
    apt-get install "${options[@]}" "$@"
}
