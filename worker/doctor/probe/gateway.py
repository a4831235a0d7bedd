"""Vector: the responses of the gateway's socket."""

import socket

from worker.doctor.probe.syscall_result import Task, errno_name

_SOCKET = "/run/egress/egress.sock"
#: The gateway refuses at once; a request that takes longer was not refused.
_ANSWER_S = 3.0
_HEAD_BYTES = 4096


def requests(task: Task) -> dict[str, dict[str, list[str]]]:
    """Send each request head; return the status and rule or outcome of each response.

    The result is by group and name. The heads of one name are sent one after the other.
    """
    return {
        group: {name: [_ask(head) for head in heads] for name, heads in members.items()}
        for group, members in task["requests"].items()
    }


def _ask(head: str) -> str:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(_SOCKET)
            connection.sendall(head.encode("utf-8", "surrogatepass"))
            answer = connection.recv(_HEAD_BYTES).decode("latin-1")
    except OSError as error:
        return errno_name(error)
    first, *rest = answer.split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    result_of = fields.get("x-safeurl-rule") or fields.get("x-safeurl-outcome") or ""
    return f"{first.partition(' ')[2][:3]} {result_of}".strip()


VECTORS = {"requests": requests}
