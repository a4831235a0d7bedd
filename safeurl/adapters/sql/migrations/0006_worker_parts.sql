-- A worker's heartbeat names each part of its host that scans need, working or not and why.
CREATE TABLE workers_before AS SELECT * FROM workers;

DROP TABLE workers;

-- The last heartbeat of each worker.
CREATE TABLE workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    beat_at TEXT NOT NULL,
    docker_version TEXT NOT NULL,
    -- An object for each of docker, image, gateway and disk: `ok`, and the `reason` if it is not.
    parts TEXT NOT NULL,
    disk_free_bytes INTEGER NOT NULL,
    CONSTRAINT workers_started_at_utc CHECK (started_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_beat_at_utc CHECK (beat_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_parts_json CHECK (json_type(parts) = 'object')
) STRICT;

INSERT INTO workers
SELECT id, host, pid, concurrency, started_at, beat_at,
    CASE WHEN docker_ok THEN docker_detail ELSE '' END,
    CASE WHEN docker_ok THEN '{}' ELSE json_object(
        'docker', json_object('ok', json('false'), 'reason', docker_detail)
    ) END,
    disk_free_bytes
FROM workers_before;

DROP TABLE workers_before;

CREATE INDEX workers_heard ON workers (beat_at DESC, id);
