"""How much work a backup's database may cost before it is given up."""

from dataclasses import dataclass

_MIB = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each limit grows with the size of the database: checking it costs that much more.

    Measured on small scans: 20 MiB a second, and a step of SQLite's for every four bytes.
    """

    #: Seconds for every wait: for the verdict on the database, and for the next blob's name.
    base_s: float = 60.0
    bytes_per_s: int = _MIB
    #: Instructions of SQLite's virtual machine.
    base_steps: int = 50_000_000
    steps_per_byte: int = 10
    #: Address space of the process that opens it.
    memory_bytes: int = 2048 * _MIB
    #: Temporary files of SQLite's, beyond the size of the database.
    base_file_bytes: int = 64 * _MIB
    #: One value of a row; the largest that SafeURL stores are documents of a few MiB.
    max_value_bytes: int = 64 * _MIB

    def seconds(self, size_bytes: int) -> float:
        """Return for how long a database of this size is waited for."""
        return self.base_s + size_bytes / self.bytes_per_s

    def steps(self, size_bytes: int) -> int:
        """Return how many instructions SQLite may run over a database of this size."""
        return self.base_steps + size_bytes * self.steps_per_byte

    def file_bytes(self, size_bytes: int) -> int:
        """Return how large a temporary file may grow."""
        return self.base_file_bytes + 2 * size_bytes
