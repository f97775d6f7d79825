-- What only PostgreSQL needs, or needs in other words.

-- name: clock.now
SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS now

-- name: lock.workflow
SELECT id FROM workflows WHERE id = :id FOR NO KEY UPDATE

-- name: lock.workflow_of
SELECT id FROM workflows
WHERE id = (SELECT workflow_id FROM action_proposals WHERE id = :id)
FOR NO KEY UPDATE

-- Claims share this lock and a change of the switch takes it alone. An advisory lock is fair,
-- so that a stream of claims cannot keep the kill switch waiting; a row lock is not.
-- name: lock.claims_go_on
SELECT pg_advisory_xact_lock_shared(hashtext(current_schema()), 1)

-- name: lock.no_claims
SELECT pg_advisory_xact_lock(hashtext(current_schema()), 1)

-- name: mark.put
INSERT INTO commit_marks (writer, number, written_at) VALUES (:writer, :number, ledger_now())
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, written_at = excluded.written_at

-- name: mark.claim
INSERT INTO commit_marks (writer, number, written_at) VALUES (:writer, 0, ledger_now())
ON CONFLICT (writer) DO NOTHING

-- name: mark.get
SELECT number FROM commit_marks WHERE writer = :writer FOR UPDATE

-- name: mark.forget
DELETE FROM commit_marks
WHERE writer = :writer
   OR written_at < to_char(clock_timestamp() AT TIME ZONE 'UTC' - INTERVAL '1 day', 'YYYY-MM-DD')

-- name: session.end_others
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = :name AND pid <> pg_backend_pid()

-- name: notify.changed
-- It wakes others and need not last: the writer does not wait for the disk again.
SELECT set_config('synchronous_commit', 'off', TRUE), pg_notify('operator_ledger', :writer)
