"""Commands that are given nonsense: one sentence, the right exit code, and never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system import System

_SUBMIT = "from safeurl.cli import submit_main; submit_main()"
_SAFEURL = "from safeurl.cli import main; main()"


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return a separate installation with an empty database."""
    system = System(tmp_path / "state")
    assert system.run("migrate").returncode == 0
    return system


def _run(
    system: System, code: str, *arguments: bytes, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with arguments and input that need not be text."""
    done = subprocess.run(
        [sys.executable.encode(), b"-c", code.encode(), *arguments],
        env=system.environ,
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (_SAFEURL, [b"scan", b"http://\xff/"]),
        (_SAFEURL, [b"scan", b""]),
        (_SAFEURL, [b"status", b"\xff"]),
        (_SAFEURL, [b"status", b""]),
        (_SAFEURL, [b"list", b"--before", b"\xff"]),
        (_SAFEURL, [b"list", b"--before", b"2026-11-25"]),
        (_SUBMIT, [b"--source", b"\xff", b"example.com"]),
        (_SUBMIT, [b"--source", b"a\x1b[31m", b"example.com"]),
        (_SUBMIT, [b"--source", b"", b"example.com"]),
        (_SUBMIT, []),
    ],
)
def test_arguments_that_mean_nothing(system: System, code: str, arguments: list[bytes]) -> None:
    """Exit 2, and nothing is recorded that would spoil the list."""
    assert _run(system, code, *arguments).returncode == 2
    assert len(_run(system, _SAFEURL, b"list").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["status"],
        ["status", "x"],
        ["cancel", "x"],
        ["audit", "verify"],
        ["audit", "show", "x"],
        ["audit", "export"],
    ],
    ids=" ".join,
)
def test_looking_makes_no_database(tmp_path: Path, command: list[str]) -> None:
    """A misspelt folder is reported to have no database; it does not look like a healthy one."""
    system = System(tmp_path / "misspelt")
    done = system.run(*command)
    said = f"There is no database at {system.settings.database_path}. SAFEURL_STATE_DIR names"
    assert (done.returncode, said in done.stdout + done.stderr) == (75, True), done
    assert not system.settings.state_dir.exists()


def test_a_list_with_bytes_that_are_no_text(system: System) -> None:
    """The other lines are recorded, and a line without end uses little memory."""
    lines = b"\xff\xfe\x00\nhttps://example.com/\n" + b"a" * 50_000_000 + b"\nhttps://example.org/"
    done = _run(system, _SUBMIT, b"-", stdin=lines)
    assert done.returncode == 2
    assert len(done.stdout.split()) == 2
    assert b"not valid Unicode" in done.stderr
    assert b"longer than" in done.stderr
    assert len(done.stderr) < 10_000


def test_several_urls_on_a_line_are_each_a_scan(system: System) -> None:
    """As arguments and in a pipe; refused and left out words are named and stop no other URL."""
    arguments = (
        b"--json",
        b"https://a.example/x http://b.example",
        b"see hxxp://c[.]example c",
        b"-",
    )
    lines = b"d.example, e.example\nhttp://127.0.0.1/ and http://f.example\n"
    done = _run(system, _SUBMIT, *arguments, stdin=lines)
    *documents, counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert counts == {"counts": {"taken": 6, "refused": 1, "duplicates": 0}}
    assert [each["submitted_url"] for each in documents if "id" in each] == [
        *("https://a.example/x", "http://b.example", "hxxp://c[.]example"),
        *("d.example", "e.example", "http://f.example"),
    ]
    refused = [each for each in documents if "id" not in each]
    assert [(each["submitted_url"], each["reason"]) for each in refused] == [
        ("http://127.0.0.1/", "loopback")
    ]
    assert [each["line"] for each in documents] == [2, None, None, None, 1, 1, 2]
    assert done.returncode == 2
    assert b"Note: Left out, because it is not a URL: see c\n" in done.stderr
    left_out = {each["submitted_url"]: each["left_out"] for each in documents}
    assert left_out.pop("hxxp://c[.]example") == ["see", "c"]
    assert left_out.pop("http://127.0.0.1/") == left_out.pop("http://f.example") == ["and"]
    assert set(map(tuple, left_out.values())) == {()}


_LIST = """\
# what came in today
https://a.example/x

hxxp://127.0.0.1/?q=http://b.example
Dear Sir or Madam
https://b.example, hxxps://a[.]example/x
see c.example/y now
HTTPS://A.EXAMPLE/x
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("source", [["-"], ["--file", "-"], ["--file", "urls.txt"]])
def test_a_list_is_told_by_its_lines_and_counted(
    system: System, tmp_path: Path, encoding: str, source: list[str]
) -> None:
    """Taken, refused and duplicate URLs and other words, for every kind of input."""
    data = _LIST.replace("\n", "\r\n").encode(encoding)
    (tmp_path / "urls.txt").write_bytes(data)
    done = _run(system, _SUBMIT, *(each.encode() for each in source), stdin=data, cwd=tmp_path)
    of = " of urls.txt" if source[-1] == "urls.txt" else ""
    said = done.stderr.decode()
    assert (done.returncode, len(done.stdout.split())) == (2, 3), said
    assert f"Error: line 4{of}: hxxp://127.0.0.1/?q=hxxp://b[.]example: SafeURL does" in said
    assert f"Error: No URL in line 5{of}: Dear Sir or Madam\n" in said
    assert f"Note: line 7{of}: Left out, because it is not a URL: see now\n" in said
    assert said.splitlines()[-1] == "Note: 3 taken, 2 refused, 2 duplicates."


def test_documents_of_a_list_have_its_facts_as_fields(system: System, tmp_path: Path) -> None:
    """No program has to read a sentence."""
    path = tmp_path / "urls.txt"
    path.write_text(_LIST, encoding="utf-8")
    done = _run(system, _SUBMIT, b"--json", b"--file", bytes(path))
    *documents, counts = map(json.loads, done.stdout.splitlines())
    assert {each["file"] for each in documents} == {str(path)}
    refused = {each["line"]: each["reason"] for each in documents if "error" in each}
    assert refused == {4: "loopback", 5: "no_url"}
    same = {
        each["line"]: each["duplicate_of"]["line"] for each in documents if "duplicate_of" in each
    }
    assert same == {6: 2, 8: 2}
    assert sorted(each["line"] for each in documents if "id" in each) == [2, 6, 7]
    assert counts == {"counts": {"taken": 3, "refused": 2, "duplicates": 2}}


def test_a_list_longer_than_a_batch_is_taken_whole(system: System) -> None:
    """All of it is counted once, and its reader may leave before."""
    lines = b"".join(b"https://a.example/%d\n" % number for number in (*range(2500), 7))
    done = _run(system, _SUBMIT, b"-", stdin=lines)
    assert (done.returncode, len(set(done.stdout.split()))) == (0, 2500)
    assert b"Note: 2,500 taken, 0 refused, 1 duplicate.\n" in done.stderr


def test_a_file_that_is_missing_is_named(system: System, tmp_path: Path) -> None:
    """Nothing is submitted, also not the other arguments."""
    done = _run(system, _SUBMIT, b"https://a.example/", b"--file", b"none.txt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Error: The file 'none.txt' cannot be read: No such file or directory." in done.stderr


@pytest.mark.parametrize("data", [b"", b"# nothing\n\n"])
def test_a_file_without_a_url_is_named(system: System, tmp_path: Path, data: bytes) -> None:
    """As an empty list on standard input is."""
    (tmp_path / "empty.txt").write_bytes(data)
    done = _run(system, _SUBMIT, b"--file", b"empty.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert b"Error: There is no URL in 'empty.txt'." in done.stderr


def test_a_line_that_was_cut_off_is_refused_whole(system: System) -> None:
    """The URL at the cut would be another one, and those behind it would be lost."""
    line = b" ".join(b"https://a.example/%d" % number for number in range(2000))
    done = _run(system, _SUBMIT, stdin=line + b"\nhttps://b.example\n")
    assert (done.returncode, len(done.stdout.split())) == (2, 1)
    assert b"longer than" in done.stderr


def test_scan_opens_one_url(system: System) -> None:
    """Two in its argument are counted, not called an odd URL."""
    done = _run(system, _SAFEURL, b"scan", b"https://a.example/x http://b.example")
    assert done.returncode == 2
    assert b"This text holds 2 URLs" in done.stderr
    done = _run(system, _SAFEURL, b"scan", b"see http://127.0.0.1/ now")
    assert done.returncode == 2
    assert b"Note: Left out, because it is not a URL: see now\n" in done.stderr
    assert b"loopback" in done.stderr


@pytest.mark.parametrize("stdin", [b"", b"\n# nothing but words\n"])
def test_standard_input_without_a_url(system: System, stdin: bytes) -> None:
    """An empty list is wrong input, and gives an error."""
    done = _run(system, _SUBMIT, b"-", stdin=stdin)
    assert done.returncode == 2
    assert b"There is no URL on standard input." in done.stderr


def test_standard_input_that_is_closed(system: System) -> None:
    """A service manager may start us without one."""
    script = f"import os; os.execv({sys.executable!r}, [{sys.executable!r}, '-c', {_SUBMIT!r}])"
    done = _run(system, f"import os; os.close(0); {script}")
    assert done.returncode == 2
    assert b"Name at least one URL" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"REDIS_HOST=\xff\n", b"UTF-8"),
        (b"REDIS_HOST=a\0b\n", b"NUL"),
        (b"REDIS_PORT=many\n", b"REDIS_PORT"),
    ],
)
def test_a_dotenv_that_is_no_dotenv(
    system: System, tmp_path: Path, content: bytes, words: bytes
) -> None:
    """The faults of a settings file are named, exit 78."""
    (tmp_path / "x.env").write_bytes(content)
    system.environ["SAFEURL_ENV_FILE"] = "x.env"
    done = _run(system, _SAFEURL, b"list", cwd=tmp_path)
    assert done.returncode == 78
    assert words in done.stderr


def test_a_dotenv_sets_only_what_is_ours(system: System, tmp_path: Path) -> None:
    """Variables of other programs in it are ignored."""
    (tmp_path / "x.env").write_text("TMPDIR=/nowhere\nAPI_PORT=1234\n")
    system.environ["SAFEURL_ENV_FILE"] = "x.env"
    code = (
        "import os; from safeurl.cli.entry import read_settings; "
        "print(read_settings().api_port, os.environ.get('TMPDIR'))"
    )
    done = _run(system, code, cwd=tmp_path)
    assert done.stdout.split() == [b"1234", os.environ.get("TMPDIR", "None").encode()]


@pytest.mark.parametrize("command", ["worker", "scan"])
@pytest.mark.parametrize(
    "folder", ["/proc/nothing", "/dev/null", "x" * 100, "x" * 300, "~nobody-/x"]
)
def test_a_state_folder_that_cannot_be(tmp_path: Path, command: str, folder: str) -> None:
    """Exit 78 before anything starts, with the variable's name."""
    system = System(tmp_path, API_PORT="0")
    whole = folder if folder[0] in "/~" else f"{tmp_path}/{folder}"
    system.environ["SAFEURL_STATE_DIR"] = whole
    arguments = [b"https://example.com/"] if command == "scan" else []
    done = _run(system, _SAFEURL, command.encode(), *arguments)
    assert done.returncode == 78
    assert b"SAFEURL_STATE_DIR" in done.stderr


def test_a_reader_that_has_gone(system: System) -> None:
    """The exit code is that of any program with a broken pipe, without an error message."""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-c", _SAFEURL, "list"],
        env=system.environ,
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 141
    assert err == b""
