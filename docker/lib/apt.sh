# Installs Debian or Ubuntu packages, if this user may.
# shellcheck shell=bash

is_debian_like() {
    command -v apt-get >/dev/null && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

may_install() {
    [ "$(id -u)" -eq 0 ] && is_debian_like
}

# apt_install PACKAGE…: as root only. The lists are refreshed only if the first try fails, because a
# machine may have none or old ones.
apt_install() {
    local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=120)
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
    note "installing $*"
    apt-get install "${options[@]}" "$@" && return
    apt-get update
    apt-get install "${options[@]}" "$@"
}
