"""The settings of the egress gateway and its address policy."""

from pydantic import Field

from safeurl.settings.group import SettingsGroup
from safeurl.settings.types import Cidrs, Ports, Resolvers, Users


class EgressSettings(SettingsGroup):
    """The exceptions from the address policy, the gateway, and the limits of each scan."""

    egress_allow_cidrs: Cidrs = Field(
        default=(),
        alias="EGRESS_ALLOW_CIDRS",
        description="Exceptions from the address policy, for labs and tests only. A network "
        "of this host is opened only by an exception that is equal to it or a "
        "part of it.",
    )
    egress_deny_cidrs: Cidrs = Field(
        default=(),
        alias="EGRESS_DENY_CIDRS",
        description="More addresses that no scan may reach. The addresses, links and routes "
        "of this host are always refused. Add what the host cannot know: the "
        "public ranges of the site, and its public address behind NAT.",
    )
    egress_allow_ports: Ports = Field(
        default=(),
        alias="EGRESS_ALLOW_PORTS",
        description="More ports that a scan may reach, besides 80, 443 and the safe ones from "
        "1024 up.",
    )
    egress_deny_ports: Ports = Field(
        default=(), alias="EGRESS_DENY_PORTS", description="More ports that no scan may reach."
    )
    egress_dns64: bool = Field(
        default=False,
        alias="EGRESS_DNS64",
        description="For networks with DNS64. true: an address in 64:ff9b::/96 is checked by "
        "the IPv4 address in it. false: it is refused.",
    )
    egress_allow_sni_mismatch: bool = Field(
        default=False,
        alias="EGRESS_ALLOW_SNI_MISMATCH",
        description="Whether a TLS connection may name another host than the one that it was "
        "opened to. true weakens the isolation: the record then does not say "
        "which site was reached.",
    )
    egress_dir: str = Field(
        default="",
        alias="EGRESS_DIR",
        description="Folder of a gateway that runs by itself (`safeurl gateway`). Empty: the "
        "worker starts a gateway, with its folder in the state folder.",
    )
    egress_control_users: Users = Field(
        default=(),
        alias="EGRESS_CONTROL_USERS",
        description="Users, by name or number, that may control the egress gateway, besides "
        "root and the gateway's own user. A user id of the sandboxes is refused.",
    )
    egress_resolver: Resolvers = Field(
        default=(),
        alias="EGRESS_RESOLVER",
        description="DNS servers of the egress gateway, each an address with or without a "
        "port. Empty: those of /etc/resolv.conf.",
    )
    egress_max_connections: int = Field(
        default=512,
        ge=1,
        # As many as the gateway's record holds, so that it can hold every connection made.
        le=512,
        alias="EGRESS_MAX_CONNECTIONS",
        description="Limit of connections that a scan may ask for, refused ones included.",
    )
    egress_max_concurrent: int = Field(
        default=64,
        ge=1,
        le=1024,
        alias="EGRESS_MAX_CONCURRENT",
        description="Limit of connections that a scan may have open at the same time.",
    )
    egress_max_mb: int = Field(
        default=128,
        ge=1,
        le=65_536,
        alias="EGRESS_MAX_MB",
        description="Limit of the data on all connections of a scan together, for each direction.",
    )
    egress_max_mb_per_second: int = Field(
        default=64,
        ge=1,
        le=65_536,
        alias="EGRESS_MAX_MB_PER_SECOND",
        description="Limit of the data rate on all connections of a scan together, for each "
        "direction. Data above it waits.",
    )
    egress_unbound_seconds: int = Field(
        default=900,
        ge=1,
        le=86_400,
        alias="EGRESS_UNBOUND_SECONDS",
        description="Time after which the gateway removes a socket that no scan uses.",
    )
