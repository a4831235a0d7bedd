"""Runs one fuzz target with Atheris for a time: `python -m tests.fuzz.main TARGET SECONDS`.

Atheris is found on PYTHONPATH, where tests/fuzz/run.sh puts it; the ordinary tests do not need it.
"""

import hashlib
import sys
import time
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # installed by tests/fuzz/run.sh alone

from tests.fuzz.corpus import read_corpus, write_corpus
from tests.fuzz.targets import load_target

#: Of our own code and of what reads hostile bytes for it; the rest would only slow it down.
_INSTRUMENTED = ["safeurl", "worker", "fetcher", "h11", "dns", "h2", "hpack", "dotenv"]
_MAX_INPUT_BYTES = 64 * 1024
#: One input that takes longer, or more memory, is a finding.
_MAX_INPUT_S = 10
_MAX_RSS_MB = 2048


def main() -> None:
    """Fuzz from the stored corpus; libFuzzer ends the process, with 0 if it found nothing."""
    begun, name, seconds = time.monotonic(), sys.argv[1], int(sys.argv[2])
    work = Path(".cache/fuzz") / name
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    # Nothing of what is fuzzed may be imported before: it would not be instrumented.
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        target = load_target(name)
        from tests.fuzz.seeds import seeds  # noqa: PLC0415 - see the line above
    for data in (*seeds(name), *read_corpus(name).values()):
        (work / "corpus" / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    arguments = [
        sys.argv[0],
        # Making the target ready is part of its time; 0 would be no limit.
        f"-max_total_time={max(1, round(seconds - (time.monotonic() - begun)))}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-timeout={_MAX_INPUT_S}",
        f"-rss_limit_mb={_MAX_RSS_MB}",
        f"-artifact_prefix={work}/",
        "-print_final_stats=1",
        str(work / "corpus"),
    ]
    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[2:] == ["--keep"]:
        write_corpus(sys.argv[1], Path(".cache/fuzz") / sys.argv[1] / "corpus")
    else:
        main()
