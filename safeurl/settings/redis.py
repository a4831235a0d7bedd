"""The settings of the queue."""

from dataclasses import replace

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from safeurl.settings.group import SettingsGroup
from safeurl.settings.redis_url import RedisPlace, parse_redis_url
from safeurl.settings.types import File


class RedisSettings(SettingsGroup):
    """The queue: one URL, or a host and a port, or neither for an embedded Valkey."""

    redis_host: str = Field(
        default="",
        alias="REDIS_HOST",
        description="Redis or Valkey server that only this SafeURL uses. Empty, with "
        "REDIS_URL empty too: an embedded Valkey in the state folder.",
    )
    redis_port: int = Field(
        default=6379, ge=1, le=65535, alias="REDIS_PORT", description="TCP port of REDIS_HOST."
    )
    redis_username: str = Field(
        default="",
        alias="REDIS_USERNAME",
        description="User at the Redis server. Empty: its default user.",
    )
    redis_password: SecretStr = Field(
        default=SecretStr(""),
        alias="REDIS_PASSWORD",
        description="Password at the Redis server. Empty: none.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        alias="REDIS_URL",
        description="Instead of REDIS_HOST: redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss: "
        "for TLS, or unix:///PATH[?db=DB].",
    )
    redis_tls_ca: File = Field(
        default="",
        alias="REDIS_TLS_CA",
        description="For rediss: the certificate authority of the server. Empty: those of the "
        "system.",
    )
    redis_tls_cert: File = Field(
        default="",
        alias="REDIS_TLS_CERT",
        description="For rediss: the client certificate that SafeURL shows.",
    )
    redis_tls_key: File = Field(
        default="",
        validate_default=True,
        alias="REDIS_TLS_KEY",
        description="For rediss: the key of REDIS_TLS_CERT.",
    )

    @field_validator("redis_url")
    @classmethod
    def _is_one_place(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        """Refuse an invalid URL, and a URL together with settings that it contains."""
        place = parse_redis_url(value.get_secret_value())
        if info.data.get("redis_host"):
            raise ValueError("set REDIS_URL or REDIS_HOST, not both")
        for name in ("username", "password"):
            given = info.data.get(f"redis_{name}")
            if getattr(place, name) and given and str(given):
                raise ValueError(f"it has a {name}, so REDIS_{name.upper()} must be empty")
        return value

    @field_validator("redis_tls_ca", "redis_tls_cert", "redis_tls_key")
    @classmethod
    def _needs_tls(cls, value: str, info: ValidationInfo) -> str:
        """Refuse files without TLS, and a certificate without its key or the reverse."""
        url = info.data.get("redis_url")
        if value and not (url and parse_redis_url(url.get_secret_value()).is_tls):
            raise ValueError("it is used with REDIS_URL=rediss://... only")
        if info.field_name == "redis_tls_key" and bool(value) != bool(
            info.data.get("redis_tls_cert")
        ):
            raise ValueError("REDIS_TLS_CERT and REDIS_TLS_KEY are set together or not at all")
        return value

    @property
    def is_redis_embedded(self) -> bool:
        """True if the queue is the embedded Valkey."""
        return self.own_redis is None

    @property
    def own_redis(self) -> RedisPlace | None:
        """The server that the settings name; None for the embedded one."""
        url = self.redis_url.get_secret_value()
        if not url and not self.redis_host:
            return None
        given = RedisPlace(host=self.redis_host, port=self.redis_port)
        place = parse_redis_url(url) if url else given
        return replace(
            place,
            username=place.username or self.redis_username,
            password=place.password or self.redis_password.get_secret_value(),
        )
