"""The only module that uses the Docker SDK: clients that are kept open, and typed errors.

The SDK is synchronous; its clients are not thread-safe and cannot be used after a fork. So each
task has a client for itself, which its own process has opened. Every exception of the SDK and of
its HTTP library is raised again as `SandboxUnavailableError`. The SDK has no types, and our folder
docker/ hides it from mypy.
"""

import os
import socket
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from docker.api.client import APIClient  # type: ignore[import-not-found]  # - see above
from docker.errors import (  # type: ignore[import-not-found]  # - see above
    APIError,
    DockerException,
    ImageNotFound,
    NotFound,
)
from urllib3.exceptions import ReadTimeoutError

from safeurl.errors import SandboxUnavailableError
from worker.sandbox.runtime import Runtimes

#: The time limit of one call; creating and starting are slow on a loaded host.
CALL_TIMEOUT_S = 30.0

#: The newest API version that this module supports. Engine 20.10 supports 1.41; engine 29 supports
#: 1.45 but no longer 1.41. So the version is negotiated.
_NEWEST_API = (1, 45)
_ATTACH = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
_CONFLICT = 409
_LONGEST_EXPLANATION = 300


class NameTakenError(SandboxUnavailableError):
    """A container of this name exists."""


class RuntimeUnknownError(SandboxUnavailableError):
    """The engine has no runtime of this name."""


class ContainerGoneError(SandboxUnavailableError):
    """There is no container of this name or id."""


#: Errors with which the engine has answered as it should: the connection is good.
_ANSWERED = (NameTakenError, RuntimeUnknownError, ContainerGoneError)


class _Api(APIClient):  # type: ignore[misc]  # - the SDK has no types
    """The SDK's client with a timeout for every call; `attach_socket` sets none."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:  # as in `requests`
        kwargs.setdefault("timeout", self.timeout)
        response: requests.Response = super().request(*args, **kwargs)
        return response


def is_listening(socket_path: str) -> bool:
    """Return True if a process accepts connections on this unix socket; this is cheap."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(socket_path)
        except OSError:
            return False
        return True


class Engine:
    """Lends clients of one engine; may be shared between threads, and used after a fork."""

    def __init__(self, socket_path: str) -> None:
        """Take the path of the engine's unix socket; nothing is opened yet."""
        self._socket_path = socket_path
        self._api_version: str | None = None
        #: Clients that nobody uses, each with the process that has opened it.
        self._idle: deque[tuple[int, _Api]] = deque()
        weakref.finalize(self, _close_all, self._idle)
        self._runtimes: Runtimes | None = None

    def runtimes(self, client: "EngineClient") -> Runtimes:
        """Return the engine's runtimes; only the first call asks the engine."""
        if self._runtimes is None:
            self._runtimes = client.runtimes()
        return self._runtimes

    def forget_runtimes(self) -> None:
        """Discard the list of runtimes, because it is outdated; the next call asks again."""
        self._runtimes = None

    @contextmanager
    def client(self, timeout_s: float = CALL_TIMEOUT_S) -> Iterator["EngineClient"]:
        """Lend a client to one thread for one task; it is kept for the next one in this process.

        A client that failed is closed. One that was opened before a fork is never used after it.
        """
        try:
            with translated():
                self._check_listening(timeout_s)
            api = self._take(timeout_s)
            try:
                yield EngineClient(api)
            except _ANSWERED:
                self._idle.append((os.getpid(), api))
                raise
            except BaseException:
                api.close()
                raise
            self._idle.append((os.getpid(), api))
        except _ANSWERED:
            raise
        except SandboxUnavailableError:
            # The engine may have been replaced by one with another version.
            self._api_version = None
            self.close()
            raise

    def close(self) -> None:
        """Close the clients that are kept; further ones can be opened."""
        _close_all(self._idle)

    def _take(self, timeout_s: float) -> _Api:
        """Return a client that nobody else has, and that this process has opened."""
        with suppress(IndexError):  # none is idle
            while True:
                pid, api = self._idle.pop()
                if pid == os.getpid():
                    api.timeout = timeout_s
                    return api
                api.close()  # it closes the descriptor of this process, not the connection
        if self._api_version is None:
            self._api_version = self._negotiate_version(timeout_s)
        return self._open(self._api_version, timeout_s)

    def _check_listening(self, timeout_s: float) -> None:
        """Raise an error if no process listens: the SDK leaks its socket if it cannot connect."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout_s)
            probe.connect(self._socket_path)

    def _open(self, version: str, timeout_s: float) -> _Api:
        with translated():
            api = _Api(f"unix://{self._socket_path}", version=version, timeout=timeout_s)
        # Proxy variables and ~/.netrc must not change what is sent over this socket.
        api.trust_env = False
        return api

    def _negotiate_version(self, timeout_s: float) -> str:
        with self._open("1.24", timeout_s) as api, translated():
            # For the full answer the engine starts other programs; a ping names its version, too.
            pong = api.get(f"{api.base_url}/_ping").headers.get("Api-Version", "")
            if pong and _version(pong) <= _NEWEST_API:
                return str(pong)
            facts = api.version(api_version=False)
        newest = min(_version(facts["ApiVersion"]), _NEWEST_API)
        oldest = _version(facts.get("MinAPIVersion", "1.24"))
        return ".".join(map(str, max(newest, oldest)))


def _close_all(idle: deque[tuple[int, _Api]]) -> None:
    with suppress(IndexError):  # also if another thread takes the last one
        while True:
            idle.pop()[1].close()


class EngineClient:
    """The calls to Docker that the sandbox needs; for one thread."""

    def __init__(self, api: _Api) -> None:
        """Wrap an open SDK client."""
        self._api = api

    def version(self) -> str:
        """Return the engine's version, such as `20.10.24`."""
        with translated():
            return str(self._api.version()["Version"])

    def info(self) -> dict[str, Any]:
        """Return the engine's information about itself and its host."""
        with translated():
            facts: dict[str, Any] = self._api.info()
            return facts

    def image(self, name: str) -> dict[str, Any]:
        """Return Docker's facts about an image."""
        with translated(name):
            facts: dict[str, Any] = self._api.inspect_image(name)
            return facts

    def runtimes(self) -> Runtimes:
        """Return the OCI runtimes that are registered."""
        with translated():
            return Runtimes.read(self._api.info())

    def create(self, name: str, options: dict[str, Any]) -> str:
        """Create a container and return its id; `NameTakenError` if there is one of that name."""
        with translated(options["Image"]):
            return str(self._api.create_container_from_config(options, name)["Id"])

    def attach(self, container_id: str) -> socket.socket:
        """Return a socket to the container's streams.

        Call it before the container is started: later, the HTTP library might already have read
        the first bytes of the stream into its own buffer.
        """
        with translated():
            # A fresh dict: the SDK may add to it.
            stream = self._api.attach_socket(container_id, params=dict(_ATTACH))
            attached = socket.socket(fileno=os.dup(stream.fileno()))
            stream._response.close()  # noqa: SLF001 - only this attribute holds the response, and with it the connection
            return attached

    def start(self, container_id: str) -> None:
        """Start the container; this fails for a command that cannot be run (126, 127)."""
        with translated():
            self._api.start(container_id)

    def rename(self, container_id: str, name: str) -> None:
        """Give the container another name; `NameTakenError` if there is one of that name."""
        with translated():
            self._api.rename(container_id, name)

    def kill(self, container_id: str) -> None:
        """Send SIGKILL; do nothing if the container has ended."""
        try:
            with translated():
                self._api.kill(container_id)
        except (NameTakenError, ContainerGoneError):
            return  # 409: it has ended already; 404: somebody removed it

    def wait(self, container_id: str, timeout_s: float) -> bool:
        """Wait until the container has ended; return False after the timeout."""
        try:
            with translated():
                self._api.wait(container_id, timeout=timeout_s)
        except SandboxUnavailableError as exc:
            if _is_timeout(exc.__cause__):
                return False
            raise
        return True

    def inspect(self, container: str) -> dict[str, Any]:
        """Return Docker's facts about a container."""
        with translated():
            facts: dict[str, Any] = self._api.inspect_container(container)
            return facts

    def remove(self, container_id: str) -> None:
        """Kill and remove the container with its volumes; do nothing if it is already removed."""
        try:
            with translated():
                self._api.remove_container(container_id, force=True, v=True)
        except (NameTakenError, ContainerGoneError):
            return  # 409: its removal is in progress; 404: it is gone

    def find(self, label_filter: list[str]) -> list[dict[str, Any]]:
        """Return id and labels of all containers, running or ended, that have these labels."""
        with translated():
            found: list[dict[str, Any]] = self._api.containers(
                all=True, filters={"label": label_filter}
            )
            return found


@contextmanager
def translated(image: str = "") -> Iterator[None]:
    """Raise the errors of the SDK and its HTTP library as typed errors with a clear message."""
    try:
        yield
    except ImageNotFound as exc:
        raise SandboxUnavailableError(
            f"The image {image} is not on this host: "
            "build it with docker/quickstart.sh or set FETCHER_IMAGE."
        ) from exc
    except NotFound as exc:
        raise ContainerGoneError(f"Docker: {_explain(exc)}.") from exc
    except APIError as exc:
        raise _refusal(exc) from exc
    except (DockerException, requests.RequestException, OSError) as exc:
        raise SandboxUnavailableError(_unreachable_message(exc)) from exc


def _refusal(exc: APIError) -> SandboxUnavailableError:
    reason = _explain(exc)
    if _is_unknown_runtime(exc):
        hint = "Set CONTAINER_RUNTIME to one that the engine knows."
        return RuntimeUnknownError(f"Docker refused: {reason}. {hint}")
    taken = exc.status_code == _CONFLICT
    return (NameTakenError if taken else SandboxUnavailableError)(f"Docker refused: {reason}.")


def _is_unknown_runtime(exc: APIError) -> bool:
    """Return True if the engine does not know the runtime.

    Only the text of the message tells it: the engine's status is the same as for other invalid
    options. Engine 20.10: "Unknown runtime specified x"; 23 and later: "unknown or invalid runtime
    name". This is the only place in this package that depends on a text.
    """
    message = _explain(exc).lower()
    return "unknown runtime" in message or "runtime name" in message


def _explain(exc: APIError) -> str:
    reason = " ".join(str(exc.explanation or exc).split())
    return reason[:_LONGEST_EXPLANATION].rstrip(".")


def _unreachable_message(exc: Exception) -> str:
    if _is_timeout(exc):
        return "Docker did not answer in time."
    reason = str(_root(exc)) or type(exc).__name__
    return (
        f"Docker does not answer ({reason}): start the engine, let this user reach its socket "
        "(group `docker`), or set DOCKER_SOCKET_PATH."
    )


def _root(exc: BaseException) -> BaseException:
    # The HTTP library wraps an `OSError` in several errors of its own.
    root = exc
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    return root


def _is_timeout(exc: BaseException | None) -> bool:
    if isinstance(exc, requests.Timeout):
        return True
    # A timeout while the body of a response is read is raised as a plain ConnectionError.
    return (
        isinstance(exc, requests.ConnectionError)
        and bool(exc.args)
        and isinstance(exc.args[0], ReadTimeoutError)
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
