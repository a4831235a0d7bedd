"""What the gateway's socket answers."""

import socket

from worker.doctor.probe.syscall_result import Task, word

_SOCKET = "/run/egress/egress.sock"
#: Refusals come at once; what takes longer was let through.
_ANSWER_S = 3.0
_HEAD_BYTES = 4096


def requests(task: Task) -> dict[str, dict[str, list[str]]]:
    """Send each request head; return the answers' status and rule or outcome, by group and name.

    The heads of one name are sent one after the other.
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
        return word(error)
    first, *rest = answer.split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    said = fields.get("x-safeurl-rule") or fields.get("x-safeurl-outcome") or ""
    return f"{first.partition(' ')[2][:3]} {said}".strip()


VECTORS = {"requests": requests}
