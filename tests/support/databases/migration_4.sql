-- A database of SafeURL with the migrations 1 to 4, as sqlite3's `.dump` writes it.
BEGIN TRANSACTION;
CREATE TABLE artefacts (
    scan_id TEXT NOT NULL
        CONSTRAINT artefacts_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (scan_id, kind, sha256),
    CONSTRAINT artefacts_sha256_hex CHECK (
        length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT artefacts_size_counts CHECK (size_bytes >= 0)
) STRICT;
INSERT INTO "artefacts" VALUES('019a3d00-0000-7000-8000-000000000001','body','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',3,'text/html');
INSERT INTO "artefacts" VALUES('019a3d00-0000-7000-8000-000000000002','body','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',3,'text/html');
INSERT INTO "artefacts" VALUES('019a3d00-0000-7000-8000-000000000006','body','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',3,'text/html');
CREATE TABLE audit_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    scan_id TEXT NOT NULL,
    event TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    from_state TEXT,
    to_state TEXT,
    actor TEXT NOT NULL,
    outcome TEXT,
    detail TEXT,
    at TEXT NOT NULL,
    CONSTRAINT audit_logs_event_fits CHECK (
        CASE event
            WHEN 'submitted' THEN from_state IS NULL AND to_state IS NOT NULL
            WHEN 'transition' THEN from_state IS NOT NULL AND to_state IS NOT NULL
            ELSE from_state IS NULL AND to_state IS NULL
        END
    ),
    CONSTRAINT audit_logs_at_utc CHECK (at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;
INSERT INTO "audit_logs" VALUES(1,'019a3d00-0000-7000-8000-000000000001','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:01.373456Z');
INSERT INTO "audit_logs" VALUES(2,'019a3d00-0000-7000-8000-000000000001','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:11',NULL,NULL,'2026-11-01T09:00:02.623456Z');
INSERT INTO "audit_logs" VALUES(3,'019a3d00-0000-7000-8000-000000000001','sandbox',1,1,NULL,NULL,'host-a/0a1b2c3d:11',NULL,'{"container": "0123456789ab", "exit_code": 0, "oom_killed": false, "stopped": null, "error": null, "start": "cold", "ms": {"create": 41.2, "start": 130.0, "run": 812.7, "remove": 22.4}}','2026-11-01T09:00:03.873456Z');
INSERT INTO "audit_logs" VALUES(4,'019a3d00-0000-7000-8000-000000000001','transition',2,1,'FETCHING','ANALYZING','host-a/0a1b2c3d:11','ok',NULL,'2026-11-01T09:00:05.123456Z');
INSERT INTO "audit_logs" VALUES(5,'019a3d00-0000-7000-8000-000000000001','transition',3,1,'ANALYZING','COMPLETED','host-a/0a1b2c3d:11','ok',NULL,'2026-11-01T09:00:07.623456Z');
INSERT INTO "audit_logs" VALUES(6,'019a3d00-0000-7000-8000-000000000002','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:08.873456Z');
INSERT INTO "audit_logs" VALUES(7,'019a3d00-0000-7000-8000-000000000002','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:12',NULL,NULL,'2026-11-01T09:00:10.123456Z');
INSERT INTO "audit_logs" VALUES(8,'019a3d00-0000-7000-8000-000000000002','transition',2,1,'FETCHING','QUEUED','host-a/0a1b2c3d:12','lease_lost','The worker was stopped.','2026-11-01T09:00:11.373456Z');
INSERT INTO "audit_logs" VALUES(9,'019a3d00-0000-7000-8000-000000000002','transition',3,2,'QUEUED','FETCHING','host-a/0a1b2c3d:13',NULL,NULL,'2026-11-01T09:00:12.623456Z');
INSERT INTO "audit_logs" VALUES(10,'019a3d00-0000-7000-8000-000000000002','sandbox',3,2,NULL,NULL,'host-a/0a1b2c3d:13',NULL,'{"container": "0123456789ab", "exit_code": 0, "oom_killed": false, "stopped": null, "error": null, "start": "cold", "ms": {"create": 41.2, "start": 130.0, "run": 812.7, "remove": 22.4}}','2026-11-01T09:00:13.873456Z');
INSERT INTO "audit_logs" VALUES(11,'019a3d00-0000-7000-8000-000000000002','transition',4,2,'FETCHING','ANALYZING','host-a/0a1b2c3d:13','ok',NULL,'2026-11-01T09:00:15.123456Z');
INSERT INTO "audit_logs" VALUES(12,'019a3d00-0000-7000-8000-000000000002','transition',5,2,'ANALYZING','COMPLETED','host-a/0a1b2c3d:13','ok',NULL,'2026-11-01T09:00:17.623456Z');
INSERT INTO "audit_logs" VALUES(13,'019a3d00-0000-7000-8000-000000000003','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:18.873456Z');
INSERT INTO "audit_logs" VALUES(14,'019a3d00-0000-7000-8000-000000000003','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:20',NULL,NULL,'2026-11-01T09:00:20.123456Z');
INSERT INTO "audit_logs" VALUES(15,'019a3d00-0000-7000-8000-000000000003','sandbox',1,1,NULL,NULL,'host-a/0a1b2c3d:20',NULL,'{"container": "0123456789ab", "exit_code": null, "oom_killed": false, "stopped": null, "error": "Docker does not answer.", "start": "cold", "ms": {"create": 5000.0}}','2026-11-01T09:00:21.373456Z');
INSERT INTO "audit_logs" VALUES(16,'019a3d00-0000-7000-8000-000000000003','transition',2,1,'FETCHING','QUEUED','host-a/0a1b2c3d:20','sandbox_unavailable','Docker does not answer.','2026-11-01T09:00:22.623456Z');
INSERT INTO "audit_logs" VALUES(17,'019a3d00-0000-7000-8000-000000000003','transition',3,2,'QUEUED','FETCHING','host-a/0a1b2c3d:21',NULL,NULL,'2026-11-01T09:00:23.873456Z');
INSERT INTO "audit_logs" VALUES(18,'019a3d00-0000-7000-8000-000000000003','sandbox',3,2,NULL,NULL,'host-a/0a1b2c3d:21',NULL,'{"container": "0123456789ab", "exit_code": null, "oom_killed": false, "stopped": null, "error": "Docker does not answer.", "start": "cold", "ms": {"create": 5000.0}}','2026-11-01T09:00:25.123456Z');
INSERT INTO "audit_logs" VALUES(19,'019a3d00-0000-7000-8000-000000000003','transition',4,2,'FETCHING','QUEUED','host-a/0a1b2c3d:21','sandbox_unavailable','Docker does not answer.','2026-11-01T09:00:26.373456Z');
INSERT INTO "audit_logs" VALUES(20,'019a3d00-0000-7000-8000-000000000003','transition',5,3,'QUEUED','FETCHING','host-a/0a1b2c3d:22',NULL,NULL,'2026-11-01T09:00:27.623456Z');
INSERT INTO "audit_logs" VALUES(21,'019a3d00-0000-7000-8000-000000000003','sandbox',5,3,NULL,NULL,'host-a/0a1b2c3d:22',NULL,'{"container": "0123456789ab", "exit_code": null, "oom_killed": false, "stopped": null, "error": "Docker does not answer.", "start": "cold", "ms": {"create": 5000.0}}','2026-11-01T09:00:28.873456Z');
INSERT INTO "audit_logs" VALUES(22,'019a3d00-0000-7000-8000-000000000003','transition',6,3,'FETCHING','FAILED','host-a/0a1b2c3d:22','sandbox_unavailable','Docker does not answer.','2026-11-01T09:00:31.373456Z');
INSERT INTO "audit_logs" VALUES(23,'019a3d00-0000-7000-8000-000000000004','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:35.123456Z');
INSERT INTO "audit_logs" VALUES(24,'019a3d00-0000-7000-8000-000000000004','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:30',NULL,NULL,'2026-11-01T09:00:36.373456Z');
INSERT INTO "audit_logs" VALUES(25,'019a3d00-0000-7000-8000-000000000004','transition',2,1,'FETCHING','QUEUED','host-b/0a1b2c3d:5 term 1','lease_lost','The worker host-a/0a1b2c3d:30 was lost.','2026-11-01T09:00:37.623456Z');
INSERT INTO "audit_logs" VALUES(26,'019a3d00-0000-7000-8000-000000000004','transition',3,2,'QUEUED','FETCHING','host-a/0a1b2c3d:31',NULL,NULL,'2026-11-01T09:00:38.873456Z');
INSERT INTO "audit_logs" VALUES(27,'019a3d00-0000-7000-8000-000000000005','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:40.123456Z');
INSERT INTO "audit_logs" VALUES(28,'019a3d00-0000-7000-8000-000000000005','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:32',NULL,NULL,'2026-11-01T09:00:41.373456Z');
INSERT INTO "audit_logs" VALUES(29,'019a3d00-0000-7000-8000-000000000006','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:42.623456Z');
INSERT INTO "audit_logs" VALUES(30,'019a3d00-0000-7000-8000-000000000006','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:33',NULL,NULL,'2026-11-01T09:00:43.873456Z');
INSERT INTO "audit_logs" VALUES(31,'019a3d00-0000-7000-8000-000000000006','transition',2,1,'FETCHING','QUEUED','host-a/0a1b2c3d:33','sandbox_unavailable','No gateway.','2026-11-01T09:00:45.123456Z');
INSERT INTO "audit_logs" VALUES(32,'019a3d00-0000-7000-8000-000000000006','transition',3,2,'QUEUED','FETCHING','host-a/0a1b2c3d:34',NULL,NULL,'2026-11-01T09:00:46.373456Z');
INSERT INTO "audit_logs" VALUES(33,'019a3d00-0000-7000-8000-000000000006','sandbox',3,2,NULL,NULL,'host-a/0a1b2c3d:34',NULL,'{"container": "0123456789ab", "exit_code": 0, "oom_killed": false, "stopped": null, "error": null, "start": "cold", "ms": {"create": 41.2, "start": 130.0, "run": 812.7, "remove": 22.4}}','2026-11-01T09:00:47.623456Z');
INSERT INTO "audit_logs" VALUES(34,'019a3d00-0000-7000-8000-000000000006','transition',4,2,'FETCHING','ANALYZING','host-a/0a1b2c3d:34','ok',NULL,'2026-11-01T09:00:48.873456Z');
INSERT INTO "audit_logs" VALUES(35,'019a3d00-0000-7000-8000-000000000007','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:50.123456Z');
INSERT INTO "audit_logs" VALUES(36,'019a3d00-0000-7000-8000-000000000008','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:51.373456Z');
INSERT INTO "audit_logs" VALUES(37,'019a3d00-0000-7000-8000-000000000008','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:35',NULL,NULL,'2026-11-01T09:00:52.623456Z');
INSERT INTO "audit_logs" VALUES(38,'019a3d00-0000-7000-8000-000000000008','transition',2,1,'FETCHING','QUEUED','host-a/0a1b2c3d:35','lease_lost','The worker was stopped.','2026-11-01T09:00:53.873456Z');
INSERT INTO "audit_logs" VALUES(39,'019a3d00-0000-7000-8000-000000000008','transition',3,2,'QUEUED','FETCHING','host-a/0a1b2c3d:36',NULL,NULL,'2026-11-01T09:00:55.123456Z');
INSERT INTO "audit_logs" VALUES(40,'019a3d00-0000-7000-8000-000000000008','sandbox',3,2,NULL,NULL,'host-a/0a1b2c3d:36',NULL,'{"container": "0123456789ab", "exit_code": 137, "oom_killed": false, "stopped": null, "error": null, "start": "cold", "ms": {"create": 41.2, "start": 130.0, "run": 812.7, "remove": 22.4}}','2026-11-01T09:00:56.373456Z');
INSERT INTO "audit_logs" VALUES(41,'019a3d00-0000-7000-8000-000000000008','transition',4,2,'FETCHING','QUEUED','host-a/0a1b2c3d:36','sandbox_unavailable','The sandbox was killed.','2026-11-01T09:00:57.623456Z');
INSERT INTO "audit_logs" VALUES(42,'019a3d00-0000-7000-8000-000000000009','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:00:58.873456Z');
INSERT INTO "audit_logs" VALUES(43,'019a3d00-0000-7000-8000-000000000009','transition',1,0,'QUEUED','FAILED','cli','cancelled',NULL,'2026-11-01T09:01:01.373456Z');
INSERT INTO "audit_logs" VALUES(44,'019a3d00-0000-7000-8000-000000000010','submitted',0,0,NULL,'QUEUED','cli',NULL,NULL,'2026-11-01T09:01:02.623456Z');
INSERT INTO "audit_logs" VALUES(45,'019a3d00-0000-7000-8000-000000000010','transition',1,1,'QUEUED','FETCHING','host-a/0a1b2c3d:37',NULL,NULL,'2026-11-01T09:01:03.873456Z');
INSERT INTO "audit_logs" VALUES(46,'019a3d00-0000-7000-8000-000000000010','sandbox',1,1,NULL,NULL,'host-a/0a1b2c3d:37',NULL,'cold','2026-11-01T09:01:05.123456Z');
INSERT INTO "audit_logs" VALUES(47,'019a3d00-0000-7000-8000-000000000010','transition',2,1,'FETCHING','TIMED_OUT','host-a/0a1b2c3d:37','wall_timeout','Late.','2026-11-01T09:01:07.623456Z');
CREATE TABLE audit_seals (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    -- Sixteen hex digits per id, so that a broken seal can name the row; dashes where none stood.
    digests TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    previous_sha256 TEXT NOT NULL,
    sealed_at TEXT NOT NULL,
    term INTEGER NOT NULL,
    CONSTRAINT audit_seals_range CHECK (last_id >= first_id),
    CONSTRAINT audit_seals_digests_fit CHECK (length(digests) = 16 * (last_id - first_id + 1)),
    CONSTRAINT audit_seals_sha256_hex CHECK (
        length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT audit_seals_previous_hex CHECK (
        length(previous_sha256) = 64 AND previous_sha256 NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT audit_seals_sealed_at_utc CHECK (sealed_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;
INSERT INTO "audit_seals" VALUES(1,1,20,'142daeae95fa7300f46d2bea74f2cd06c3f5cd427ce854d200cb38ad998bedce61ea0129d4265c71040edab1c8c3dc33e987557ffcd1030d2317463eedf734ab1c1ebe52d4e7bb6108eba0a8fcaaa6112139f685a71b91ddfad48c528bd7db5b922dc98ff36036650b54e4e4a91ad2889204970d3d6409f683d411d18d5034e95e06a5e65f073c0de56f68cbaf72f041dc6c319484e40bf2ed2c073a0d3f1ac5','2a3fc41f4b8570a8bab2ff6ed0c336ec990f52e585c461267e87b231025f62a9','0000000000000000000000000000000000000000000000000000000000000000','2026-11-01T09:01:10.123456Z',1);
CREATE TABLE leader_terms (
    term INTEGER NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    elected_at TEXT NOT NULL,
    until TEXT NOT NULL,
    CONSTRAINT leader_terms_term_counts CHECK (term >= 1),
    CONSTRAINT leader_terms_elected_at_utc CHECK (elected_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT leader_terms_until_utc CHECK (until GLOB '????-??-??T??:??:??.??????Z')
) STRICT;
INSERT INTO "leader_terms" VALUES(1,'host-b/0a1b2c3d:5+99','2026-11-01T09:00:32.623456Z','2026-11-02T09:00:33.873456Z');
CREATE TABLE scan_counts (
    state TEXT NOT NULL PRIMARY KEY,
    scans INTEGER NOT NULL
) STRICT;
INSERT INTO "scan_counts" VALUES('QUEUED',2);
INSERT INTO "scan_counts" VALUES('FETCHING',2);
INSERT INTO "scan_counts" VALUES('ANALYZING',1);
INSERT INTO "scan_counts" VALUES('COMPLETED',2);
INSERT INTO "scan_counts" VALUES('FAILED',2);
INSERT INTO "scan_counts" VALUES('TIMED_OUT',1);
CREATE TABLE scan_endings (
    minute TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL,
    scans INTEGER NOT NULL,
    PRIMARY KEY (minute, state, outcome)
) STRICT;
INSERT INTO "scan_endings" VALUES('2026-11-01T09:00','COMPLETED','ok',2);
INSERT INTO "scan_endings" VALUES('2026-11-01T09:00','FAILED','sandbox_unavailable',1);
INSERT INTO "scan_endings" VALUES('2026-11-01T09:01','FAILED','cancelled',1);
INSERT INTO "scan_endings" VALUES('2026-11-01T09:01','TIMED_OUT','wall_timeout',1);
CREATE TABLE scan_evidence (
    scan_id TEXT NOT NULL PRIMARY KEY
        CONSTRAINT scan_evidence_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    document TEXT NOT NULL,
    CONSTRAINT scan_evidence_attempt_counts CHECK (attempt >= 0),
    CONSTRAINT scan_evidence_document_json CHECK (json_valid(document))
) STRICT;
INSERT INTO "scan_evidence" VALUES('019a3d00-0000-7000-8000-000000000001',1,'{}');
INSERT INTO "scan_evidence" VALUES('019a3d00-0000-7000-8000-000000000002',2,'{}');
INSERT INTO "scan_evidence" VALUES('019a3d00-0000-7000-8000-000000000003',3,'{}');
INSERT INTO "scan_evidence" VALUES('019a3d00-0000-7000-8000-000000000006',2,'{}');
INSERT INTO "scan_evidence" VALUES('019a3d00-0000-7000-8000-000000000009',0,'{}');
INSERT INTO "scan_evidence" VALUES('019a3d00-0000-7000-8000-000000000010',1,'{}');
CREATE TABLE scan_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    submitted_url TEXT NOT NULL,
    profile TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    source TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    run_after TEXT NOT NULL,
    lease_owner TEXT,
    lease_until TEXT,
    outcome TEXT,
    detail TEXT,
    finished_at TEXT,
    -- Who made the last change, for the audit trigger.
    actor TEXT NOT NULL,
    -- Names the last change, so that a writer whose answer was lost can tell that it was its own.
    change_id TEXT NOT NULL,
    CONSTRAINT scan_jobs_id_set CHECK (length(id) > 0),
    CONSTRAINT scan_jobs_profile_known CHECK (profile IN ('http', 'browser')),
    CONSTRAINT scan_jobs_state_known CHECK (
        state IN ('QUEUED', 'FETCHING', 'ANALYZING', 'COMPLETED', 'FAILED', 'TIMED_OUT')
    ),
    CONSTRAINT scan_jobs_version_counts CHECK (version >= 0),
    CONSTRAINT scan_jobs_attempt_counts CHECK (attempt >= 0 AND attempt <= version),
    CONSTRAINT scan_jobs_created_at_utc CHECK (created_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_updated_at_utc CHECK (updated_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_run_after_utc CHECK (run_after GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_lease_until_utc CHECK (lease_until GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_finished_at_utc CHECK (finished_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_leased_while_held CHECK (
        (lease_owner IS NOT NULL) = (state IN ('FETCHING', 'ANALYZING'))
        AND (lease_until IS NOT NULL) = (state IN ('FETCHING', 'ANALYZING'))
    ),
    CONSTRAINT scan_jobs_finished_when_final CHECK (
        (finished_at IS NOT NULL) = (state IN ('COMPLETED', 'FAILED', 'TIMED_OUT'))
    ),
    CONSTRAINT scan_jobs_outcome_when_final CHECK (
        outcome IS NOT NULL OR state NOT IN ('COMPLETED', 'FAILED', 'TIMED_OUT')
    ),
    CONSTRAINT scan_jobs_outcome_known CHECK (
        outcome IN (
            'ok', 'dns_nxdomain', 'dns_failed', 'address_refused', 'connect_refused',
            'connect_timeout', 'tls_invalid', 'http_error', 'too_many_redirects',
            'body_too_large', 'fetch_timeout', 'wall_timeout', 'out_of_memory',
            'sandbox_crashed', 'report_malformed', 'report_too_large', 'cancelled',
            'sandbox_unavailable', 'lease_lost'
        )
    )
) STRICT;
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000001','https://completed.example/','completed.example','http','COMPLETED',3,1,'cli','2026-11-01T09:00:01.373456Z','2026-11-01T09:00:07.623456Z','2026-11-01T09:00:01.373456Z',NULL,NULL,'ok',NULL,'2026-11-01T09:00:07.623456Z','host-a/0a1b2c3d:11','754f2ef7ec83212d');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000002','https://handed-back.example/','handed-back.example','http','COMPLETED',5,2,'cli','2026-11-01T09:00:08.873456Z','2026-11-01T09:00:17.623456Z','2026-11-01T09:00:11.373456Z',NULL,NULL,'ok',NULL,'2026-11-01T09:00:17.623456Z','host-a/0a1b2c3d:13','8a51b290ddcd501b');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000003','https://given-up.example/','given-up.example','http','FAILED',6,3,'cli','2026-11-01T09:00:18.873456Z','2026-11-01T09:00:31.373456Z','2026-11-01T09:00:26.373456Z',NULL,NULL,'sandbox_unavailable','Docker does not answer.','2026-11-01T09:00:31.373456Z','host-a/0a1b2c3d:22','872d53be07457cc9');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000004','https://rescued.example/','rescued.example','http','FETCHING',3,2,'cli','2026-11-01T09:00:35.123456Z','2026-11-01T09:00:38.873456Z','2026-11-01T09:00:37.623456Z','host-a/0a1b2c3d:31','2026-11-01T09:01:38.873456Z',NULL,NULL,NULL,'host-a/0a1b2c3d:31','068d6ef8e6c44998');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000005','https://at-work.example/','at-work.example','http','FETCHING',1,1,'cli','2026-11-01T09:00:40.123456Z','2026-11-01T09:00:41.373456Z','2026-11-01T09:00:40.123456Z','host-a/0a1b2c3d:32','2026-11-01T09:01:41.373456Z',NULL,NULL,NULL,'host-a/0a1b2c3d:32','a2f533b818dbf48a');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000006','https://analysing.example/','analysing.example','http','ANALYZING',4,2,'cli','2026-11-01T09:00:42.623456Z','2026-11-01T09:00:48.873456Z','2026-11-01T09:00:45.123456Z','host-a/0a1b2c3d:34','2026-11-01T09:01:46.373456Z','ok',NULL,NULL,'host-a/0a1b2c3d:34','d7ad7433c5ddb1c9');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000007','https://waiting.example/','waiting.example','http','QUEUED',0,0,'cli','2026-11-01T09:00:50.123456Z','2026-11-01T09:00:50.123456Z','2026-11-01T09:00:50.123456Z',NULL,NULL,NULL,NULL,NULL,'cli','5eff168d43b185f5');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000008','https://retried.example/','retried.example','http','QUEUED',4,2,'cli','2026-11-01T09:00:51.373456Z','2026-11-01T09:00:57.623456Z','2026-11-01T09:00:57.623456Z',NULL,NULL,'sandbox_unavailable','The sandbox was killed.',NULL,'host-a/0a1b2c3d:36','8401de8d957b70e3');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000009','https://cancelled.example/','cancelled.example','http','FAILED',1,0,'cli','2026-11-01T09:00:58.873456Z','2026-11-01T09:01:01.373456Z','2026-11-01T09:00:58.873456Z',NULL,NULL,'cancelled',NULL,'2026-11-01T09:01:01.373456Z','cli','4c14c294ff6b851b');
INSERT INTO "scan_jobs" VALUES('019a3d00-0000-7000-8000-000000000010','https://timed-out.example/','timed-out.example','http','TIMED_OUT',2,1,'cli','2026-11-01T09:01:02.623456Z','2026-11-01T09:01:07.623456Z','2026-11-01T09:01:02.623456Z',NULL,NULL,'wall_timeout','Late.','2026-11-01T09:01:07.623456Z','host-a/0a1b2c3d:37','89e882c5d7d0aae7');
CREATE TABLE scan_results (
    scan_id TEXT NOT NULL PRIMARY KEY
        CONSTRAINT scan_results_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    score INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    categories TEXT NOT NULL,
    verdict_json TEXT NOT NULL,
    ruleset TEXT NOT NULL,
    final_url TEXT,
    http_status INTEGER,
    title TEXT,
    created_at TEXT NOT NULL,
    CONSTRAINT scan_results_attempt_counts CHECK (attempt >= 0),
    CONSTRAINT scan_results_score_in_range CHECK (score BETWEEN 0 AND 100),
    CONSTRAINT scan_results_verdict_known CHECK (
        verdict IN ('malicious', 'suspicious', 'benign', 'inconclusive')
    ),
    CONSTRAINT scan_results_categories_list CHECK (
        json_valid(categories) AND json_type(categories) = 'array'
    ),
    CONSTRAINT scan_results_verdict_json_valid CHECK (json_valid(verdict_json)),
    CONSTRAINT scan_results_created_at_utc CHECK (created_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;
INSERT INTO "scan_results" VALUES('019a3d00-0000-7000-8000-000000000001',1,'ok',0,'inconclusive','[]','{"score":0,"judgement":"inconclusive","categories":[],"hits":[],"ruleset":"core-4","summary":"Not concluded: No page came back."}','core-4',NULL,NULL,NULL,'2026-11-01T09:00:06.373456Z');
INSERT INTO "scan_results" VALUES('019a3d00-0000-7000-8000-000000000002',2,'ok',0,'inconclusive','[]','{"score":0,"judgement":"inconclusive","categories":[],"hits":[],"ruleset":"core-4","summary":"Not concluded: No page came back."}','core-4',NULL,NULL,NULL,'2026-11-01T09:00:16.373456Z');
INSERT INTO "scan_results" VALUES('019a3d00-0000-7000-8000-000000000003',3,'sandbox_unavailable',0,'inconclusive','[]','{"score":0,"judgement":"inconclusive","categories":[],"hits":[],"ruleset":"core-4","summary":"Not concluded: No sandbox could be started."}','core-4',NULL,NULL,NULL,'2026-11-01T09:00:30.123456Z');
INSERT INTO "scan_results" VALUES('019a3d00-0000-7000-8000-000000000009',0,'cancelled',0,'inconclusive','[]','{"score":0,"judgement":"inconclusive","categories":[],"hits":[],"ruleset":"core-4","summary":"Not concluded: The scan was cancelled."}','core-4',NULL,NULL,NULL,'2026-11-01T09:01:00.123456Z');
INSERT INTO "scan_results" VALUES('019a3d00-0000-7000-8000-000000000010',1,'wall_timeout',0,'inconclusive','[]','{"score":0,"judgement":"inconclusive","categories":[],"hits":[],"ruleset":"core-4","summary":"Not concluded: The sandbox reached its deadline and was ended."}','core-4',NULL,NULL,NULL,'2026-11-01T09:01:06.373456Z');
CREATE TABLE schema_migrations (
    number INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    CONSTRAINT schema_migrations_applied_at_utc
        CHECK (applied_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;
INSERT INTO "schema_migrations" VALUES(1,'first_release','2026-11-01T09:00:00.000000Z');
INSERT INTO "schema_migrations" VALUES(2,'nothing_lost','2026-11-01T09:00:00.000000Z');
INSERT INTO "schema_migrations" VALUES(3,'tried_first','2026-11-01T09:00:00.000000Z');
INSERT INTO "schema_migrations" VALUES(4,'counted','2026-11-01T09:00:00.000000Z');
CREATE TABLE workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    beat_at TEXT NOT NULL,
    docker_ok INTEGER NOT NULL,
    docker_detail TEXT NOT NULL,
    disk_free_bytes INTEGER NOT NULL,
    CONSTRAINT workers_started_at_utc CHECK (started_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_beat_at_utc CHECK (beat_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_docker_ok_bool CHECK (docker_ok IN (0, 1))
) STRICT;
INSERT INTO "workers" VALUES('host-a/0a1b2c3d:7','host-a',7,2,'2026-11-01T09:00:00.123456Z','2026-11-01T09:01:08.873456Z',1,'28.0',34359738368);
CREATE INDEX scan_jobs_due ON scan_jobs (attempt = 0, run_after, id, created_at, updated_at, state)
WHERE state = 'QUEUED';
CREATE INDEX scan_jobs_leased ON scan_jobs (lease_until, id) WHERE lease_until IS NOT NULL;
CREATE INDEX scan_jobs_pending ON scan_jobs (created_at) WHERE state = 'QUEUED';
CREATE INDEX audit_logs_scan ON audit_logs (scan_id);
CREATE INDEX workers_heard ON workers (beat_at DESC, id);
CREATE TRIGGER scan_jobs_begin BEFORE INSERT ON scan_jobs
BEGIN
    SELECT RAISE(ABORT, 'scan_jobs: the id is taken')
    WHERE EXISTS (SELECT 1 FROM scan_jobs WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'scan_jobs: a new scan is QUEUED at version 0 and attempt 0')
    WHERE (NEW.state, NEW.version, NEW.attempt) <> ('QUEUED', 0, 0);
END;
CREATE TRIGGER scan_jobs_submitted AFTER INSERT ON scan_jobs
BEGIN
    INSERT INTO audit_logs
        (scan_id, event, version, attempt, to_state, actor, outcome, detail, at)
    VALUES
        (NEW.id, 'submitted', NEW.version, NEW.attempt, NEW.state, NEW.actor, NEW.outcome,
         NEW.detail, NEW.created_at);
END;
CREATE TRIGGER scan_jobs_stay_what_they_are BEFORE UPDATE ON scan_jobs
BEGIN
    SELECT RAISE(ABORT, 'scan_jobs: a final scan does not change')
    WHERE OLD.state IN ('COMPLETED', 'FAILED', 'TIMED_OUT');
    SELECT RAISE(ABORT, 'scan_jobs: what was submitted does not change')
    WHERE (NEW.id, NEW.url, NEW.submitted_url, NEW.profile, NEW.source, NEW.created_at)
        <> (OLD.id, OLD.url, OLD.submitted_url, OLD.profile, OLD.source, OLD.created_at);
END;
CREATE TRIGGER scan_jobs_move BEFORE UPDATE ON scan_jobs
WHEN NEW.state <> OLD.state OR NEW.version <> OLD.version OR NEW.attempt <> OLD.attempt
BEGIN
    SELECT RAISE(ABORT, 'scan_jobs: illegal move')
    WHERE (OLD.state, NEW.state) NOT IN (
        VALUES
            ('QUEUED', 'FETCHING'),
            ('QUEUED', 'FAILED'),
            ('FETCHING', 'ANALYZING'),
            ('FETCHING', 'FAILED'),
            ('FETCHING', 'TIMED_OUT'),
            ('FETCHING', 'QUEUED'),
            ('ANALYZING', 'COMPLETED'),
            ('ANALYZING', 'FAILED'),
            ('ANALYZING', 'TIMED_OUT'),
            ('ANALYZING', 'QUEUED')
    );
    SELECT RAISE(ABORT, 'scan_jobs: version grows by one with each move')
    WHERE NEW.version <> OLD.version + 1;
    SELECT RAISE(ABORT, 'scan_jobs: attempt grows by one with each claim and never else')
    WHERE NEW.attempt <> OLD.attempt + (NEW.state = 'FETCHING');
    SELECT RAISE(ABORT, 'scan_jobs: a final scan has a result')
    WHERE NEW.state IN ('COMPLETED', 'FAILED', 'TIMED_OUT')
        AND NOT EXISTS (SELECT 1 FROM scan_results WHERE scan_id = NEW.id);
END;
CREATE TRIGGER scan_jobs_moved AFTER UPDATE ON scan_jobs
WHEN NEW.state <> OLD.state
BEGIN
    INSERT INTO audit_logs
        (scan_id, event, version, attempt, from_state, to_state, actor, outcome, detail, at)
    VALUES
        (NEW.id, 'transition', NEW.version, NEW.attempt, OLD.state, NEW.state, NEW.actor,
         NEW.outcome, NEW.detail, NEW.updated_at);
END;
CREATE TRIGGER scan_jobs_counted AFTER INSERT ON scan_jobs
BEGIN
    INSERT INTO scan_counts (state, scans) VALUES (NEW.state, 1)
    ON CONFLICT (state) DO UPDATE SET scans = scans + 1;
END;
CREATE TRIGGER scan_jobs_recounted AFTER UPDATE ON scan_jobs
WHEN NEW.state <> OLD.state
BEGIN
    UPDATE scan_counts SET scans = scans - 1 WHERE state = OLD.state;
    INSERT INTO scan_counts (state, scans) VALUES (NEW.state, 1)
    ON CONFLICT (state) DO UPDATE SET scans = scans + 1;
END;
CREATE TRIGGER scan_jobs_ended AFTER UPDATE ON scan_jobs
WHEN NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL
BEGIN
    INSERT INTO scan_endings (minute, state, outcome, scans)
    VALUES (substr(NEW.finished_at, 1, 16), NEW.state, NEW.outcome, 1)
    ON CONFLICT (minute, state, outcome) DO UPDATE SET scans = scans + 1;
    DELETE FROM scan_endings
    WHERE minute < strftime('%Y-%m-%dT%H:%M', NEW.finished_at, '-2 hours');
END;
CREATE TRIGGER scan_jobs_uncounted AFTER DELETE ON scan_jobs
BEGIN
    UPDATE scan_counts SET scans = scans - 1 WHERE state = OLD.state;
END;
CREATE TRIGGER audit_logs_append BEFORE INSERT ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs: append-only')
    WHERE EXISTS (SELECT 1 FROM audit_logs WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'audit_logs: each version of a scan is told once')
    WHERE NEW.to_state IS NOT NULL AND EXISTS (
        SELECT 1 FROM audit_logs
        WHERE scan_id = NEW.scan_id AND version = NEW.version AND to_state IS NOT NULL
    );
END;
CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs: append-only');
END;
CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs: append-only');
END;
CREATE TRIGGER audit_seals_append BEFORE INSERT ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_seals: each seal follows on the one before')
    WHERE (NEW.number, NEW.first_id, NEW.previous_sha256) <> (
        -- The counter, not the last seal: a number whose seal was cut off is not given again.
        SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit_seals'), 0) + 1,
            coalesce((SELECT last_id FROM audit_seals ORDER BY number DESC LIMIT 1), 0) + 1,
            coalesce(
                (SELECT sha256 FROM audit_seals ORDER BY number DESC LIMIT 1),
                '0000000000000000000000000000000000000000000000000000000000000000'
            )
    );
END;
CREATE TRIGGER audit_seals_no_update BEFORE UPDATE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_seals: append-only');
END;
CREATE TRIGGER audit_seals_no_delete BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_seals: append-only');
END;
CREATE TRIGGER leader_terms_follow BEFORE INSERT ON leader_terms
BEGIN
    SELECT RAISE(ABORT, 'leader_terms: each term follows on the one before')
    WHERE NEW.term <> (SELECT coalesce(max(term), 0) + 1 FROM leader_terms);
END;
CREATE TRIGGER leader_terms_keep_their_holder BEFORE UPDATE ON leader_terms
WHEN (NEW.term, NEW.holder, NEW.elected_at) <> (OLD.term, OLD.holder, OLD.elected_at)
BEGIN
    SELECT RAISE(ABORT, 'leader_terms: a term has one holder');
END;
CREATE TRIGGER leader_terms_no_delete BEFORE DELETE ON leader_terms
BEGIN
    SELECT RAISE(ABORT, 'leader_terms: append-only');
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit_logs',47);
INSERT INTO "sqlite_sequence" VALUES('audit_seals',1);
COMMIT;
