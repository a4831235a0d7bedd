"""How SafeURL grows: long queues, a million stored scans, many workers on one database."""
