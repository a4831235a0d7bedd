"""A DNS that lies: names which lead inside, each in another way. Pure."""

from dataclasses import dataclass
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

#: Stands for a public address, since the doctor's own gateway is told to let it through.
PUBLIC: Final = "127.88.0.1"
PRIVATE: Final = "127.0.0.1"
_ZONE: Final = "doctor.test"

OPEN: Final = f"open.{_ZONE}"
#: Public when it is first asked for, private from then on.
REBINDING: Final = f"rebinding.{_ZONE}"
#: Names that lead inside at once.
LYING: Final = tuple(
    f"{each}.{_ZONE}" for each in ("private", "mixed", "cname", "aaaa-only", "mapped", "nat64")
)

#: Owner, type and data of each record that an answer about the name holds.
_Records = tuple[tuple[str, str, tuple[str, ...]], ...]
_RECORDS: Final[dict[str, _Records]] = {
    OPEN: ((OPEN, "A", (PUBLIC,)),),
    LYING[0]: ((LYING[0], "A", (PRIVATE,)),),
    LYING[1]: ((LYING[1], "A", (PUBLIC, PRIVATE)),),
    LYING[2]: ((LYING[2], "CNAME", (f"{LYING[0]}.",)), (LYING[0], "A", (PRIVATE,))),
    LYING[3]: ((LYING[3], "AAAA", ("::1",)),),
    LYING[4]: ((LYING[4], "AAAA", (f"::ffff:{PRIVATE}",)),),
    LYING[5]: ((LYING[5], "AAAA", ("64:ff9b::7f00:1",)),),
}


@dataclass(slots=True)
class LyingDns:
    """Answers queries, and counts how often the rebinding name was asked for."""

    asked: int = 0

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """Return the answer; names that are not listed do not exist."""
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
        if name != REBINDING:
            return _RECORDS.get(name)
        self.asked += kind == "A"
        return ((REBINDING, "A", (PUBLIC if self.asked <= 1 else PRIVATE,)),)
