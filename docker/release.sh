#!/usr/bin/env bash
# The documents of a release: the bills of materials (CycloneDX) of the locks, in FOLDER (dist/sbom), and a check for
# known vulnerabilities. Exit code: 0 none found, 1 a package is vulnerable, 75 no source answered for all packages.
# Other options after FOLDER go to pip-audit (for example --vulnerability-service osv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
FOLDER=${1:-dist/sbom}
shift || true
TOOLS=.cache/release
if ! "$TOOLS/bin/python" -c 'import cyclonedx, pip_audit' 2>/dev/null; then
    python3 -m venv --clear "$TOOLS"
    "$TOOLS/bin/pip" install --quiet 'cyclonedx-python-lib[json-validation]>=11.12,<12' 'pip-audit>=2.10,<3'
fi
mkdir -p "$FOLDER"

worst=0
for lock in requirements.lock docker/service-requirements.lock docker/fetcher-requirements.lock; do
    name=$(basename "$lock" .lock)
    "$TOOLS/bin/python" docker/lib/sbom.py "safeurl-$name" "$lock" >"$FOLDER/$name.cdx.json"
    "$TOOLS/bin/python" - "$FOLDER/$name.cdx.json" <<'PYTHON'
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(f"{sys.argv[1]} is not valid: {wrong}" if wrong else 0)
PYTHON
    rm -f "$FOLDER/$name.audit.json"
    timeout 180 "$TOOLS/bin/pip-audit" --require-hashes --disable-pip --requirement "$lock" --progress-spinner off \
        --format json --output "$FOLDER/$name.audit.json" "$@" 2>/dev/null || true
    code=0
    printf '%s: ' "$lock"
    "$TOOLS/bin/python" docker/lib/audit_result.py "$FOLDER/$name.audit.json" || code=$?
    # A vulnerability decides before a source that does not answer.
    if [ "$code" = 1 ] || [ "$worst" = 0 ]; then worst=$code; fi
done
echo "The bills of materials are in $FOLDER."
exit "$worst"
