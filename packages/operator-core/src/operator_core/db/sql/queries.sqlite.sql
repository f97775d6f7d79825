-- What only SQLite needs, or needs in other words.

-- name: sqlite.data_version
PRAGMA data_version

-- name: sqlite.integrity_check
PRAGMA integrity_check(10)

-- name: sqlite.foreign_key_check
PRAGMA foreign_key_check

-- name: clock.server_start
SELECT NULL AS started_at

-- name: ledger.mark_backup
UPDATE ledger SET backup_at = :now WHERE id = 1

-- name: ledger.note_place
UPDATE ledger SET place = :place WHERE id = 1

-- name: ledger.is_used
SELECT EXISTS (SELECT 1 FROM action_proposals) OR EXISTS (SELECT 1 FROM schedules)
    OR EXISTS (SELECT 1 FROM tickets) AS is_used

-- name: audit.newest
SELECT id, hash FROM audit_log ORDER BY id DESC LIMIT 1

-- name: audit.by_id
SELECT id, hash FROM audit_log WHERE id = :id

-- What a statement named <name>.each does for all rows whose ids are given, <name> does for one.
-- The plus before a state keeps the index of all states out of it: the rows are found by their ids.

-- name: proposal.validate.each
UPDATE action_proposals
SET status = 'validated', validated_at = :now, updated_at = :now,
    parameters = COALESCE(:parameters, parameters), disruptive = COALESCE(:disruptive, disruptive),
    approved_at = COALESCE(approved_at, CASE held WHEN 0 THEN :approved_at END),
    approved_by = COALESCE(approved_by, CASE held WHEN 0 THEN :approved_by END)
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('proposed')

-- name: proposal.claim.each
UPDATE action_proposals
SET status = 'executing', owner = :owner, lease_expires_at = :lease_expires_at,
    fence = fence + 1, in_doubt = 0, cancel_requested_at = NULL, failure_counted = 0,
    updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('validated')

-- name: proposal.complete.each
UPDATE action_proposals
SET status = 'completed', owner = NULL, lease_expires_at = NULL, in_doubt = 0,
    last_error = NULL, updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('executing')
  AND (:fence IS NULL OR fence = :fence)

-- name: proposal.cancel.each
UPDATE action_proposals
SET status = 'cancelled', cancelled_at = :now, updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('proposed', 'validated')

-- name: proposal.set_next_retry.each
UPDATE action_proposals
SET next_retry_at = :next_retry_at, failure_counted = :failure_counted, updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status = 'failed'

-- name: record.finish.each
UPDATE action_records
SET completed_at = :now, success = :success, outcome = :outcome,
    error_message = :error_message, result_data = :result_data
WHERE id IN (SELECT value FROM json_each(:ids))

-- name: workflow.start.each
UPDATE workflows SET status = 'in_progress', updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('pending')

-- name: workflow.cancel.each
UPDATE workflows SET status = 'cancelled', paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('pending', 'in_progress')

-- name: workflow.complete.each
UPDATE workflows SET status = 'completed', paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND +status IN ('pending', 'in_progress')
