"""Changes to the audit trail of `tampering`, and the faults that `verify` must find."""

from collections.abc import Sequence

#: A row's columns, for an INSERT that gives the copy another id.
COPY = (
    "scan_id, event, version, attempt, from_state, to_state, actor, outcome, detail, at"
    " FROM audit_logs"
)
#: Sets one of SQLite's counters.
SET_BACK = "UPDATE sqlite_sequence SET seq = {} WHERE name = 'audit_{}'"

#: The statements of each, and all faults that `verify` then finds; `…` stands for more of the same.
#: Scans go by the name of S.
TAMPERING_CASES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "nothing": ((), ()),
    "row edited": (
        ["UPDATE audit_logs SET actor = 'nobody' WHERE id = 10"],
        [
            "Row 10 (scan S) is not what was sealed.",
            "Scan S: Attempt 1 has owner worker-1, but its trail says nobody.",
        ],
    ),
    "row edited to what nobody writes": (
        ["UPDATE audit_logs SET to_state = 'DONE' WHERE id = 12"],
        [
            "Row 12 (scan S) is not what was sealed.",
            "Scan S: Entry 12 is none that SafeURL writes: 'DONE' is not a valid State.",
            (
                "Scan S: It is COMPLETED at version 3, but its trail ends with entry 11: "
                "ANALYZING at version 2."
            ),
        ],
    ),
    "row deleted": (
        ["DELETE FROM audit_logs WHERE id = 11"],
        [
            "Row 11 is missing, deleted after the sealing.",
            "Scan S: Entry 12 starts from ANALYZING, not FETCHING.",
            "Scan S: Entry 12 has version 3 after 1.",
        ],
    ),
    "a scan's rows deleted": (
        ["DELETE FROM audit_logs WHERE id BETWEEN 9 AND 12"],
        [
            "Rows 9 to 12 are missing, deleted after the sealing.",
            "Scan S: The trail has no entries.",
        ],
    ),
    "scan and rows deleted": (
        [
            "DELETE FROM scan_results WHERE scan_id = (SELECT scan_id FROM audit_logs WHERE id=9)",
            "DELETE FROM scan_jobs WHERE id = (SELECT scan_id FROM audit_logs WHERE id = 9)",
            "DELETE FROM audit_logs WHERE id BETWEEN 9 AND 12",
        ],
        ["Rows 9 to 12 are missing, deleted after the sealing."],
    ),
    "rows swapped": (
        [
            "UPDATE audit_logs SET id = -10 WHERE id = 10",
            "UPDATE audit_logs SET id = 10 WHERE id = 15",
            "UPDATE audit_logs SET id = 15 WHERE id = -10",
        ],
        [
            "Rows 10 and 15 have changed places.",
            "Scan S: Entry 11 starts from FETCHING, not QUEUED.",
            "Scan S: Entry 11 has version 2 after 0.",
            "Scan S: Entry 15 starts from QUEUED, not COMPLETED.",
            "Scan S: Entry 15 has version 1 after 3.",
            (
                "Scan S: It is COMPLETED at version 3, but its trail ends with entry 15: "
                "FETCHING at version 1."
            ),
            "Scan S: Entry 10 is not a submission at version 0.",
            "Scan S: Entry 13 starts from None, not ANALYZING.",
            "Scan S: Entry 13 has version 0 after 2.",
            "Scan S: Entry 16 starts from ANALYZING, not FETCHING.",
            "Scan S: Entry 16 has version 3 after 1.",
        ],
    ),
    "rows of one kind swapped over seals": (
        [
            "UPDATE audit_logs SET id = -4 WHERE id = 4",
            "UPDATE audit_logs SET id = 4 WHERE id = 24",
            "UPDATE audit_logs SET id = 24 WHERE id = -4",
        ],
        ["Rows 4 and 24 have changed places.", "…"],
    ),
    "row put in and the rest moved on": (
        [
            "UPDATE audit_logs SET id = -id WHERE id > 22",
            "UPDATE audit_logs SET id = 1 - id WHERE id < 0",
            f"INSERT INTO audit_logs SELECT 23, {COPY} WHERE id = 2",
        ],
        [
            "Row 23 (scan S) was put in: what was sealed there is row 24 now.",
            "Row 24 (scan S) was sealed as row 23: it was moved.",
            "What was sealed as row 24 is gone.",
            "Scan S: Entry 23 starts from QUEUED, not COMPLETED.",
            "…",
        ],
    ),
    "row taken out and the rest moved up": (
        [
            "DELETE FROM audit_logs WHERE id = 21",
            "UPDATE audit_logs SET id = -id WHERE id > 21",
            "UPDATE audit_logs SET id = -id - 1 WHERE id < 0",
            SET_BACK.format(28, "logs"),
        ],
        [
            "Row 21 (scan S) was sealed as row 22: it was moved.",
            "What was sealed as row 21 is gone.",
            "Row 22 (scan S) was sealed as row 23: it was moved.",
            "Row 23 (scan S) was sealed as row 24: it was moved.",
            "Row 24 (scan S) was put in: what was sealed there is row 23 now.",
            "Scan S: Entry 21 is not a submission at version 0.",
        ],
    ),
    "rows put in before the first": (
        [
            f"INSERT INTO audit_logs SELECT 0, {COPY} WHERE id = 29",
            f"INSERT INTO audit_logs SELECT -7, {COPY} WHERE id = 29",
        ],
        [
            "Row -7 (scan S) was put in before the first.",
            "Row 0 (scan S) was put in before the first.",
        ],
    ),
    "a step forged at the tail": (
        [
            (
                "INSERT INTO audit_logs"
                " (scan_id, event, version, attempt, from_state, to_state, actor, at)"
                " SELECT scan_id, 'transition', 2, 1, 'FETCHING', 'ANALYZING', actor, at"
                " FROM audit_logs WHERE id = 26"
            )
        ],
        [
            (
                "Scan S: It is FETCHING at version 1, but its trail ends with entry 30: "
                "ANALYZING at version 2."
            )
        ],
    ),
    "a row put in far off": (
        [f"INSERT INTO audit_logs SELECT 100, {COPY} WHERE id = 29"],
        ["Rows 30 to 99 are missing; not sealed yet."],
    ),
    "a row put in above the count": (
        [
            f"INSERT INTO audit_logs SELECT 100, {COPY} WHERE id = 29",
            SET_BACK.format(29, "logs"),
        ],
        ["Row 100 (scan S) was put in: only 29 were counted."],
    ),
    "the count set back below the seals": (
        [SET_BACK.format(22, "logs")],
        [
            "Rows are sealed to 24, but only 22 were counted.",
            *(f"Row {row} (scan S) was put in: only 22 were counted." for row in range(25, 30)),
        ],
    ),
    "an unsealed row deleted": (
        ["DELETE FROM audit_logs WHERE id = 27"],
        [
            "Row 27 is missing; not sealed yet.",
            "Scan S: Entry 28 is not a submission at version 0.",
        ],
    ),
    "the tail cut off": (
        ["DELETE FROM audit_logs WHERE id >= 28"],
        [
            "Rows 28 to 29 are missing: the tail of the trail was cut off.",
            (
                "Scan S: It is FETCHING at version 1, but its trail ends with entry 27: "
                "QUEUED at version 0."
            ),
            "Scan S: Attempt 1 has a row, but nobody claimed it.",
        ],
    ),
    "the tail cut off and the count set back": (
        ["DELETE FROM audit_logs WHERE id >= 28", SET_BACK.format(27, "logs")],
        [
            (
                "Scan S: It is FETCHING at version 1, but its trail ends with entry 27: "
                "QUEUED at version 0."
            ),
            "Scan S: Attempt 1 has a row, but nobody claimed it.",
        ],
    ),
    "the tail cut off into the seals": (
        ["DELETE FROM audit_logs WHERE id >= 23", SET_BACK.format(22, "logs")],
        [
            "Rows 23 to 24 are missing, deleted after the sealing.",
            "Rows are sealed to 24, but only 22 were counted.",
            "…",
        ],
    ),
    "rows and seals cut off": (
        [
            "DELETE FROM audit_logs WHERE id > 16",
            "DELETE FROM audit_seals WHERE number > 2",
        ],
        [
            "Seal 3 is missing.",
            "Rows 17 to 29 are missing: the tail of the trail was cut off.",
            "…",
        ],
    ),
    "rows and seals cut off and the counts set back": (
        [
            "DELETE FROM audit_logs WHERE id > 16",
            "DELETE FROM audit_seals WHERE number > 2",
            SET_BACK.format(16, "logs"),
            SET_BACK.format(2, "seals"),
        ],
        ["Scan S: The trail has no entries."] * 4,
    ),
    "the last seals cut off": (
        ["DELETE FROM audit_seals WHERE number > 1"],
        ["Seals 2 to 3 are missing."],
    ),
    "all seals cut off": (["DELETE FROM audit_seals"], ["Seals 1 to 3 are missing."]),
    "a seal in the midst deleted": (
        ["DELETE FROM audit_seals WHERE number = 2"],
        ["Seal 2 is missing.", "Rows 9 to 16 lie under no seal."],
    ),
    "a seal put in above the count": (
        [
            (
                "INSERT INTO audit_seals SELECT 9, first_id, last_id, digests, sha256,"
                " previous_sha256, sealed_at, term FROM audit_seals WHERE number = 3"
            ),
            SET_BACK.format(3, "seals"),
        ],
        ["Seal 9 was put in: only 3 were counted."],
    ),
    "a seal put in before the first": (
        [
            (
                "INSERT INTO audit_seals SELECT -1, first_id, last_id, digests, sha256,"
                " previous_sha256, sealed_at, term FROM audit_seals WHERE number = 1"
            )
        ],
        ["Seal -1 was put in before the first."],
    ),
    "a seal edited": (
        ["UPDATE audit_seals SET term = 7 WHERE number = 2"],
        ["Seal 2 over rows 9 to 16 was edited, or rows were edited with their digests."],
    ),
    "a seal's hash edited": (
        ["UPDATE audit_seals SET sha256 = printf('%064d', 0) WHERE number = 2"],
        [
            "Seal 2 over rows 9 to 16 was edited, or rows were edited with their digests.",
            "Seal 3 does not follow on seal 2: the chain is broken.",
        ],
    ),
    "a seal's digests edited": (
        ["UPDATE audit_seals SET digests = printf('%0128d', 0) WHERE number = 2"],
        ["Seal 2 was edited: its digests are not of its rows."],
    ),
    "a seal's range edited": (
        ["UPDATE audit_seals SET last_id = 15, digests = substr(digests, 17) WHERE number = 2"],
        ["…", "Seal 3 begins at row 17, not at row 16.", "…"],
    ),
    "a seal that claims too much": (
        ["UPDATE audit_seals SET last_id = 2016, digests = printf('%032000d', 0) WHERE number = 3"],
        ["Seal 3 was edited: its range and digests do not fit."],
    ),
    "seals swapped": (
        [
            "UPDATE audit_seals SET number = -2 WHERE number = 2",
            "UPDATE audit_seals SET number = 2 WHERE number = 3",
            "UPDATE audit_seals SET number = 3 WHERE number = -2",
        ],
        [
            "Seal 2 does not follow on seal 1: the chain is broken.",
            "Seal 2 begins at row 17, not at row 9.",
            "Seal 2 over rows 17 to 24 was edited, or rows were edited with their digests.",
            "Seal 3 does not follow on seal 2: the chain is broken.",
            "Seal 3 begins at row 9, not at row 25.",
            "Seal 3 over rows 9 to 16 was edited, or rows were edited with their digests.",
        ],
    ),
}
