"""The code of a typical tutorial: an RQ job that runs a container and reads its output.

RQ imports this module in its workers, so it imports nothing of ours.
"""

import json
import os
from typing import Any

from docker.client import DockerClient  # type: ignore[import-not-found]  # - docker/ hides the SDK

#: The program in the image: fetch, parse, print.
PROGRAM = """
import json, sys
import requests
from bs4 import BeautifulSoup

page = requests.get(sys.argv[1], timeout=20)
soup = BeautifulSoup(page.text, "html.parser")
print(json.dumps({
    "status": page.status_code,
    "url": page.url,
    "title": soup.title.string if soup.title else None,
    "links": [a.get("href") for a in soup.find_all("a")],
    "forms": len(soup.find_all("form")),
    "passwords": len(soup.find_all("input", type="password")),
}))
"""


def scan(url: str) -> dict[str, Any]:
    """Run the container to its end and return its output."""
    client = DockerClient.from_env()
    memory = f"{os.environ['BENCH_MEMORY_MB']}m"
    output = client.containers.run(
        os.environ["BENCH_IMAGE"],
        [url],
        remove=True,
        mem_limit=memory,
        memswap_limit=memory,
        nano_cpus=int(float(os.environ["BENCH_CPUS"]) * 1e9),
        pids_limit=int(os.environ["BENCH_PIDS"]),
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user="65534:65534",
        runtime=os.environ["BENCH_RUNTIME"],
        labels={"safeurl.bench": "rival"},
    )
    found: dict[str, Any] = json.loads(output)
    return found
