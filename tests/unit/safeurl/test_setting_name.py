"""Names that are nearly a setting: which one was meant, and which are other programs' own."""

import pytest

from safeurl.settings.core import SETTING_NAMES
from safeurl.settings.names import faults_of_environment, meant_in_environment, meant_in_file

#: What was written, and what was meant: stops a command from a file and from the environment.
_MISSPELT = {
    "WORKER_CONCURENCY": "WORKER_CONCURRENCY",
    "worker_concurrency": "WORKER_CONCURRENCY",
    "Worker-Concurrency": "WORKER_CONCURRENCY",
    "\ufeffWORKER_CONCURRENCY": "WORKER_CONCURRENCY",
    "WORKER_\u200bCONCURRENCY": "WORKER_CONCURRENCY",
    "WORKER\u00a0CONCURRENCY": "WORKER_CONCURRENCY",
    "\u2060EGRESS_DENY_CIDRS\u00ad": "EGRESS_DENY_CIDRS",
    "EGRESS_DENY_CIDRS..": "EGRESS_DENY_CIDRS",
    "EGRES_DENY_CIDR": "EGRESS_DENY_CIDRS",
    "ERGESS_DENY_CIDRS": "EGRESS_DENY_CIDRS",
    "EGRESS_DENY_C\u0406DRS": "EGRESS_DENY_CIDRS",
    "EGRE\u0405\u0405_DENY_CIDR\u0405": "EGRESS_DENY_CIDRS",
    "\u0395GR\u0395SS_D\u0395N\u03a5_C\u0399DRS": "EGRESS_DENY_CIDRS",
    "\u0415GR\u0415SS_D\u0415N\u0423_\u0421ID\u0420S": "EGRESS_DENY_CIDRS",
    "\u0430\u0440\u0456_\u043d\u043e\u0455\u0442": "API_HOST",
    "\uff25\uff27\uff32\uff25\uff33\uff33_DENY_CIDRS": "EGRESS_DENY_CIDRS",
    "API_HSOT": "API_HOST",
    "\u0410PI_HOST": "API_HOST",
    "LOG_LEVL": "LOG_LEVEL",
    "FETCHER_AGENT": "FETCH_USER_AGENT",
    "redis_url": "REDIS_URL",
    "CONTAINR_NETWORKS": "CONTAINER_NETWORK",
    "SAFEURL_STATEDIR": "SAFEURL_STATE_DIR",
    "SAFEURL_ENVFILE": "SAFEURL_ENV_FILE",
    "SAFEURL_API_PORT": "API_PORT",
    "safeurl_state_dir": "SAFEURL_STATE_DIR",
    "DENY_CIDRS": "EGRESS_DENY_CIDRS",
    "deny_cidrs": "EGRESS_DENY_CIDRS",
    "DENY_PORTS": "EGRESS_DENY_PORTS",
    "SAFEURL_DENY_CIDRS": "EGRESS_DENY_CIDRS",
    "SAFEURL_EGRESS_BLOCK_CIDRS": "EGRESS_DENY_CIDRS",
    "SAFEURL_BLOCK_IPS": "EGRESS_DENY_CIDRS",
    "EGRESS_BLOCK_CIDRS": "EGRESS_DENY_CIDRS",
    "EGRESS_BLOCKED_PORTS": "EGRESS_DENY_PORTS",
    "EGRESS_DENIED_CIDRS": "EGRESS_DENY_CIDRS",
    "EGRESS_DENY_NETWORKS": "EGRESS_DENY_CIDRS",
    "EGRESS_EXCLUDE_IPS": "EGRESS_DENY_CIDRS",
    "EGRESS_PERMIT_PORTS": "EGRESS_ALLOW_PORTS",
    "EGRESS_WHITELIST_CIDRS": "EGRESS_ALLOW_CIDRS",
    "egress-forbid-subnets": "EGRESS_DENY_CIDRS",
}
#: Those that only a settings file is stopped for.
_MISSPELT_IN_FILE = {
    "EGRESS_BLOCK": "EGRESS_DENY_CIDRS",
    "EGRESS_DENY": "EGRESS_DENY_CIDRS",
    "EGRESS_DENYLIST": "EGRESS_DENY_CIDRS",
    "EGRESS_WHITELIST": "EGRESS_ALLOW_CIDRS",
    "ALLOW_CIDRS": "EGRESS_ALLOW_CIDRS",
    "ALLOW_PORTS": "EGRESS_ALLOW_PORTS",
    "BLOCK_CIDRS": "EGRESS_DENY_CIDRS",
    "BLOCKED_IPS": "EGRESS_DENY_CIDRS",
    "DENY_CIDR": "EGRESS_DENY_CIDRS",
    "DENY_NETWORKS": "EGRESS_DENY_CIDRS",
    "CONTROL_USERS": "EGRESS_CONTROL_USERS",
    "WORKER_PROCESSES": "WORKER_CONCURRENCY",
    "TURSO_DATABASE_URL": "TURSO_CONNECTION_URL",
    "CONTAINER_TIMEOUT_SECONDS": "CONTAINER_TIMEOUT_MS",
    "MAX_BODY": "MAX_BODY_MB",
    "LEASE_MS": "LEASE_SECONDS",
    "TURSO_URL": "TURSO_CONNECTION_URL",
    "TURSO_TOKEN": "TURSO_AUTH_TOKEN",
    "EGRESS_PORTS": "EGRESS_DENY_PORTS",
    "AIP_HOST": "API_HOST",
    "PI_HOST": "API_HOST",
    "APPI_PORT": "API_PORT",
    "LOGLEVEL": "LOG_LEVEL",
}
_OTHERS = (
    *("API_KEY", "COMPOSE_PROJECT_NAME", "CONTAINER_HOST", "CONTAINER_NAME", "DOCKER_GID"),
    *("DOCKER_HOST", "HOME", "LC_ALL", "LOG_FORMAT", "MAX_CONNECTIONS", "PATH", "REDIS_SENTINEL"),
    *("APP_HOST", "APP_PORT", "APT_HOST", "APPHOST", "app_port", "ADMIN_HOST", "APP_ALLOWED_HOSTS"),
    *("ALLOWED_HOSTS", "CPU_LIMIT", "MEMORY_LIMIT_MB", "TIMEOUT_MS", "STATE_DIR", "CIDRS"),
    *("APP_MAX_CONNECTIONS", "LOB_LEVEL", "MIN_REDIRECTS", "PORT", "HOST", "APP_ENV", "NODE_ENV"),
    *("DATABASE_URL", "DB_HOST", "DB_PORT", "DB_PASSWORD", "DEBUG", "SECRET_KEY", "AWS_REGION"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "API_URL", "API_TOKEN"),
    *(
        "LOG_FILE",
        "LOG_DIR",
        "LOG_COLOR",
        "MAX_WORKERS",
        "WEB_CONCURRENCY",
        "WEB_PORT",
        "HTTP_PORT",
    ),
    *("PGHOST", "PGPORT", "POSTGRES_PASSWORD", "RABBITMQ_HOST", "CELERY_BROKER_URL", "HTTP_PORT"),
    *("COMPOSE_FILE", "COMPOSE_PROFILES", "DOCKER_BUILDKIT", "HTTPS_PROXY", "NO_PROXY", "TZ"),
    *("PYTHONUNBUFFERED", "OPENAI_API_KEY", "SENTRY_DSN", "JWT_SECRET", "S3_BUCKET", "REDIS_DB"),
    *("VITE_API_URL", "NEXT_PUBLIC_API_URL", "IMAGE_TAG", "MAIL_PORT", "FLASK_APP", "RAILS_ENV"),
    *("REDIS_API_PASSWORD", "REDIS_TLS_URL", "REDIS_USER", "REDIS_WORKER_PASSWORD", "_", "", "x"),
)


@pytest.mark.parametrize("name", _MISSPELT)
def test_a_slip_is_recognised_wherever_it_stands(name: str) -> None:
    """In a file and in the environment, whatever hides it from a reader."""
    assert meant_in_file(name) == _MISSPELT[name]
    assert meant_in_environment(name, "1") == _MISSPELT[name]


@pytest.mark.parametrize("name", _MISSPELT_IN_FILE)
def test_a_file_of_ours_is_read_more_strictly(name: str) -> None:
    """In the environment such a name may be another program's."""
    assert meant_in_file(name) == _MISSPELT_IN_FILE[name]
    assert meant_in_environment(name, "1") is None


@pytest.mark.parametrize("name", [*_OTHERS, *sorted(SETTING_NAMES), "SAFEURL_ENV_FILE"])
def test_settings_and_other_programs_names_pass(name: str) -> None:
    """No setting is taken for another one, and no other program is shut out."""
    assert meant_in_file(name) is None
    assert meant_in_environment(name, "1") is None


@pytest.mark.parametrize("name", sorted(SETTING_NAMES))
def test_one_slip_anywhere_in_any_setting_is_recognised(name: str) -> None:
    """A letter left out, doubled, swapped or small; a short one may be nearer to another then."""
    for at, letter in enumerate(name):
        swapped = name[:at] + name[at + 1 : at + 2] + letter + name[at + 2 :]
        for slip in (name[:at] + name[at + 1 :], name[:at] + letter + name[at:], swapped):
            if slip not in SETTING_NAMES and letter != "_":
                assert meant_in_file(slip) is not None
    assert meant_in_environment(name.lower(), "1") == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAFEURL_SERVICE_HOST", "10.0.0.1"),
        ("SAFEURL_SERVICE_PORT_HTTP", "8321"),
        ("SAFEURL_PORT", "tcp://10.0.0.1:8321"),
        ("SAFEURL_PORT_8321_TCP_ADDR", "10.0.0.1"),
        ("SAFEURL_API_PORT", "tcp://10.0.0.1:8321"),
        ("SAFEURL_STATEDIR", ""),
    ],
)
def test_what_kubernetes_sets_is_nobodys_slip(name: str, value: str) -> None:
    """It is for a service that is called `safeurl`; an empty variable counts as not set."""
    assert meant_in_environment(name, value) is None


def test_the_sentence_shows_what_cannot_be_seen() -> None:
    """Both names, the written one with its invisible characters escaped."""
    environ = {"\ufeffEGRESS_DENY_CIDRS": "10.0.0.0/8", "PATH": "/bin", "LOG_LEVL": "DEBUG"}
    nearest = "is not a setting; the nearest is"
    assert list(faults_of_environment(environ)) == [
        f"The environment: LOG_LEVL {nearest} LOG_LEVEL.",
        f"The environment: \\ufeffEGRESS_DENY_CIDRS {nearest} EGRESS_DENY_CIDRS.",
    ]
