-- What only SQLite needs, or needs in other words.

-- name: sqlite.data_version
PRAGMA data_version
