"""Names that vulture finds unused, though frameworks, stored documents or tests use them.

Fields of evidence, rows and API documents are read as JSON; RQ, pydantic, typer and FastAPI find
the others by name; the memory store is shipped for those who test against SafeURL.
"""

from typing import Any

_: Any = None

_.active_workers
_.ADULT_CONTENT
_.alpn
_.applied_at
_.AsyncConnection
_.bind_ms
_.BROWSER
_.change_id
_.check_for_suspension
_.choose
_.close_ms
_.create_ms
_.cross_origin
_.diagram
_.docker
_.elapsed_ms
_.elected_at
_.fetcher
_.final_url
_.generator
_.headers_truncated
_.http_status
_.ILLEGAL_CONTENT
_.index
_.inline_bytes
_.INTEL
_.IO
_.JS
_.list_scans
_.local_settings
_.log_job_description
_.max_allowed_table_size
_.max_connection_wait_time
_.max_header_list_size
_.MemoryArtefacts
_.MemoryQueue
_.MemoryStore
_.MISINFORMATION
_.minute
_.mtime
_.model_config
_.oldest_pending_scan
_.OTHER
_.outcome_text
_.path_faults
_.pending_scans
_.PoolProxiedConnection
_.prepare_ms
_.recently_failed
_.recommendations
_.remove_ms
_.row_factory
_.run_ms
_.run_scan
_.sans
_.SchemaMigration
_.ScanCount
_.ScanEndings
_.serial
_.should_exit
_.SPAM
_.start_ms
_.started_at
_.ended_at
_.STDIN
_.store_ms
_.timings
_.total_ms
_.total_scans_in_progress
_.trust_env
_.username
_.VIOLENCE
_.VISUAL
_.not_after
_.not_before
_.connection_made
_.datagram_received
_.duration_ms
_.lifetime
_._needs_no_bridge
_._is_enough
_._is_one_place
_._needs_tls
_.AuditSeal
_.verify_trail
_.export_trail
_.show
_.logger
_.send_400_response
_.disconnected
_.StartElementHandler  # expat calls it
_.EndElementHandler  # expat calls it
_.CharacterDataHandler  # expat calls it
_.ProcessingInstructionHandler  # expat calls it
_.SkippedEntityHandler  # expat calls it
_.buffer_text  # expat reads it
_.redis_server_version  # RQ reads it
_.readable  # io calls it
_.readinto  # io calls it
