"""Settings: read once from a mapping, all faults at once, documented without gaps."""

from pathlib import Path

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import Settings
from tests.support.env_example import FILE, OWN_OF_UNITS, env_example

ROOT = Path(__file__).parents[3]

#: The names the issue that began the project asks for, with their defaults.
PROMISED = {
    "TURSO_CONNECTION_URL": "",
    "TURSO_AUTH_TOKEN": "",
    "REDIS_HOST": "",
    "REDIS_PORT": "6379",
    "REDIS_PASSWORD": "",
    "DOCKER_SOCKET_PATH": "/var/run/docker.sock",
    "FETCHER_IMAGE": "safeurl-fetcher:latest",
    "WORKER_CONCURRENCY": "5",
    "CONTAINER_TIMEOUT_MS": "30000",
    "CONTAINER_MEMORY_LIMIT_MB": "512",
    "CONTAINER_CPU_LIMIT": "0.5",
}


def _variables(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_env_example_is_written_from_the_fields() -> None:
    """The committed file equals the generated one."""
    assert FILE.read_text() == env_example()


def test_env_example_holds_what_was_promised() -> None:
    """Each promised variable is in the file with its default."""
    assert PROMISED.items() <= _variables(env_example()).items()


def test_env_example_reads_as_the_defaults() -> None:
    """Copying the example unchanged changes nothing."""
    assert Settings.read(_variables(env_example())) == Settings.read({})


def test_a_copy_of_the_example_overrides_no_unit() -> None:
    """A settings file would override the Environment= of a unit, also with an empty value."""
    units = (ROOT / "docker" / "systemd").glob("*.service")
    lines = [line for unit in units for line in unit.read_text().splitlines()]
    own = {
        word.partition("=")[0]
        for line in lines
        if line.startswith("Environment=")
        for word in line.removeprefix("Environment=").split()
    }
    own.remove("SAFEURL_ENV_FILE")  # not a setting: it means that no file is read
    assert own == OWN_OF_UNITS
    assert not own & _variables(env_example()).keys()
    assert all(f"\n#{name}=" in env_example() for name in own)


def test_every_fault_is_reported_at_once() -> None:
    """Three wrong settings give three sentences, each naming its variable."""
    wrong = {
        "REDIS_PORT": "many",
        "WORKER_CONCURRENCY": "0",
        "EGRESS_ALLOW_CIDRS": "10.0.0.0/8,house",
    }
    with pytest.raises(ConfigError) as caught:
        Settings.read(wrong)
    assert sorted(fault.split(":")[0] for fault in caught.value.faults) == sorted(wrong)


def test_a_fault_never_shows_a_secret() -> None:
    """The given secret is in no error and not in the settings' text."""
    with pytest.raises(ConfigError) as caught:
        Settings.read({"REDIS_PASSWORD": "hunter2", "REDIS_PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Settings.read({"REDIS_PASSWORD": "hunter2"}))


def test_deadlines_nest() -> None:
    """Fetch < container < attempt < RQ's job, for the shortest and the longest timeout."""
    for timeout in ("1000", "30000", "600000"):
        settings = Settings.read({"CONTAINER_TIMEOUT_MS": timeout})
        nested = [
            settings.fetch_timeout,
            settings.container_timeout,
            settings.attempt_timeout,
            settings.job_timeout,
        ]
        assert nested == sorted(set(nested))


def test_an_empty_value_counts_as_not_set() -> None:
    """`REDIS_PORT=` in a file means the default."""
    assert Settings.read({"REDIS_PORT": ""}).redis_port == 6379


def test_two_folders_are_two_instances() -> None:
    """Installations on one engine distinguish their containers by their state folder."""
    one, two = (Settings.read({"SAFEURL_STATE_DIR": path}) for path in ("/a", "/b"))
    assert one.instance != two.instance


def test_the_gateways_folder_tells_installations_in_containers_apart() -> None:
    """Their state folders have one path; a folder for one command's gateway changes nothing."""
    state = {"SAFEURL_STATE_DIR": "/var/lib/safeurl"}
    own, inside, unit, compose = (
        Settings.read({**state, "EGRESS_DIR": folder}).instance
        for folder in ("", "/var/lib/safeurl/egress-1", "/run/egress", "/var/lib/safeurl-egress")
    )
    assert own == inside
    assert len({own, unit, compose}) == 3


def test_gvisor_on_the_bridge_is_a_fault_that_names_both_settings() -> None:
    """As sandboxes need it gVisor has no network; `auto` and other runtimes may have the bridge."""
    bridge = {"CONTAINER_NETWORK": "bridge"}
    with pytest.raises(ConfigError) as caught:
        Settings.read({**bridge, "CONTAINER_RUNTIME": "runsc"})
    (fault,) = caught.value.faults
    assert "CONTAINER_RUNTIME" in fault
    assert "CONTAINER_NETWORK" in fault
    for runtime in ("auto", "runc", "kata"):
        allowed = Settings.read({**bridge, "CONTAINER_RUNTIME": runtime})
        assert allowed.container_runtime == runtime
