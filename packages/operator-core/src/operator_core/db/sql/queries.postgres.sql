-- What only PostgreSQL needs, or needs in other words.
-- A list of ids comes as JSON, [1,2]; as text it is one step from an array, {1,2}, which costs
-- less than to take JSON apart.

-- name: clock.now
SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS now

-- name: clock.server_start
SELECT to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
    AS started_at

-- name: server.durability
SELECT current_setting('fsync') AS fsync, current_setting('synchronous_standby_names') AS synchronous,
    (SELECT COUNT(*) FROM pg_stat_replication) AS standbys

-- name: lock.workflow
SELECT id FROM workflows WHERE id = :id FOR NO KEY UPDATE

-- name: lock.workflow_of
SELECT id FROM workflows
WHERE id = (SELECT workflow_id FROM action_proposals WHERE id = :id)
FOR NO KEY UPDATE

-- The workflows of steps; which one a step belongs to never changes.
-- name: lock.workflow_of.each
SELECT id FROM workflows
WHERE id = ANY (ARRAY(
    SELECT workflow_id FROM action_proposals
    WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])))
ORDER BY id FOR NO KEY UPDATE

-- name: lock.workflow.each
SELECT id FROM workflows
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])
ORDER BY id FOR NO KEY UPDATE

-- Claims share this lock and a change of the switch takes it alone. An advisory lock is fair,
-- so that a stream of claims cannot keep the kill switch waiting; a row lock is not.
-- name: lock.claims_go_on
SELECT pg_advisory_xact_lock_shared(hashtext(current_schema()), 1)

-- name: lock.no_claims
SELECT pg_advisory_xact_lock(hashtext(current_schema()), 1)

-- Whoever counts attempts for a limit counts alone, until its own attempt is written down.
-- name: lock.limits
SELECT pg_advisory_xact_lock(hashtext(current_schema()), 2)

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

-- name: proposal.get_each
SELECT * FROM action_proposals
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) ORDER BY id

-- name: proposal.claimable
SELECT * FROM action_proposals
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) ORDER BY id

-- name: proposal.of_workflows
SELECT * FROM action_proposals
WHERE workflow_id = ANY (translate(:workflow_ids, '[]', '{}')::bigint[])
ORDER BY workflow_id, execution_order, id

-- name: proposal.next_steps
SELECT * FROM action_proposals
WHERE depends_on_proposal_id = ANY (translate(:ids, '[]', '{}')::bigint[])
  AND workflow_id IS NOT NULL AND compensates_proposal_id IS NULL
ORDER BY id

-- name: proposal.expire_leases
UPDATE action_proposals SET lease_expires_at = NULL, updated_at = :now
WHERE status = 'executing' AND in_doubt = 0 AND owner = :owner
  AND action_name IN (SELECT value FROM json_array_elements_text(:actions::json))
RETURNING id

-- name: observation.keep_as
UPDATE observations SET kept_as = :kept_as
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])
  AND kept_as <> 'evidence'

-- name: observation.drop
DELETE FROM observations
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])
  AND kept_as <> 'evidence'
  AND NOT EXISTS (SELECT 1 FROM diagnoses WHERE diagnoses.observation_id = observations.id)
  AND NOT EXISTS (
    SELECT 1 FROM verifications WHERE verifications.baseline_id = observations.id)
RETURNING id, subject, size_bytes

-- name: workflow.states_of_steps
SELECT workflow_id, status, next_retry_at, retry_count, max_retries FROM action_proposals
WHERE workflow_id = ANY (translate(:ids, '[]', '{}')::bigint[])

-- name: workflow.get_each
SELECT * FROM workflows
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) ORDER BY id

-- name: past.remedies
SELECT p.id, COALESCE(w.name, p.action_name) AS remedy FROM action_proposals p
LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.id = ANY (translate(:ids, '[]', '{}')::bigint[])

-- name: verification.times
SELECT MIN(started_at) AS started_at, MAX(COALESCE(completed_at, started_at)) AS ended_at
FROM action_records
WHERE proposal_id = ANY (translate(:ids, '[]', '{}')::bigint[])

-- What a statement named <name>.each does for many rows, <name> does for one. A change is given
-- the ids of the rows that it makes alike. An insert is given JSON, a list of rows, each of them a
-- list of what <name> takes, in its order: names would be most of the text. Before that comes the
-- row's id, which means something only where it was given before: see `_KNOWN` in write_tx.py.

-- An insert may take the next number where only the table is granted; who asks for it may not, and
-- gets none.
-- name: new_ids.of_table
WITH its AS MATERIALIZED (
    SELECT pg_get_serial_sequence(:table_name::text, 'id')::regclass AS numbers)
SELECT nextval(its.numbers) AS id FROM its, generate_series(1, :count::bigint)
WHERE has_sequence_privilege(its.numbers, 'USAGE')

-- name: proposal.insert.each
INSERT INTO action_proposals (
    id, subject, ticket_id, action_name, action_type, parameters, reason, status, proposed_at,
    proposed_by, validated_at, cancelled_at, approved_at, approved_by, rejected_at, rejected_by,
    rejection_reason, workflow_id, execution_order, depends_on_proposal_id, compensation,
    compensates_proposal_id, scheduled_at, schedule_id, schedule_due_at, retry_count, max_retries,
    next_retry_at, last_error, disruptive, created_at, updated_at)
OVERRIDING USER VALUE
SELECT
    (item->>0)::bigint,
    item->>1, (item->>2)::bigint, item->>3, item->>4, item->>5, item->>6, item->>7, item->>8,
    item->>9, item->>10, item->>11, item->>12, item->>13, item->>14, item->>15, item->>16,
    (item->>17)::bigint, (item->>18)::bigint, (item->>19)::bigint, item->>20,
    (item->>21)::bigint, item->>22, (item->>23)::bigint, item->>24, (item->>25)::bigint,
    (item->>26)::bigint, item->>27, item->>28, (item->>29)::bigint, item->>30, item->>30
FROM jsonb_array_elements(:items::jsonb) AS item
RETURNING id

-- name: proposal.insert_claimed.each
INSERT INTO action_proposals (
    id, subject, ticket_id, action_name, action_type, parameters, reason, status, proposed_at,
    proposed_by, validated_at, approved_at, approved_by, workflow_id, execution_order,
    depends_on_proposal_id, compensation, max_retries, disruptive, owner, lease_expires_at, fence,
    created_at, updated_at)
OVERRIDING USER VALUE
SELECT
    (item->>0)::bigint,
    item->>1, (item->>2)::bigint, item->>3, item->>4, item->>5, item->>6, 'executing', item->>7,
    item->>8, item->>9, item->>10, item->>11, (item->>12)::bigint, (item->>13)::bigint,
    (item->>14)::bigint, item->>15, (item->>16)::bigint, (item->>17)::bigint, item->>18,
    item->>19, 1, item->>20, item->>20
FROM jsonb_array_elements(:items::jsonb) AS item
RETURNING id

-- name: proposal.validate.each
UPDATE action_proposals
SET status = 'validated', validated_at = :now, updated_at = :now,
    parameters = COALESCE(:parameters, parameters), disruptive = COALESCE(:disruptive, disruptive),
    approved_at = COALESCE(approved_at, CASE held WHEN 0 THEN :approved_at END),
    approved_by = COALESCE(approved_by, CASE held WHEN 0 THEN :approved_by END)
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) AND status || '' IN ('proposed')

-- name: proposal.claim.each
UPDATE action_proposals
SET status = 'executing', owner = :owner, lease_expires_at = :lease_expires_at,
    fence = fence + 1, in_doubt = 0, cancel_requested_at = NULL, failure_counted = 0,
    updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) AND status || '' IN ('validated')

-- name: proposal.complete.each
UPDATE action_proposals
SET status = 'completed', owner = NULL, lease_expires_at = NULL, in_doubt = 0,
    last_error = NULL, updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) AND status || '' IN ('executing')
  AND (:fence IS NULL OR fence = :fence)

-- name: proposal.cancel.each
UPDATE action_proposals
SET status = 'cancelled', cancelled_at = :now, updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])
  AND status || '' IN ('proposed', 'validated')

-- name: proposal.set_next_retry.each
UPDATE action_proposals
SET next_retry_at = :next_retry_at, failure_counted = :failure_counted, updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) AND status || '' = 'failed'

-- name: record.insert.each
INSERT INTO action_records (
    id, proposal_id, started_at, completed_at, success, error_message, result_data, outcome,
    idempotency_key, owner, fence)
OVERRIDING USER VALUE
SELECT
    (item->>0)::bigint,
    (item->>1)::bigint, item->>2, item->>3, (item->>4)::bigint, item->>5, item->>6, item->>7,
    item->>8, item->>9, (item->>10)::bigint
FROM jsonb_array_elements(:items::jsonb) AS item
RETURNING id

-- name: record.finish.each
UPDATE action_records
SET completed_at = :now, success = :success, outcome = :outcome,
    error_message = :error_message, result_data = :result_data
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])

-- name: workflow.insert.each
INSERT INTO workflows (id, subject, name, description, ticket_id, status, created_at, updated_at)
OVERRIDING USER VALUE
SELECT
    (item->>0)::bigint,
    item->>1, item->>2, item->>3, (item->>4)::bigint, 'pending', item->>5, item->>5
FROM jsonb_array_elements(:items::jsonb) AS item
RETURNING id

-- name: workflow.start.each
UPDATE workflows SET status = 'in_progress', updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[]) AND status || '' IN ('pending')

-- name: workflow.cancel.each
UPDATE workflows SET status = 'cancelled', paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])
  AND status || '' IN ('pending', 'in_progress')

-- name: workflow.complete.each
UPDATE workflows SET status = 'completed', paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id = ANY (translate(:ids, '[]', '{}')::bigint[])
  AND status || '' IN ('pending', 'in_progress')

-- name: ticket.lock_diagnosed
SELECT id FROM tickets WHERE status = 'diagnosed' AND subject = :subject
ORDER BY id FOR NO KEY UPDATE

-- The rows come in the order of their chain, and get their ids in it.
-- name: audit.insert.each
INSERT INTO audit_log (
    writer, seq, timestamp, event_type, actor, subject, ticket_id, workflow_id, proposal_id,
    event_data, prev_hash, hash)
SELECT
    item->>0, (item->>1)::bigint, item->>2, item->>3, item->>4, item->>5, (item->>6)::bigint,
    (item->>7)::bigint, (item->>8)::bigint, item->>9, item->>10, item->>11
FROM jsonb_array_elements(:items::jsonb) AS item
