"""`REDIS_URL` and its related settings: what is accepted, and the messages for the rest."""

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import Settings
from safeurl.settings.redis_url import RedisPlace


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://h", RedisPlace(host="h")),
        ("redis://h:7000/3", RedisPlace(host="h", port=7000, database=3)),
        ("redis://h/", RedisPlace(host="h")),
        ("rediss://u:p%40%23@h", RedisPlace(host="h", username="u", password="p@#", is_tls=True)),  # noqa: S106 - of no server
        ("redis://:p@h", RedisPlace(host="h", password="p")),  # noqa: S106 - of no server
        ("redis://u@h", RedisPlace(host="h", username="u")),
        ("redis://[::1]:7000", RedisPlace(host="::1", port=7000)),
        ("unix:///run/v.sock", RedisPlace(path="/run/v.sock")),
    ],
)
def test_urls_that_are_read(url: str, place: RedisPlace) -> None:
    """Each part is in its field, and escapes are decoded."""
    settings = Settings.read({"REDIS_URL": url})
    assert settings.redis == place
    assert not settings.is_redis_embedded


def test_a_socket_has_user_and_database_too() -> None:
    """The user is before the path, and the database after it."""
    place = Settings.read({"REDIS_URL": "unix://u:p@/run/v.sock?db=2"}).redis
    assert place == RedisPlace(path="/run/v.sock", database=2, username="u", password="p")  # noqa: S106 - of no server


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"REDIS_URL": "http://h"}, "redis://, rediss:// or unix://"),
        ({"REDIS_URL": "h:6379"}, "redis://, rediss:// or unix://"),
        ({"REDIS_URL": "redis://"}, "names no host"),
        ({"REDIS_URL": "redis://h:99999"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h/x"}, "not a number"),
        ({"REDIS_URL": "redis://h/\u0663"}, "not a number"),
        ({"REDIS_URL": "redis://u:hunter2#x@h"}, "REDIS_URL"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=none"}, "options"),
        ({"REDIS_URL": "rediss://h?ssl_check_hostname=false"}, "options"),
        ({"REDIS_URL": "unix:///s?ssl_cert_reqs=none"}, "other than db"),
        ({"REDIS_URL": "unix://"}, "no socket"),
        ({"REDIS_URL": "unix://h/s"}, "no socket"),
        ({"REDIS_URL": "redis://h", "REDIS_HOST": "h"}, "not both"),
        ({"REDIS_URL": "redis://:hunter2@h", "REDIS_PASSWORD": "hunter2"}, "REDIS_PASSWORD"),
        ({"REDIS_URL": "redis://u:hunter2@h", "REDIS_USERNAME": "v"}, "REDIS_USERNAME"),
        ({"REDIS_URL": "redis://h", "REDIS_TLS_CA": __file__}, "rediss://"),
        ({"REDIS_HOST": "h", "REDIS_TLS_CA": __file__}, "rediss://"),
        ({"REDIS_TLS_CERT": __file__, "REDIS_TLS_KEY": __file__}, "rediss://"),
        ({"REDIS_URL": "rediss://h", "REDIS_TLS_CERT": __file__}, "together"),
        ({"REDIS_URL": "rediss://h", "REDIS_TLS_KEY": __file__}, "together"),
        ({"REDIS_URL": "rediss://h", "REDIS_TLS_CA": "/nowhere/ca"}, "No such file"),
    ],
)
def test_what_is_refused(environ: dict[str, str], words: str) -> None:
    """The message gives the reason and never shows a password."""
    with pytest.raises(ConfigError) as caught:
        Settings.read(environ)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_variables_add_what_a_url_leaves_out() -> None:
    """The URL then need not contain the password."""
    given = {"REDIS_URL": "redis://h", "REDIS_USERNAME": "u", "REDIS_PASSWORD": "p"}
    assert Settings.read(given).redis == RedisPlace(host="h", username="u", password="p")  # noqa: S106 - of no server


def test_a_password_is_in_no_text() -> None:
    """Neither of the settings nor of the place."""
    settings = Settings.read({"REDIS_URL": "redis://u:hunter2@h", "SAFEURL_STATE_DIR": "/x"})
    assert "hunter2" not in f"{settings!r} {settings.redis!r} {settings.redis}"


def test_without_any_the_queue_is_embedded() -> None:
    """It is in the state folder."""
    settings = Settings.read({"SAFEURL_STATE_DIR": "/x"})
    assert settings.is_redis_embedded
    assert settings.redis == RedisPlace(path="/x/valkey/valkey.sock")
