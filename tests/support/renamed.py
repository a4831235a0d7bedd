"""The names that the product no longer uses, each with the standard term that replaced it.

`tests/unit/test_names_gone.py` checks that no old name is in the product; the glossary of
`docs/architecture.md` explains the new ones. A new line here is all that another rename needs.
"""

from typing import NamedTuple


class Renamed(NamedTuple):
    """An identifier that was replaced, and the part of the product in which it was used."""

    old: str
    new: str
    #: A path of the product; the old name must not occur below it. Empty: nowhere.
    under: str = ""


#: Classes, functions, methods and constants.
IDENTIFIERS = (
    # The store.
    Renamed("SQLRoom", "SQLBase"),
    Renamed("patiently", "retry_busy"),
    Renamed("patience_s", "timeout_s"),
    Renamed("_TROUBLE", "_FAILURES"),
    # The commands and the API.
    Renamed("_hand_in", "_submit"),
    Renamed("told", "interrupts"),
    # The worker.
    Renamed("Steward", "Maintenance"),
    Renamed("EngineTrouble", "CircuitBreaker"),
    Renamed("concluded", "final_from_evidence"),
    Renamed("given_up", "final_without_page"),
    Renamed("Judged", "VerdictSummary"),
    Renamed("Term", "LeaderTerm"),
    Renamed("OUTCOME_WORDS", "OUTCOME_MESSAGES"),
    Renamed("SEEN", "ANALYZED_OUTCOMES", "safeurl/state.py"),
    Renamed("BROKEN", "INFRASTRUCTURE_OUTCOMES", "safeurl/state.py"),
    Renamed("sift", "validate_urls"),
    # Egress.
    Renamed("EgressRoom", "EgressEndpoint"),
    Renamed("Conversation", "AttachSession"),
    Renamed("EgressDoor", "GatewayEgress"),
    Renamed("Ledger", "Accounting", "worker"),
    Renamed("Pace", "RateLimit", "worker"),
    Renamed("HelloGate", "ClientHelloCheck"),
    Renamed("GateError", "ClientHelloRefusedError"),
    Renamed("gate", "check", "worker/egress"),
    Renamed("room", "endpoint", "worker/egress"),
    Renamed("Ask", "ProxyRequest", "worker/egress"),
    Renamed("RequestError", "ProxyRequestError", "worker"),
    Renamed("PlainForward", "RequestForward"),
    Renamed("Means", "SharedResources"),
    Renamed("Standing", "SocketState"),
    Renamed("Surroundings", "NetworkInventory"),
    Renamed("Choice", "RuntimeChoice", "worker"),
    Renamed("tell", "record_failure", "worker/sandbox"),
    Renamed("pauses", "is_open", "worker/sandbox"),
    Renamed("hold", "run", "worker/sandbox"),
    # The doctor.
    Renamed("Ward", "Suite"),
    Renamed("Lure", "Honeypot", "worker"),
    Renamed("lure", "honeypot", "worker"),
    Renamed("held_out", "open_honeypot"),
    Renamed("LyingDns", "FakeDns"),
    Renamed("Trials", "ProbeRunner"),
    Renamed("Tried", "ProbeRun"),
    Renamed("Wall", "IsolationCheck"),
    Renamed("Expected", "ExpectedSandbox", "worker"),
    Renamed("Judgement", "Evaluation", "worker"),
    Renamed("hunger", "exhaustion"),
    Renamed("greed", "resource_checks"),
    Renamed("walls", "isolation_checks", "worker"),
    Renamed("gates", "gateway_checks", "worker"),
    Renamed("word", "errno_name", "worker/doctor/probe"),
    Renamed("examine", "run_checks", "worker"),
    Renamed("tell", "report", "worker/doctor"),
    # Backups.
    Renamed("Place", "Location"),
    Renamed("Census", "Inventory"),
    Renamed("census", "inventory"),
    Renamed("Examiner", "DatabaseValidator"),
    Renamed("Rooms", "StagingFolders"),
    Renamed("obstacle", "explain", "safeurl"),
    # The fetcher.
    Renamed("Trace", "HopRecorder"),
    Renamed("apart", "subprocess_task"),
    Renamed("hear", "record_result"),
    Renamed("is_told", "is_stopping"),
    Renamed("_to_the_end", "await_uncancelled"),
    Renamed("note", "append_audit", "safeurl/ports"),
    Renamed("steward", "maintenance"),
    Renamed("Duty", "PeriodicTask"),
    Renamed("_outlast", "await_uncancelled"),
    Renamed("retire", "remove_worker"),
    Renamed("Visit", "Response"),
    Renamed("docker_ok", "parts"),
    Renamed("beat", "record_heartbeat", "safeurl/ports"),
)

#: Words of file and folder names.
FILES = (
    Renamed("steward", "maintenance"),
    Renamed("docker_room", "docker_sandbox"),
    Renamed("room", "base"),
    Renamed("rooms", "stores"),
    Renamed("patience", "retry"),
    Renamed("repeat", "retry_busy"),
    Renamed("door", "adapter"),
    Renamed("ledger", "accounting"),
    Renamed("place", "unix_socket"),
    Renamed("ward", "suite"),
    Renamed("gates", "gateway_checks"),
    Renamed("greed", "resource_checks"),
    Renamed("walls", "isolation_checks"),
    Renamed("hunger", "exhaustion"),
    Renamed("trial", "probe_runner"),
    Renamed("census", "inventory"),
    Renamed("obstacle", "explain", "safeurl"),
    Renamed("judgement", "validation"),
    Renamed("examiner", "validator"),
    Renamed("examination", "validation_process"),
    Renamed("walk", "redirects"),
    Renamed("apart", "subprocess_task"),
    Renamed("trace", "hop_recorder"),
    Renamed("ending", "failure"),
    Renamed("deeds", "tampering_cases"),
    Renamed("cell", "gateway_sandbox"),
)
