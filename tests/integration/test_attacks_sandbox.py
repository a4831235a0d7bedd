"""Attacks of code in a sandbox on resources that the host's kernel shares among all programs."""

import json
import signal
from pathlib import Path
from typing import Any

from safeurl.model.sandbox import SinkResult
from tests.support.sandbox_lab import lab
from worker.sandbox.runtime import RUNC

#: What each script begins with: `said` turns an attempt into `done` or an errno's name.
_PRELUDE = r"""
import ctypes, errno, fcntl, json, mmap, os, resource, signal, stat, struct, sys
LIBC = ctypes.CDLL(None, use_errno=True)
def said(act, *given):
    try:
        act(*given)
    except OSError as error:
        return errno.errorcode[error.errno]
    except ValueError:
        # What the module `resource` makes of EPERM.
        return "EPERM"
    return "done"
def called(result):
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]
def told(found):
    print(json.dumps(found))
"""

#: Terminals are counted in one number for all containers of a host: 3,072 unless it was changed.
_TERMINALS_HELD = Path("/proc/sys/kernel/pty/nr")
_MANY = 200
_TERMINALS = f"""
opened = 0
try:
    while opened < {_MANY}:
        os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
        opened += 1
except OSError:
    pass
print(json.dumps(dict(opened=opened, shown=os.listdir("/dev/pts"))), flush=True)
signal.pause()
"""

#: With a limit of 0 the kernel still starts the program that `kernel.core_pattern` may name, as
#: root and on the host, and gives it the memory of what has crashed; with 1 it does not.
_CRASH = """
found = {"limits": resource.getrlimit(resource.RLIMIT_CORE)}
found["setrlimit"] = said(resource.setrlimit, resource.RLIMIT_CORE, (0, 0))
found["prlimit"] = said(resource.prlimit, os.getpid(), resource.RLIMIT_CORE, (0, 1))
old = called(LIBC.syscall(160, 4, struct.pack("QQ", 0, 0)))
found["setrlimit call"] = old
child = os.fork()
if child == 0:
    found["in a child"] = said(resource.prlimit, os.getppid(), resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGSEGV)
_, status = os.waitpid(child, 0)
found["crashed"] = os.WTERMSIG(status)
found["dumped"] = os.WCOREDUMP(status)
found["still"] = resource.getrlimit(resource.RLIMIT_CORE)
# What the parser's child needs goes on working.
found["cpu"] = said(resource.setrlimit, resource.RLIMIT_CPU, (100, 100))
found["memory"] = said(resource.setrlimit, resource.RLIMIT_AS, (2**40, 2**40))
told(found)
"""

#: Of the host's kernel: locks, leases and watches are memory of its own, which kernels before 5.15
#: charge to nobody; an owner has signals sent; a pipe's size is taken from a user's share.
_FCNTL = """
file = os.open("/tmp/held", os.O_RDWR | os.O_CREAT, 0o600)
folder = os.open("/tmp", os.O_RDONLY)
source, _ = os.pipe()
lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 1, 0)
told({
    "lock": said(fcntl.fcntl, file, fcntl.F_SETLK, lock),
    "lock and wait": said(fcntl.fcntl, file, fcntl.F_SETLKW, lock),
    "lock of the open file": said(fcntl.fcntl, file, fcntl.F_OFD_SETLK, lock),
    "lease": said(fcntl.fcntl, file, fcntl.F_SETLEASE, fcntl.F_WRLCK),
    "watch": said(fcntl.fcntl, folder, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MULTISHOT),
    "owner": said(fcntl.fcntl, source, fcntl.F_SETOWN, 1),
    "signal": said(fcntl.fcntl, source, fcntl.F_SETSIG, 10),
    "pipe": said(fcntl.fcntl, source, 1031, 2**20),
    "high bits": called(LIBC.syscall(72, file, ctypes.c_ulong(fcntl.F_SETLK | 1 << 32), lock)),
    "duplicate": said(fcntl.fcntl, file, fcntl.F_DUPFD_CLOEXEC, 3),
    "flags": said(fcntl.fcntl, file, fcntl.F_SETFL, os.O_NONBLOCK),
})
"""

_STATELESS = {f"/dev/{name}" for name in ("full", "null", "random", "urandom", "zero")}
_STATELESS |= {f"/dev/{name}" for name in ("stderr", "stdin", "stdout")}
#: Made by its kernel, behind which is nothing of the host.
_GVISORS_FILES = {"/dev/fuse", "/dev/net/tun", "/dev/ptmx", "/dev/pts/ptmx"}

#: Neither needs a right: pages of the pool that an operator has reserved for a database or virtual
#: machines, which no cap on memory counts, and the kernel's search for pages of equal content.
_SHARED_MEMORY = """
LIBC.mmap.restype = ctypes.c_long
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
LIBC.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
SIZE, BOTH, HUGE = 2**21, mmap.PROT_READ | mmap.PROT_WRITE, 0x40000
OWN = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
memory = LIBC.mmap(None, SIZE, BOTH, OWN, -1, 0)
def mapped(protection, flags):
    return called(LIBC.mmap(None, SIZE, protection, flags, -1, 0))
def advised(advice):
    return called(LIBC.madvise(memory, SIZE, advice))
told({
    "plain": called(memory),
    "huge": mapped(BOTH, OWN | HUGE),
    "huge, not yet readable": mapped(0, OWN | HUGE),
    "huge, of 1 GiB": mapped(BOTH, OWN | HUGE | 30 << 26),
    "huge, shared": mapped(BOTH, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | HUGE),
    "mergeable": advised(12),
    "cold": advised(20),
    "paged out": advised(21),
    "poisoned": advised(100),
    "given back": advised(4),
})
"""

#: Everything that exists is opened for writing, without a byte being written.
_OPEN_ALL = """
files, folders, tried = set(), set(), 0
null = os.stat("/dev/null").st_rdev
for top, names, here in os.walk("/"):
    # What /proc has of processes belongs to the sandbox.
    if top == "/proc":
        names[:] = [name for name in names if not name.isdigit()]
    if os.access(top, os.W_OK):
        folders.add(top)
    for name in here:
        path = os.path.join(top, name)
        tried += 1
        try:
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            continue
        # The engine hides a file behind /dev/null.
        if path == "/dev/null" or os.fstat(file).st_rdev != null:
            files.add(path)
        os.close(file)
told({"tried": tried, "files": sorted(files), "folders": sorted(folders)})
"""

_BY_MAPPING = {"loader", "mapped"}
#: A program, brought by a page, by every way to run it that needs no call of its own.
_RUN = r"""
program = open(os.path.realpath("/bin/true"), "rb").read()
loader = next(line.split()[-1] for line in open("/proc/self/maps") if "/ld-" in line)
def brought(folder):
    path = folder + "/brought"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o755)
    os.write(file, program)
    os.close(file)
    return path
def ended(*command):
    child = os.fork()
    if child == 0:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        try:
            os.execv(command[0], command)
        except OSError:
            os._exit(126)
    status = os.waitpid(child, 0)[1]
    return "done" if status == 0 else "refused"
def mapped(path):
    file = os.open(path, os.O_RDONLY)
    return said(lambda: mmap.mmap(file, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
found = {}
for folder in ("/tmp", "/dev/shm"):
    path = brought(folder)
    found[folder, "itself"] = ended(path)
    found[folder, "loader"] = ended(loader, path)
    found[folder, "mapped"] = mapped(path)
    file = os.open(path, os.O_RDONLY)
    os.set_inheritable(file, True)
    os.unlink(path)
    found[folder, "unlinked"] = ended(f"/proc/self/fd/{file}")
    script = os.open(folder + "/script", os.O_RDWR | os.O_CREAT, 0o755)
    os.write(script, b"#!" + os.path.realpath(sys.executable).encode() + b"\n")
    os.close(script)
    found[folder, "script"] = ended(folder + "/script")
found["", "the image's"] = ended(os.path.realpath("/bin/true"))
found["", "the image's by the loader"] = ended(loader, os.path.realpath("/bin/true"))
told({" ".join(how).strip(): what for how, what in found.items()})
"""


def seen(script: str, **caps: Any) -> Any:
    """Return the output of the script in a sandbox that ended by itself."""
    with lab(_PRELUDE + script, **caps) as room:
        ran = room.run()
    assert (ran.exit.error, ran.exit.stopped, ran.exit.exit_code) == (None, None, 0), ran.exit
    return json.loads(ran.stdout)


def test_a_sandbox_takes_no_terminal_of_the_host(runtime: str) -> None:
    """Four processes could use all terminals, and no other container could open one."""
    got = bytearray()
    held: list[int] = []

    def sink(piece: bytes) -> SinkResult:
        got.extend(piece)
        held.append(int(_TERMINALS_HELD.read_text()))
        return SinkResult.REFUSED if b"\n" in got else SinkResult.MORE

    before = int(_TERMINALS_HELD.read_text())
    with lab(_PRELUDE + _TERMINALS, runtime=runtime) as room:
        room.run(sink=sink)
    found = json.loads(got)
    # Other programs on this host have a few open.
    assert held[-1] - before < _MANY // 2
    if runtime == RUNC:
        assert found == {"opened": 0, "shown": []}


def test_a_crash_starts_no_program_of_the_host(runtime: str) -> None:
    """The limit is 1, which no code can turn into 0; limits that a fetch sets can be set."""
    found = seen(_CRASH, runtime=runtime)
    assert (found["limits"], found["crashed"], found["dumped"]) == ([1, 1], signal.SIGSEGV, False)
    assert (found["cpu"], found["memory"]) == ("done", "done")
    if runtime == RUNC:
        # What crashes under gVisor is known to gVisor alone.
        assert found["setrlimit"] == found["prlimit"] == found["setrlimit call"] == "EPERM"
        assert found["still"] == [1, 1]


def test_no_lock_lease_or_watch_is_to_be_had() -> None:
    """`fcntl` may only duplicate a descriptor and read and set its flags."""
    found = seen(_FCNTL, runtime=RUNC)
    assert (found.pop("duplicate"), found.pop("flags")) == ("done", "done")
    assert set(found.values()) == {"EPERM"}, found


def test_nothing_of_the_host_opens_for_writing(runtime: str) -> None:
    """Only devices without a state open for writing; folders in memory accept new files."""
    found = seen(_OPEN_ALL, runtime=runtime)
    assert found["tried"] > 1000
    own = set() if runtime == RUNC else _GVISORS_FILES
    assert set(found["files"]) <= _STATELESS | own
    assert set(found["folders"]) <= {"/dev/mqueue", "/dev/shm", "/tmp"}  # noqa: S108 - inside


def test_no_program_that_was_brought_runs(runtime: str) -> None:
    """Also not by a descriptor, from the other file system in memory, by the loader, or mapped.

    gVisor lets the loader map it: its kernel does not check the mount there.
    """
    found = seen(_RUN, runtime=runtime)
    assert {found.pop("the image's"), found.pop("the image's by the loader")} == {"done"}
    if runtime != RUNC:
        found = {how: what for how, what in found.items() if how.split()[1] not in _BY_MAPPING}
    assert len(found) >= 6
    assert set(found.values()) <= {"refused", "EPERM", "EACCES"}, found


def test_no_memory_comes_from_the_hosts_reserve_or_is_merged() -> None:
    """Huge pages belong to the host, outside the sandbox's cap; merged pages show others' content.

    The response is the filter's: a host without huge pages, or without the merging, has others.
    """
    found = seen(_SHARED_MEMORY, runtime=RUNC)
    assert (found.pop("plain"), found.pop("given back")) == ("done", "done")
    assert set(found.values()) == {"EPERM"}, found
