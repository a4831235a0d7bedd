# The images with our own code: safeurl-fetcher (what opens a page) and safeurl-service (worker and API).
# Wheels are fetched on the host by hash and copied in, so that a build needs no network and no pip; only what the
# classic builder knows is used. Each image carries a hash of all it was made from and is built when that changed.
# shellcheck shell=bash

IMAGES=.cache/images
FETCHER_LOCK=docker/fetcher-requirements.lock
SERVICE_LOCK=docker/service-requirements.lock
# What the fetcher may know of ours; nothing else is copied next to it.
FETCHER_CORE=(__init__ errors state url url_host refang address model/__init__ model/report model/report_types model/egress_evidence)

FETCHER_FILES=(fetcher)
for module in "${FETCHER_CORE[@]}"; do FETCHER_FILES+=("safeurl/$module.py"); done
SERVICE_FILES=(safeurl worker api fetcher schema.sql pyproject.toml docker/valkey)

ensure_fetcher_image() {
    ensure_image fetcher "$FETCHER_LOCK" stage_fetcher docker/fetcher_{tree,bundle,start}.py "${FETCHER_FILES[@]}"
}

ensure_service_image() {
    ensure_image service "$SERVICE_LOCK" stage_service "${SERVICE_FILES[@]}"
}

# ensure_image ROLE LOCK STAGE FILE…: STAGE is the function that lays our own code into the build context.
ensure_image() {
    local role=$1 lock=$2 stage=$3 tag=safeurl-$1:latest context=$IMAGES/$1 key label value labels=()
    shift 3
    key=$(content_key "docker/$role.Dockerfile" docker/lib/images.sh "$lock" "$@")
    [ "$(image_label "$tag" safeurl.content)" != "$key" ] || return 0
    mkdir -p "$context"
    stage_wheels "$lock" "$context"
    rm -rf "$context/app"
    "$stage" "$context/app"
    # A stage from scratch inherits no label.
    for label in "$BASE_NAME_LABEL" "$BASE_DIGEST_LABEL"; do
        value=$(image_label "$BASE_TAG" "$label")
        [ -z "$value" ] || labels+=(--label "$label=$value")
    done
    note "building"
    # Without a network: what a build needs is in its context.
    replacing "$tag" dk build --quiet --network none --tag "$tag" \
        --file "docker/$role.Dockerfile" --build-arg BASE_IMAGE="$BASE_TAG" \
        --label safeurl.content="$key" --label safeurl.image="$role" \
        --label org.opencontainers.image.title="safeurl-$role" --label org.opencontainers.image.licenses=Apache-2.0 \
        "${labels[@]}" "$context"
    # The stages before the last, which have no tag.
    dk image prune --force --filter label=safeurl.stage >/dev/null
}

# A hash over the base image and over names and contents of all files given, folders included.
content_key() {
    {
        dk image inspect --format '{{.Id}}' "$BASE_TAG"
        find "$@" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d' ' -f1
}

base_python() {
    dk run --rm --network none --label safeurl.managed "$BASE_TAG" \
        python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

# stage_wheels LOCK CONTEXT: the locked wheels for the image's Python, which need not be the host's.
stage_wheels() {
    local lock=$1 site=$2/site python wanted minor platforms=()
    python=$(base_python)
    wanted=$(echo "$python $(uname -m)" | cat - "$lock" | sha256sum)
    [ "$(cat "$site.made-from" 2>/dev/null)" != "$wanted" ] || return 0
    # Every glibc up to Debian 12's, the newest first: pip does not know that one includes the older ones.
    for minor in {36..17}; do platforms+=(--platform "manylinux_2_${minor}_$(uname -m)"); done
    platforms+=(--platform "manylinux2014_$(uname -m)")
    note "fetching $(grep -c == "$lock") wheels for Python $python"
    rm -rf "$site" "$site.made-from"
    .venv/bin/python -m pip install --target "$site" --no-compile --no-deps --only-binary=:all: \
        --implementation cp --python-version "$python" "${platforms[@]}" --require-hashes -r "$lock"
    rm -rf "${site:?}/bin"
    echo "$wanted" >"$site.made-from"
}

stage_fetcher() {
    local file
    for file in "${FETCHER_FILES[@]}"; do
        mkdir -p "$1/$(dirname "$file")"
        cp -R "$file" "$1/$file"
    done
    find "$1" -name __pycache__ -prune -exec rm -rf {} +
    cp docker/fetcher_{tree,bundle,start}.py "$1/.."
}

# As an installed wheel: with its version, its schema.sql and nothing of the tests.
stage_service() {
    .venv/bin/python -m pip install --target "$1" --no-compile --no-deps --no-build-isolation .
    rm -rf "${1:?}/bin"
    cp docker/valkey/users.acl "$(dirname "$1")/"
    chmod 0644 "$(dirname "$1")/users.acl"
}
