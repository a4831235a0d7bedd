"""schema.sql, the migrations, the models and the core agree, and hot paths use indexes."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect
from sqlmodel import SQLModel

from safeurl.adapters.sql import models
from safeurl.adapters.sql.schema.shipped import migrations, schema_sql, statements_of
from safeurl.adapters.sql.statements import (
    attempts,
    audit,
    backlog,
    leadership,
    metrics,
    scans,
    schema,
    workers,
)
from safeurl.model.attempt import Attempt
from safeurl.model.audit import AuditRow, Seal
from safeurl.model.sandbox import Stop
from safeurl.model.scan import Artefact, AuditEntry, Metrics, Result, Scan
from safeurl.model.worker import WorkerHeartbeat
from safeurl.retry import RETRIED
from safeurl.state import TRANSITIONS, Outcome, State

_COMMENT = re.compile(r"--[^\n]*")
_HOT = {
    name: sql
    for module in (attempts, audit, backlog, leadership, metrics, scans, schema, workers)
    for name, sql in vars(module).items()
    if name.isupper() and not name.startswith("_") and name not in {"MIGRATIONS", "DUE_CONDITION"}
}


def _database(*scripts: str) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    for script in scripts:
        for statement in statements_of(script):
            database.execute(statement)
    return database


@pytest.fixture
def shipped() -> Iterator[sqlite3.Connection]:
    """Return a database made from schema.sql."""
    with closing(_database(schema_sql())) as database:
        yield database


def _objects(database: sqlite3.Connection) -> dict[str, str]:
    rows = database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: " ".join(_COMMENT.sub("", sql).split()) for name, sql in rows}


def test_the_migrations_lead_to_the_schema(shipped: sqlite3.Connection) -> None:
    """Replayed one after the other on an empty database, they give the tables of schema.sql."""
    ledger = statements_of(schema_sql())[0]
    steps = migrations()
    with closing(_database(ledger, *(step.sql for step in steps))) as replayed:
        assert _objects(replayed) == _objects(shipped)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))


def test_the_models_match_the_schema(tmp_path: Path) -> None:
    """Tables, columns in their order, types, nullability, primary and foreign keys."""
    path = tmp_path / "models.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(schema_sql())
    engine = create_engine(f"sqlite:///{path}")
    shipped = inspect(engine)
    tables = SQLModel.metadata.tables
    assert set(shipped.get_table_names()) == set(tables)
    for name, table in tables.items():
        columns = [(c["name"], str(c["type"]), c["nullable"]) for c in shipped.get_columns(name)]
        assert [(c.name, str(c.type), c.nullable) for c in table.columns] == columns, name
        keys = shipped.get_pk_constraint(name)["constrained_columns"]
        assert [c.name for c in table.primary_key.columns] == keys, name
        links = {link["referred_table"] for link in shipped.get_foreign_keys(name)}
        assert {link.column.table.name for link in table.foreign_keys} == links, name
    engine.dispose()


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        (Scan, models.ScanJob),
        (Result, models.ScanResult),
        (Artefact, models.ScanArtefact),
        (Attempt, models.ScanAttempt),
        (AuditEntry, models.AuditLog),
        (WorkerHeartbeat, models.Worker),
        (Metrics, models.MetricsRow),
        (AuditRow, models.AuditLog),
        (Seal, models.AuditSeal),
    ],
)
def test_every_field_of_the_core_has_its_column(kind: type, model: type[SQLModel]) -> None:
    """A field that is added to a dataclass and not to its table is found here."""
    assert {field.name for field in fields(kind)} <= model.model_fields.keys()


def test_the_trigger_repeats_the_transition_table() -> None:
    """The pairs of schema.sql are those of state.py, no more and no fewer."""
    move = schema_sql().partition("CREATE TRIGGER scan_jobs_move ")[2].partition("END;")[0]
    pairs = re.findall(r"\('([A-Z_]+)', '([A-Z_]+)'\)", move)
    assert sorted(pairs) == sorted((old, new) for old in State for new in TRANSITIONS[old])


def test_the_checks_repeat_the_closed_lists() -> None:
    """States, outcomes and the other values of schema.sql equal those of the code."""
    schema = schema_sql()
    for name, words in (
        ("scan_jobs_state_known", State),
        ("scan_jobs_outcome_known", Outcome),
        ("attempts_outcome_known", Outcome),
        ("attempts_stopped_known", Stop),
    ):
        check = schema.partition(f"{name} CHECK (")[2].partition(")\n")[0]
        assert re.findall(r"'(\w+)'", check) == list(words), name
    failing = schema.partition("ELSE NEW.outcome IN (")[2].partition(")")[0]
    assert set(re.findall(r"'(\w+)'", failing)) == RETRIED


@pytest.mark.parametrize("name", _HOT)
def test_no_statement_walks_a_whole_table(name: str, shipped: sqlite3.Connection) -> None:
    """SQLite's own plan searches an index, or scans a covering index of few rows, or JSON."""
    sql = _HOT[name]
    args = dict.fromkeys(re.findall(r":([a-z_]+)", sql))
    plan = [row[3] for row in shipped.execute(f"EXPLAIN QUERY PLAN {sql}", args)]
    walks = [step for step in plan if step.startswith("SCAN") and not _is_cheap_scan(step)]
    assert walks == []
    assert [step for step in plan if "TEMP B-TREE" in step] == []


def _is_cheap_scan(step: str) -> bool:
    partial = ("scan_jobs_due", "scan_jobs_leased")
    return (
        "VIRTUAL TABLE" in step
        # `job` is a page of scans; SQLite's counters have a row for each of two tables.
        or step in {"SCAN CONSTANT ROW", "SCAN waiting", "SCAN job", "SCAN sqlite_sequence"}
        or any(f"COVERING INDEX {index}" in step for index in partial)
        # In the order of the index, and no further than the limit.
        or step == "SCAN scan_jobs USING INDEX scan_jobs_due"
    )


def test_the_plans_use_the_indexes_made_for_them(shipped: sqlite3.Connection) -> None:
    """Due, lost and finished scans, the trail and the workers are each read by their own index."""
    wanted = {
        "DUE": "scan_jobs_due",
        "LEASED": "scan_jobs_leased",
        "AUDIT": "audit_logs_scan",
        "TRAILS": "audit_logs_scan",
        "WORKERS": "workers_heard",
        "METRICS": "scan_jobs_pending",
        "PAGE": "sqlite_autoindex_scan_jobs_1",
        "CLAIM": "sqlite_autoindex_scan_jobs_1",
        "RECENT_ATTEMPTS": "sqlite_autoindex_attempts_1",
    }
    for name, index in wanted.items():
        args = dict.fromkeys(re.findall(r":([a-z_]+)", _HOT[name]))
        plan = shipped.execute(f"EXPLAIN QUERY PLAN {_HOT[name]}", args)
        assert any(index in row[3] for row in plan), name
