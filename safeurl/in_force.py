"""The settings in force: those of the running system, if one runs, and the differences to ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from pydantic import SecretStr

from safeurl.model.records.running import Running
from safeurl.settings import Settings
from safeurl.settings.redis_url import RedisPlace, parse_redis_url

_FIELDS = {str(field.alias): name for name, field in Settings.model_fields.items()}
#: Not compared: both sides name the folder of the record, perhaps by different paths.
_OUR_OWN = frozenset({"SAFEURL_STATE_DIR"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that differs between this process and the running system; secrets are hidden."""

    name: str
    here: str
    there: str

    def __str__(self) -> str:
        """Return both values."""
        return f"{self.name}={self.there} there, {self.name}={self.here} here"


def describe(settings: Settings, *, command: str, pid: int, file: str) -> Running:
    """Return the record of a running system."""
    secrets = tuple(name for name, value in _secrets(settings).items() if value)
    return Running(command=command, pid=pid, file=file, settings=_shown(settings), secrets=secrets)


def differences(own: Settings, running: Running) -> tuple[Difference, ...]:
    """Return the settings that differ between this process and the running system."""
    here = _shown(own)
    found = [
        Difference(name, here.get(name, ""), running.settings.get(name, ""))
        for name in sorted((here.keys() | running.settings.keys()) - _OUR_OWN)
        if here.get(name, "") != running.settings.get(name, "")
    ]
    own_secrets = _secrets(own)
    found += [
        Difference(name, _is_set(own_secrets[name]), _is_set(name in running.secrets))
        for name in sorted(own_secrets)
        if bool(own_secrets[name]) != (name in running.secrets) and name not in here
    ]
    return tuple(found)


def in_force(own: Settings, running: Running) -> Settings:
    """Return the running system's settings, with our value of each secret that it has set.

    Raise ConfigError if its values cannot be used here, for example a file that we may not read.
    """
    given = {name: value for name, value in running.settings.items() if name not in _OUR_OWN}
    secrets = {name: value for name, value in _secrets(own).items() if name in running.secrets}
    if given.get("REDIS_URL") == _shown(own)["REDIS_URL"]:
        given.pop("REDIS_URL", None)
    else:
        secrets.pop("REDIS_URL", None)
    return Settings.read({**given, **secrets, "SAFEURL_STATE_DIR": str(own.state_dir)})


def _shown(settings: Settings) -> dict[str, str]:
    """Return every setting by its variable, as text that `Settings.read` takes; no secrets."""
    values: Mapping[str, object] = {name: getattr(settings, key) for name, key in _FIELDS.items()}
    shown = {
        name: _text(value) for name, value in values.items() if not isinstance(value, SecretStr)
    }
    shown["EGRESS_DIR"] = str(settings.gateway_dir) if settings.egress_dir else ""
    url = settings.redis_url.get_secret_value()
    shown["REDIS_URL"] = _without_password(parse_redis_url(url)) if url else ""
    return shown


def _secrets(settings: Settings) -> dict[str, str]:
    values = {name: getattr(settings, key) for name, key in _FIELDS.items()}
    return {
        name: value.get_secret_value()
        for name, value in values.items()
        if isinstance(value, SecretStr)
    }


def _without_password(place: RedisPlace) -> str:
    """Return the address of the server as a `REDIS_URL` without its password."""
    bare = replace(place, password="")
    user = f"{quote(bare.username, safe='')}@" if bare.username else ""
    if bare.path:
        return f"unix://{user}{quote(bare.path)}?db={bare.database}"
    return f"{'rediss' if bare.is_tls else 'redis'}://{user}{bare}/{bare.database}"


def _is_set(value: object) -> str:
    return "(set)" if value else ""


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
