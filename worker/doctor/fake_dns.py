"""A fake DNS server: its names resolve to private addresses, each in another way. Pure."""

from dataclasses import dataclass
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

#: Stands for a public address: the doctor's own gateway has an exception for it.
PUBLIC: Final = "127.88.0.1"
PRIVATE: Final = "127.0.0.1"
_ZONE: Final = "doctor.test"

PUBLIC_NAME: Final = f"open.{_ZONE}"
#: Resolves to the public address at the first query, to the private one at every later query.
REBINDING_NAME: Final = f"rebinding.{_ZONE}"
#: Names that resolve to a private address at the first query.
PRIVATE_NAMES: Final = tuple(
    f"{each}.{_ZONE}" for each in ("private", "mixed", "cname", "aaaa-only", "mapped", "nat64")
)

#: Owner, type and data of each record in the response for a name.
_Records = tuple[tuple[str, str, tuple[str, ...]], ...]
_RECORDS: Final[dict[str, _Records]] = {
    PUBLIC_NAME: ((PUBLIC_NAME, "A", (PUBLIC,)),),
    PRIVATE_NAMES[0]: ((PRIVATE_NAMES[0], "A", (PRIVATE,)),),
    PRIVATE_NAMES[1]: ((PRIVATE_NAMES[1], "A", (PUBLIC, PRIVATE)),),
    PRIVATE_NAMES[2]: (
        (PRIVATE_NAMES[2], "CNAME", (f"{PRIVATE_NAMES[0]}.",)),
        (PRIVATE_NAMES[0], "A", (PRIVATE,)),
    ),
    PRIVATE_NAMES[3]: ((PRIVATE_NAMES[3], "AAAA", ("::1",)),),
    PRIVATE_NAMES[4]: ((PRIVATE_NAMES[4], "AAAA", (f"::ffff:{PRIVATE}",)),),
    PRIVATE_NAMES[5]: ((PRIVATE_NAMES[5], "AAAA", ("64:ff9b::7f00:1",)),),
}


@dataclass(slots=True)
class FakeDns:
    """Answers queries, and counts the IPv4 queries for the rebinding name."""

    rebinding_queries: int = 0

    def respond(self, query: dns.message.Message) -> dns.message.Message:
        """Return the response; a name that is not listed does not exist (NXDOMAIN)."""
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        wanted = query.question[0]
        kind = wanted.rdtype.name
        records = self._records(wanted.name.to_text(omit_final_dot=True).lower(), kind)
        if records is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return reply
        for owner, held, data in records:
            if held in {kind, "CNAME"}:
                reply.answer.append(dns.rrset.from_text(f"{owner}.", 0, "IN", held, *data))
        return reply

    def _records(self, name: str, kind: str) -> _Records | None:
        if name != REBINDING_NAME:
            return _RECORDS.get(name)
        self.rebinding_queries += kind == "A"
        return ((REBINDING_NAME, "A", (PUBLIC if self.rebinding_queries <= 1 else PRIVATE,)),)
