"""The statements of `WorkerStore`."""

RECORD_HEARTBEAT = """
INSERT INTO workers (
    id, host, pid, concurrency, started_at, beat_at, docker_version, parts, disk_free_bytes
)
VALUES (
    :id, :host, :pid, :concurrency, :started_at, :beat_at, :docker_version, :parts,
    :disk_free_bytes
)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, concurrency = excluded.concurrency,
    started_at = excluded.started_at, beat_at = excluded.beat_at,
    docker_version = excluded.docker_version, parts = excluded.parts,
    disk_free_bytes = excluded.disk_free_bytes
"""

REMOVE_WORKER = "DELETE FROM workers WHERE id = :id"

FORGET_WORKERS = "DELETE FROM workers WHERE beat_at < :silent_since"

WORKERS = "SELECT * FROM workers WHERE beat_at >= :since ORDER BY beat_at DESC, id"
