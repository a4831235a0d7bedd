"""The contents of a trace: the calls after the filter, with the arguments that it checks."""

from tests.support.syscall_trace import after_filter, calls

_TRACE = """\
11<runc> execve(0x1, 0x2, 0x3) = 0
12<runc:[2:INIT]> seccomp(0x1, 0x4, 0) = -1 EFAULT (Bad address)
12<runc:[2:INIT]> mount(0x1, 0x2, 0, 0, 0) = 0
12<runc:[2:INIT]> prctl(0x16, 0x2, 0x7f, 0, 0) = 0
11<runc> bind(0x1, 0x2, 0x3) = 0
12<runc:[2:INIT]> execve(0x1, 0x2, 0x3) = 0
12<python3> socket(0x1, 0x80001, 0) = 0x3
12<python3> mmap(0, 0x1000, 0x3, 0x22, 0xffffffff, 0 <unfinished ...>
13<python3> clone(0x1200011, 0, 0, 0x7f, 0 <unfinished ...>
12<python3> <... mmap resumed>) = 0x7f0000000000
12<python3> close(0x3) = 0
12<python3> +++ exited with 0 +++
""".splitlines()


def test_what_comes_before_the_filter_is_not_counted() -> None:
    """Neither runc's work in the container, nor the library's questions, nor runc outside of it."""
    assert [line.split("> ")[1].split("(")[0] for line in after_filter(_TRACE)] == [
        *("execve", "socket", "mmap", "clone", "close")
    ]


def test_arguments_are_kept_where_the_filter_looks_at_them() -> None:
    """As the lines of a trace file; the others by name alone."""
    assert calls(after_filter(_TRACE)) == {
        *("execve", "close", "socket 0=0x1", "mmap 2=0x3 3=0x22", "clone 0=0x1200011")
    }
