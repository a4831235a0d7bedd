#!/usr/bin/env bash
# Writes the four locks again from pyproject.toml: for Linux and CPython 3.11 and later, each package with the hashes
# of all its files and none with a host. Locked versions stay unless --upgrade is given.
# There are no environment markers, because pip evaluates them for its own interpreter, but the images' wheels are
# fetched for another one. A package that only 3.11 needs is installed on newer versions too, where it does no harm.
# Uses uv: the one named in UV, the one on PATH, or one fetched into .cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV=${UV:-$(command -v uv || echo .cache/uv/bin/uv)}
if ! command -v "$UV" >/dev/null; then
    python3 -m venv .cache/uv
    .cache/uv/bin/pip install --quiet uv
fi

# Prints the list DOTTED.PATH of pyproject.toml, one requirement per line.
requirements() {
    python3 - "$@" <<'PYTHON'
import functools, sys, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
for path in sys.argv[1:]:
    print("\n".join(functools.reduce(dict.__getitem__, path.split("."), project)))
PYTHON
}

# lock OUTPUT CONSTRAINTS…: standard input is the list of requirements.
lock() {
    local output=$1
    shift
    "$UV" pip compile --python-platform linux --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --quiet --overrides docker/left-out.txt "${MORE[@]}" "${@/#/--constraints=}" --output-file "$output" - >/dev/null
    echo "$output: $(grep -c '==' "$output") packages"
}

MORE=("$@")
EXTRAS=project.optional-dependencies
# hatchling and editables: the project itself is installed without asking any index for its build backend.
{ requirements project.dependencies $EXTRAS.turso build-system.requires && echo editables; } |
    lock requirements.lock
# The packages of the service image: none that are only for builds or tests.
requirements project.dependencies $EXTRAS.turso | lock docker/service-requirements.lock requirements.lock
requirements project.dependencies $EXTRAS.{turso,fetcher,dev} | lock requirements-dev.lock requirements.lock
requirements $EXTRAS.fetcher | lock docker/fetcher-requirements.lock requirements-dev.lock
