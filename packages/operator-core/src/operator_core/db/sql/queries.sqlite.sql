-- What only SQLite needs, or needs in other words.

-- name: sqlite.data_version
PRAGMA data_version

-- name: sqlite.integrity_check
PRAGMA integrity_check(10)

-- name: sqlite.foreign_key_check
PRAGMA foreign_key_check

-- name: ledger.mark_backup
UPDATE ledger SET backup_at = :now WHERE id = 1
