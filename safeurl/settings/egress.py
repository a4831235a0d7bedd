"""The settings of the egress gateway and its address policy."""

from pydantic import Field

from safeurl.settings.group import SettingsGroup
from safeurl.settings.types import Cidrs, Ports, Resolvers, Users


class EgressSettings(SettingsGroup):
    """The exceptions from the address policy, the gateway, and the limits of each scan."""

    egress_allow_cidrs: Cidrs = Field(
        default=(),
        alias="EGRESS_ALLOW_CIDRS",
        description="Exceptions from the address policy, for labs and tests only. A network of "
        "this host is opened only by an exception that names it or a part of it.",
    )
    egress_deny_cidrs: Cidrs = Field(
        default=(),
        alias="EGRESS_DENY_CIDRS",
        description="More address ranges that no scan may reach. This host's addresses, links and "
        "routes are refused without it. What it cannot know belongs here: the site's public "
        "ranges, and its public address behind NAT.",
    )
    egress_allow_ports: Ports = Field(
        default=(),
        alias="EGRESS_ALLOW_PORTS",
        description="Ports let through besides 80, 443 and the safe ones from 1024 up.",
    )
    egress_deny_ports: Ports = Field(
        default=(), alias="EGRESS_DENY_PORTS", description="More ports that no scan may reach."
    )
    egress_dns64: bool = Field(
        default=False,
        alias="EGRESS_DNS64",
        description="For networks with DNS64: judge addresses in 64:ff9b::/96 by the IPv4 address "
        "in them, where they are refused otherwise.",
    )
    egress_allow_sni_mismatch: bool = Field(
        default=False,
        alias="EGRESS_ALLOW_SNI_MISMATCH",
        description="Let a TLS connection name another host than the one it was opened to. It "
        "weakens a wall: the record then no longer says which site was reached.",
    )
    egress_dir: str = Field(
        default="",
        alias="EGRESS_DIR",
        description="Folder of a gateway that a unit of its own runs (`safeurl gateway`). Empty: "
        "the worker runs one, in the state folder.",
    )
    egress_control_users: Users = Field(
        default=(),
        alias="EGRESS_CONTROL_USERS",
        description="Users, by name or number, that may command the egress gateway besides root "
        "and its own. One that a sandbox may have is refused.",
    )
    egress_resolver: Resolvers = Field(
        default=(),
        alias="EGRESS_RESOLVER",
        description="DNS servers of the egress gateway, each an address with or without a port. "
        "Empty: those of /etc/resolv.conf.",
    )
    egress_max_connections: int = Field(
        default=512,
        ge=1,
        # As many as the gateway's record holds, so that it can hold every connection made.
        le=512,
        alias="EGRESS_MAX_CONNECTIONS",
        description="Connections a scan may ask for, refused ones included.",
    )
    egress_max_concurrent: int = Field(
        default=64,
        ge=1,
        le=1024,
        alias="EGRESS_MAX_CONCURRENT",
        description="Connections a scan may have open at a time.",
    )
    egress_max_mb: int = Field(
        default=128,
        ge=1,
        le=65_536,
        alias="EGRESS_MAX_MB",
        description="MiB that all connections of a scan may carry, counted each way.",
    )
    egress_max_mb_per_second: int = Field(
        default=64,
        ge=1,
        le=65_536,
        alias="EGRESS_MAX_MB_PER_SECOND",
        description="MiB per second that all connections of a scan may carry, each way. "
        "More than that waits.",
    )
    egress_unbound_seconds: int = Field(
        default=900,
        ge=1,
        le=86_400,
        alias="EGRESS_UNBOUND_SECONDS",
        description="After this long a gateway socket that was given to no scan is removed.",
    )
