# The base image safeurl-base:latest: Python and certificates, nothing else.
# From a registry if one answers; otherwise from Debian packages by the host's own apt sources, so that no
# mirror is named here. BASE_IMAGE=name@sha256:… (or name:tag) uses an image of yours instead.
#
# What is pinned: a reference with a digest names one content for ever. A tag does not: it is resolved to its digest
# when it is pulled, the base is made from that, and the digest is printed and kept as a label of all images. A file
# docker/base-image.digest with one line name@sha256:… pins what a registry is asked for; without it the tag below is
# taken as it stands on that day. Packages are pinned by nothing: apt verifies their signatures and takes the newest.
# shellcheck shell=bash

BASE_TAG=safeurl-base:latest
REGISTRY_IMAGE=python:3.11-slim-bookworm
# The names that the OCI image specification gives them.
BASE_NAME_LABEL=org.opencontainers.image.base.name
BASE_DIGEST_LABEL=org.opencontainers.image.base.digest
BASE_PIN=docker/base-image.digest
REGISTRY_ANSWER_SECONDS=20
REGISTRY_PULL_SECONDS=180

image_label() {
    dk image inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null || true
}

# replacing TAG COMMAND…: runs what gives the tag to a new image, then removes the old one unless it is in use.
replacing() {
    local tag=$1 old new
    shift
    old=$(dk image inspect --format '{{.Id}}' "$tag" 2>/dev/null || true)
    "$@"
    new=$(dk image inspect --format '{{.Id}}' "$tag")
    [ -z "$old" ] || [ "$old" = "$new" ] || dk image rm "$old" || true
}

# A change of this file or of the Dockerfile, or another BASE_IMAGE, makes a new base.
base_recipe() {
    { cat docker/lib/base_image.sh docker/base.Dockerfile && wanted_image; } | sha256sum | cut -d' ' -f1
}

# The reference that the base is to be made from.
wanted_image() {
    if [ -n "${BASE_IMAGE:-}" ]; then
        echo "$BASE_IMAGE"
    elif [ -s "$BASE_PIN" ]; then
        pinned_image
    else
        echo "$REGISTRY_IMAGE"
    fi
}

pinned_image() {
    local pinned
    pinned=$(grep -v '^#' "$BASE_PIN") || true
    [[ $pinned =~ ^[^[:space:]@]+@sha256:[0-9a-f]{64}$ ]] ||
        die "$BASE_PIN has to hold one line name@sha256:… and comments."
    echo "$pinned"
}

# by_digest IMAGE: the same with its digest, as the registry gave it; as it is where no registry did.
by_digest() {
    local name=${1%%@*} found
    case $1 in *@sha256:*) echo "$1" && return ;; esac
    case ${name##*/} in *:*) name=${name%:*} ;; esac
    while read -r found; do
        [ "${found%@*}" != "$name" ] || { echo "$found" && return; }
    done < <(dk image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1")
    echo "$1"
}

ensure_base_image() {
    [ "$(image_label "$BASE_TAG" safeurl.recipe)" != "$(base_recipe)" ] || return 0
    local wanted
    wanted=$(wanted_image)
    if [ -n "${BASE_IMAGE:-}" ] || registry_answers "$wanted"; then
        replacing "$BASE_TAG" base_from_image "$wanted"
    else
        note "no image registry answers: building from Debian packages"
        replacing "$BASE_TAG" base_from_packages
    fi
}

# registry_answers IMAGE: pulls in the background and looks whether anything comes: a registry which is out of reach can be silent for
# minutes, one which answers may need minutes for the download.
registry_answers() {
    local log=.cache/pull.log puller waited=0
    note "asking the registry"
    timeout "$REGISTRY_PULL_SECONDS" "${DOCKER_CLI:-docker}" -H "unix://$DOCKER_SOCKET" \
        pull "$1" >"$log" 2>&1 9>&- &
    puller=$!
    while kill -0 "$puller" 2>/dev/null && ! grep -q 'Pulling from' "$log"; do
        if [ "$waited" -ge $((REGISTRY_ANSWER_SECONDS * 5)) ]; then
            kill "$puller" 2>/dev/null || true
            break
        fi
        waited=$((waited + 1))
        sleep 0.2
    done
    wait "$puller"
}

base_from_image() {
    local source labels=()
    dk image inspect --format '{{.Id}}' "$1" >/dev/null 2>&1 || dk pull "$1"
    source=$(by_digest "$1")
    case $source in
        *@sha256:*)
            note "base image: $source"
            labels=(--label "$BASE_NAME_LABEL=$1" --label "$BASE_DIGEST_LABEL=${source#*@}")
            ;;
        *) note "base image: $1, which no registry gave: it has no digest" ;;
    esac
    dk build --tag "$BASE_TAG" --build-arg SOURCE_IMAGE="$source" --label safeurl.recipe="$(base_recipe)" \
        "${labels[@]}" - <docker/base.Dockerfile
}

base_from_packages() {
    local work=.cache/base
    PATH=$PATH:/usr/sbin:/sbin
    may_install || command -v mmdebstrap >/dev/null || die "No image registry answers and the base image" \
        "cannot be built from packages here: load an image that has Python 3.11 or newer (docker load)" \
        "and run this again with BASE_IMAGE=name:tag."
    command -v mmdebstrap >/dev/null || apt_install mmdebstrap
    rm -rf "$work"
    mkdir -p "$work"
    host_sources "$work"
    # How this host reaches its mirrors: proxies, certificates, retries. It does not stay in the image.
    apt-config dump | grep -E '^Acquire::(http|https|Retries|Check)' >"$work/apt.conf" || true
    make_root "$work"
    dk import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change "LABEL safeurl.recipe=$(base_recipe)" "$work/root.tar" "$BASE_TAG"
    rm -rf "$work"
}

# Copies the distribution's own source lists, in either format, without entries for installation discs.
host_sources() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/{debian,ubuntu}.sources; do
        [ ! -s "$file" ] || grep -v '^ *deb.* cdrom:' "$file" >"$1/${file##*/}" || true
    done
    compgen -G "$1/*s*.list" >/dev/null || compgen -G "$1/*.sources" >/dev/null ||
        die "No apt sources of Debian or Ubuntu are set up here: load an image that has Python 3.11 or newer" \
            "(docker load) and run this again with BASE_IMAGE=name:tag."
}

# What only a person at a terminal or another installation would read.
UNWANTED_PATHS=('/usr/share/'{doc,info,i18n,lintian,locale,man,zoneinfo}'/*' '/usr/lib/*/gconv/*')
# Merges /usr by itself instead of installing all of Perl for it.
MERGED_USR_HOOK=/usr/share/mmdebstrap/hooks/maybe-merged-usr

make_root() {
    local present=() excludes=() file
    for file in "$1"/*.list "$1"/*.sources; do [ ! -s "$file" ] || present+=("$file"); done
    for file in "${UNWANTED_PATHS[@]}"; do excludes+=(--dpkgopt="path-exclude=$file"); done
    # libstdc++ is what compiled wheels expect of every system.
    # TMPDIR on a disk, since /tmp may be half of the memory; and our own descriptors closed, since mmdebstrap 1.5
    # lets `sh` write to its next free one, which has to have one digit.
    # shellcheck disable=SC1091,SC2016 # $1 is the hook's own: the folder of the new root
    TMPDIR=${TMPDIR:-/var/tmp} mmdebstrap --variant=essential --include=python3,ca-certificates,libstdc++6 \
        --hook-dir="$MERGED_USR_HOOK" --aptopt="$1/apt.conf" "${excludes[@]}" \
        --customize-hook='find "$1"/etc/apt -type f ! -name 00mmdebstrap -delete' \
        --customize-hook='rm -rf "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/var/log/*' \
        --customize-hook='find "$1" -xdev -perm /6000 -type f -exec chmod a-s {} +' \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1/root.tar" "${present[@]}" 3>&- 9>&-
}
