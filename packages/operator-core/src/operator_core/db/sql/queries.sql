-- Every statement the ledger runs, by name. Parameters are named; no SQL is built from input.
-- A statement named <machine>.<event> is a transition: a test holds its states equal to the
-- life-cycle tables.

-- name: proposal.insert
INSERT INTO action_proposals (
    subject, ticket_id, action_name, action_type, parameters, reason, status, proposed_at,
    proposed_by, validated_at, cancelled_at, approved_at, approved_by, rejected_at, rejected_by,
    rejection_reason, workflow_id, execution_order, depends_on_proposal_id, compensation,
    compensates_proposal_id, scheduled_at, schedule_id, schedule_due_at, retry_count, max_retries,
    next_retry_at, last_error, disruptive, created_at, updated_at)
VALUES (
    :subject, :ticket_id, :action_name, :action_type, :parameters, :reason, :status, :proposed_at,
    :proposed_by, :validated_at, :cancelled_at, :approved_at, :approved_by, :rejected_at,
    :rejected_by, :rejection_reason, :workflow_id, :execution_order, :depends_on_proposal_id,
    :compensation, :compensates_proposal_id, :scheduled_at, :schedule_id, :schedule_due_at,
    :retry_count, :max_retries, :next_retry_at, :last_error, :disruptive, :now, :now)
RETURNING *

-- Of what is proposed, validated and claimed in one transaction.
-- name: proposal.insert_claimed
INSERT INTO action_proposals (
    subject, ticket_id, action_name, action_type, parameters, reason, status, proposed_at,
    proposed_by, validated_at, approved_at, approved_by, workflow_id, execution_order,
    depends_on_proposal_id, compensation, max_retries, disruptive, owner, lease_expires_at, fence,
    created_at, updated_at)
VALUES (
    :subject, :ticket_id, :action_name, :action_type, :parameters, :reason, 'executing',
    :proposed_at, :proposed_by, :validated_at, :approved_at, :approved_by, :workflow_id,
    :execution_order, :depends_on_proposal_id, :compensation, :max_retries, :disruptive, :owner,
    :lease_expires_at, 1, :now, :now)
RETURNING *

-- name: proposal.get
SELECT * FROM action_proposals WHERE id = :id

-- name: proposal.get_each
SELECT * FROM action_proposals WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id

-- name: proposal.claimable
SELECT * FROM action_proposals WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id

-- name: proposal.exists
SELECT 1 AS present FROM action_proposals WHERE id = :id

-- name: proposal.list
SELECT * FROM action_proposals
WHERE (:status IS NULL OR status = :status)
  AND (:ticket_id IS NULL OR ticket_id = :ticket_id)
  AND (:workflow_id IS NULL OR workflow_id = :workflow_id)
  AND (:subject IS NULL OR subject = :subject)
  AND id > :after_id
ORDER BY id LIMIT :limit

-- name: proposal.list_by_status
SELECT * FROM action_proposals WHERE status = :status AND id > :after_id ORDER BY id LIMIT :limit

-- name: proposal.list_of_workflow
SELECT * FROM action_proposals WHERE workflow_id = :workflow_id ORDER BY execution_order, id

-- name: proposal.of_workflows
SELECT * FROM action_proposals
WHERE workflow_id IN (SELECT value FROM json_each(:workflow_ids))
ORDER BY workflow_id, execution_order, id

-- The steps after others in their workflows; what undoes a step is none.
-- name: proposal.next_steps
SELECT * FROM action_proposals
WHERE depends_on_proposal_id IN (SELECT value FROM json_each(:ids))
  AND workflow_id IS NOT NULL AND compensates_proposal_id IS NULL
ORDER BY id

-- What the roll-up of workflows needs of their steps.
-- name: workflow.states_of_steps
SELECT workflow_id, status, next_retry_at, retry_count, max_retries FROM action_proposals
WHERE workflow_id IN (SELECT value FROM json_each(:ids))

-- name: proposal.validate
UPDATE action_proposals
SET status = 'validated', validated_at = :now, updated_at = :now,
    parameters = COALESCE(:parameters, parameters), disruptive = COALESCE(:disruptive, disruptive),
    approved_at = COALESCE(approved_at, CASE held WHEN 0 THEN :approved_at END),
    approved_by = COALESCE(approved_by, CASE held WHEN 0 THEN :approved_by END)
WHERE id = :id AND status IN ('proposed')
RETURNING *

-- name: proposal.void_approval
UPDATE action_proposals SET approved_at = NULL, approved_by = NULL, updated_at = :now
WHERE id = :id AND status = 'proposed' AND approved_at IS NOT NULL
RETURNING *

-- name: proposal.claim
UPDATE action_proposals
SET status = 'executing', owner = :owner, lease_expires_at = :lease_expires_at,
    fence = fence + 1, in_doubt = 0, cancel_requested_at = NULL, failure_counted = 0,
    updated_at = :now
WHERE id = :id AND status IN ('validated')
RETURNING *

-- name: proposal.complete
UPDATE action_proposals
SET status = 'completed', owner = NULL, lease_expires_at = NULL, in_doubt = 0,
    last_error = NULL, updated_at = :now
WHERE id = :id AND status IN ('executing') AND (:fence IS NULL OR fence = :fence)
RETURNING *

-- name: proposal.fail
UPDATE action_proposals
SET status = 'failed', owner = NULL, lease_expires_at = NULL, in_doubt = 0,
    effect = effect + :key_spent, updated_at = :now
WHERE id = :id AND status IN ('executing') AND (:fence IS NULL OR fence = :fence)
RETURNING *

-- name: proposal.abort
UPDATE action_proposals
SET status = 'cancelled', owner = NULL, lease_expires_at = NULL, in_doubt = 0,
    cancelled_at = :now, updated_at = :now
WHERE id = :id AND status IN ('executing') AND (:fence IS NULL OR fence = :fence)
RETURNING *

-- It was sent, and is to be sent again: nobody's until then, and whoever comes first has it.
-- name: proposal.await_resend
UPDATE action_proposals
SET owner = NULL, lease_expires_at = :due, retry_count = retry_count + 1, last_error = :error,
    updated_at = :now
WHERE id = :id AND status = 'executing' AND in_doubt = 0 AND fence = :fence
RETURNING *

-- name: proposal.resend
UPDATE action_proposals
SET owner = :owner, lease_expires_at = :lease_expires_at, fence = fence + 1, updated_at = :now
WHERE id = :id AND status = 'executing' AND in_doubt = 0 AND owner IS NULL
  AND lease_expires_at <= :now

-- name: proposal.doubt
UPDATE action_proposals
SET status = 'executing', in_doubt = 1, last_error = :error, updated_at = :now
WHERE id = :id AND status IN ('validated')
RETURNING *

-- name: proposal.cancel
UPDATE action_proposals
SET status = 'cancelled', cancelled_at = :now, updated_at = :now
WHERE id = :id AND status IN ('proposed', 'validated')
RETURNING *

-- name: proposal.retry
UPDATE action_proposals
SET status = 'validated', next_retry_at = NULL, failure_counted = 0, updated_at = :now
WHERE id = :id AND status IN ('failed') AND retry_count < max_retries
RETURNING *

-- name: proposal.mark_in_doubt
UPDATE action_proposals
SET in_doubt = 1, lease_expires_at = NULL, last_error = :error, updated_at = :now
WHERE id = :id AND status = 'executing' AND (:fence IS NULL OR fence = :fence)
RETURNING *

-- name: proposal.renew_lease
UPDATE action_proposals SET lease_expires_at = :lease_expires_at, updated_at = :now
WHERE id = :id AND status = 'executing' AND fence = :fence AND owner = :owner AND in_doubt = 0

-- name: proposal.take_over
UPDATE action_proposals
SET owner = :owner, lease_expires_at = :lease_expires_at, fence = fence + 1, updated_at = :now
WHERE id = :id AND status = 'executing' AND fence = :fence AND in_doubt = 0
  AND (lease_expires_at IS NULL OR lease_expires_at <= :now)
RETURNING *

-- name: proposal.request_cancel
UPDATE action_proposals SET cancel_requested_at = :now, updated_at = :updated_at
WHERE id = :id AND status = 'executing'
RETURNING *

-- name: proposal.running
SELECT p.fence, p.owner, p.cancel_requested_at, p.status, s.killed_at
FROM action_proposals p LEFT JOIN safety s ON s.id = 1
WHERE p.id = :id

-- name: proposal.executing
SELECT * FROM action_proposals WHERE status = 'executing' ORDER BY id

-- name: proposal.expired
SELECT * FROM action_proposals
WHERE status = 'executing' AND in_doubt = 0
  AND (lease_expires_at IS NULL OR (owner IS NOT NULL AND lease_expires_at <= :now))
ORDER BY lease_expires_at, id

-- What is to be sent again now.
-- name: proposal.resend_due
SELECT p.* FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.status = 'executing' AND p.in_doubt = 0 AND p.owner IS NULL
  AND p.lease_expires_at <= :now
  AND (:subject IS NULL OR p.subject IS NULL OR p.subject = :subject)
  AND w.paused_at IS NULL
ORDER BY p.lease_expires_at, p.id LIMIT :limit

-- name: proposal.resend_of_ticket
SELECT p.* FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.ticket_id = :ticket_id AND p.status = 'executing' AND p.in_doubt = 0 AND p.owner IS NULL
  AND w.id IS NULL
ORDER BY p.id

-- name: proposal.owners
SELECT DISTINCT owner FROM action_proposals
WHERE status = 'executing' AND in_doubt = 0 AND owner <> :owner AND lease_expires_at > :now

-- What others run; a living owner writes its lease anew within moments.
-- name: proposal.leased
SELECT * FROM action_proposals
WHERE status = 'executing' AND in_doubt = 0 AND owner <> :owner AND lease_expires_at IS NOT NULL
ORDER BY id

-- What waits for a backoff or a wait step, and was set to wait later than now. A wait step is found
-- by its workflow: what is due some day may be a million rows.
-- name: proposal.waits_ahead
SELECT p.id, p.next_retry_at AS due, r.completed_at AS set_at, '' AS parameters
FROM action_proposals p JOIN action_records r ON r.id = (
    SELECT MAX(l.id) FROM action_records l WHERE l.proposal_id = p.id)
WHERE p.status = 'failed' AND p.next_retry_at IS NOT NULL AND p.next_retry_at > :now
  AND p.retry_count < p.max_retries AND r.completed_at > :later
  AND p.next_retry_at >= r.completed_at
UNION ALL
SELECT p.id, p.lease_expires_at, r.completed_at, ''
FROM action_proposals p JOIN action_records r ON r.id = (
    SELECT MAX(l.id) FROM action_records l WHERE l.proposal_id = p.id)
WHERE p.status = 'executing' AND p.in_doubt = 0 AND p.owner IS NULL AND p.lease_expires_at > :now
  AND r.completed_at > :later AND p.lease_expires_at >= r.completed_at
UNION ALL
SELECT p.id, p.scheduled_at, r.completed_at, d.parameters
FROM workflows w
CROSS JOIN action_proposals p
JOIN action_proposals d ON d.id = p.depends_on_proposal_id
JOIN action_records r ON r.id = (
    SELECT MAX(l.id) FROM action_records l WHERE l.proposal_id = d.id)
WHERE w.status IN ('pending', 'in_progress') AND p.workflow_id = w.id AND p.status = 'validated'
  AND p.scheduled_at > :now AND d.status = 'completed' AND d.action_type = 'tool'
  AND d.action_name = 'wait' AND r.completed_at > :later

-- name: proposal.wait_anew
UPDATE action_proposals
SET next_retry_at = CASE status WHEN 'failed' THEN :due ELSE next_retry_at END,
    lease_expires_at = CASE status WHEN 'executing' THEN :due ELSE lease_expires_at END,
    scheduled_at = CASE status WHEN 'validated' THEN :due ELSE scheduled_at END,
    updated_at = :now
WHERE id = :id AND in_doubt = 0 AND owner IS NULL
  AND CASE status WHEN 'failed' THEN next_retry_at WHEN 'executing' THEN lease_expires_at
      WHEN 'validated' THEN scheduled_at END = :was_due

-- name: proposal.end_lease
UPDATE action_proposals SET lease_expires_at = NULL, updated_at = :now
WHERE id = :id AND status = 'executing' AND in_doubt = 0 AND fence = :fence
  AND lease_expires_at = :lease_expires_at
RETURNING id

-- name: proposal.expire_leases
UPDATE action_proposals SET lease_expires_at = NULL, updated_at = :now
WHERE status = 'executing' AND in_doubt = 0 AND owner = :owner
  AND action_name IN (SELECT value FROM json_each(:actions))
RETURNING id

-- name: proposal.approve
UPDATE action_proposals
SET approved_at = :now, approved_by = :approved_by, held = 0, updated_at = :now
WHERE id = :id AND status IN ('proposed', 'validated')
  AND (approved_at IS NULL OR held = 1) AND rejected_at IS NULL
RETURNING *

-- name: proposal.hold
UPDATE action_proposals SET held = 1, approved_at = NULL, approved_by = NULL, updated_at = :now
WHERE id = :id AND status IN ('proposed', 'validated')
RETURNING *

-- What may still become runnable, or be undone, without a new decision. Its approval stays as
-- history where it has been used, and counts no more.
-- name: proposal.hold_begun
UPDATE action_proposals SET held = 1, updated_at = :now
WHERE held = 0 AND (status IN ('executing', 'failed') OR workflow_id IN (
    SELECT id FROM workflows WHERE status IN ('pending', 'in_progress') OR compensation_due = 1))

-- name: proposal.let_go_of_workflow
UPDATE action_proposals SET held = 0, updated_at = :now
WHERE workflow_id = :workflow_id AND held = 1

-- name: proposal.reject
UPDATE action_proposals
SET status = 'cancelled', cancelled_at = :now, updated_at = :now,
    rejected_at = :now, rejected_by = :rejected_by, rejection_reason = :reason,
    approved_at = NULL, approved_by = NULL
WHERE id = :id AND status IN ('proposed', 'validated')
RETURNING *

-- name: proposal.schedule
UPDATE action_proposals SET scheduled_at = :scheduled_at, updated_at = :now
WHERE id = :id AND status IN ('proposed', 'validated')
RETURNING *

-- name: proposal.delay_followers
UPDATE action_proposals SET scheduled_at = :scheduled_at, updated_at = :now
WHERE depends_on_proposal_id = :id AND status IN ('proposed', 'validated')
  AND (scheduled_at IS NULL OR scheduled_at < :scheduled_at)

-- name: proposal.count_failure
UPDATE action_proposals
SET retry_count = retry_count + 1, last_error = :error, updated_at = :now
WHERE id = :id AND status = 'failed'
RETURNING *

-- name: proposal.set_next_retry
UPDATE action_proposals
SET next_retry_at = :next_retry_at, failure_counted = :failure_counted, updated_at = :now
WHERE id = :id AND status = 'failed'
RETURNING *

-- name: proposal.set_counted
UPDATE action_proposals SET failure_counted = :counted, updated_at = :now
WHERE id = :id AND status = 'failed'

-- What disrupts waits for its turn outside the list: it would only be refused, and hide others.
-- name: proposal.ready
SELECT p.* FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.status = 'validated' AND COALESCE(p.scheduled_at, '') <= :now AND p.held = 0
  AND (:subject IS NULL OR p.subject IS NULL OR p.subject = :subject)
  AND (p.approved_at IS NOT NULL
       OR (w.approved_at IS NOT NULL AND w.status IN ('pending', 'in_progress')
           AND w.approved_steps LIKE '%"' || p.id || '":%'))
  AND w.paused_at IS NULL
  AND (p.depends_on_proposal_id IS NULL OR EXISTS (
       SELECT 1 FROM action_proposals d
       WHERE d.id = p.depends_on_proposal_id AND d.status = 'completed'))
  AND (p.disruptive = 0 OR NOT EXISTS (
       SELECT 1 FROM action_proposals r
       WHERE r.status = 'executing' AND r.disruptive = 1
         AND COALESCE(r.subject, '') = COALESCE(p.subject, '')))
ORDER BY COALESCE(p.scheduled_at, ''), p.id LIMIT :limit

-- name: proposal.ready_scheduled
SELECT p.* FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.status = 'validated' AND p.held = 0
  AND COALESCE(p.scheduled_at, '') > '' AND COALESCE(p.scheduled_at, '') <= :now
  AND (p.approved_at IS NOT NULL
       OR (w.approved_at IS NOT NULL AND w.status IN ('pending', 'in_progress')
           AND w.approved_steps LIKE '%"' || p.id || '":%'))
  AND w.paused_at IS NULL
  AND (p.depends_on_proposal_id IS NULL OR EXISTS (
       SELECT 1 FROM action_proposals d
       WHERE d.id = p.depends_on_proposal_id AND d.status = 'completed'))
ORDER BY COALESCE(p.scheduled_at, ''), p.id

-- name: proposal.retry_eligible
SELECT * FROM action_proposals
WHERE status = 'failed' AND next_retry_at IS NOT NULL AND next_retry_at <= :now
  AND retry_count < max_retries
ORDER BY next_retry_at, id

-- What is seldom there, so that who dispatches need not ask for each.
-- name: dispatch.look
SELECT s.mode,
    EXISTS (SELECT 1 FROM action_proposals
            WHERE status = 'failed' AND next_retry_at IS NOT NULL AND next_retry_at <= :now
              AND retry_count < max_retries) AS has_retries,
    EXISTS (SELECT 1 FROM action_proposals
            WHERE status = 'executing' AND in_doubt = 0 AND owner IS NULL
              AND lease_expires_at <= :now) AS has_resends
FROM safety s WHERE s.id = 1

-- name: proposal.next_due
SELECT MIN(due) AS due FROM (
    SELECT MIN(COALESCE(scheduled_at, '')) AS due FROM action_proposals
    WHERE status = 'validated' AND COALESCE(scheduled_at, '') > :now
    UNION ALL
    SELECT MIN(next_retry_at) FROM action_proposals
    WHERE status = 'failed' AND next_retry_at IS NOT NULL AND next_retry_at > :now
    UNION ALL
    SELECT MIN(lease_expires_at) FROM action_proposals
    WHERE status = 'executing' AND in_doubt = 0 AND owner IS NULL AND lease_expires_at > :now
    UNION ALL
    SELECT MIN(next_due_at) FROM schedules WHERE enabled = 1 AND next_due_at > :now
) AS times

-- name: proposal.pending
SELECT * FROM action_proposals WHERE status IN ('proposed', 'validated') ORDER BY id

-- name: proposal.pending_alone
SELECT * FROM action_proposals
WHERE status = :status AND workflow_id IS NULL AND fence = 0
LIMIT :limit

-- name: proposal.waiting_retry
SELECT * FROM action_proposals
WHERE status = 'failed' AND next_retry_at > '' ORDER BY id

-- name: proposal.not_started_of_ticket
SELECT p.* FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.ticket_id = :ticket_id AND p.status IN ('proposed', 'validated')
  AND (w.id IS NULL OR w.status = 'pending')
ORDER BY p.id

-- name: proposal.waiting_retry_of_ticket
SELECT p.* FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.ticket_id = :ticket_id AND p.status = 'failed' AND p.next_retry_at IS NOT NULL
  AND w.id IS NULL
ORDER BY p.id

-- name: record.insert
INSERT INTO action_records (
    proposal_id, started_at, completed_at, success, error_message, result_data, outcome,
    idempotency_key, owner, fence)
VALUES (
    :proposal_id, :started_at, :completed_at, :success, :error_message, :result_data, :outcome,
    :idempotency_key, :owner, :fence)
RETURNING *

-- name: record.finish
UPDATE action_records
SET completed_at = :now, success = :success, outcome = :outcome,
    error_message = :error_message, result_data = :result_data
WHERE id = :id
RETURNING *

-- name: record.get
SELECT * FROM action_records WHERE id = :id

-- name: record.list
SELECT * FROM action_records WHERE proposal_id = :proposal_id ORDER BY id

-- name: record.latest
SELECT * FROM action_records WHERE proposal_id = :proposal_id ORDER BY id DESC LIMIT 1

-- name: workflow.insert
INSERT INTO workflows (subject, name, description, ticket_id, status, created_at, updated_at)
VALUES (:subject, :name, :description, :ticket_id, 'pending', :now, :now)
RETURNING *

-- name: workflow.get
SELECT * FROM workflows WHERE id = :id

-- name: workflow.get_each
SELECT * FROM workflows WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id

-- As people look at it: with whether a step, or what undoes one, is in doubt.
-- name: workflow.show
SELECT w.*, EXISTS (
    SELECT 1 FROM action_proposals p
    WHERE p.workflow_id = w.id AND p.status = 'executing' AND p.in_doubt = 1) AS in_doubt
FROM workflows w WHERE w.id = :id

-- name: workflow.list
SELECT w.*, EXISTS (
    SELECT 1 FROM action_proposals p
    WHERE p.workflow_id = w.id AND p.status = 'executing' AND p.in_doubt = 1) AS in_doubt
FROM workflows w
WHERE (:status IS NULL OR status = :status)
  AND (:ticket_id IS NULL OR ticket_id = :ticket_id)
  AND id > :after_id
ORDER BY id LIMIT :limit

-- name: workflow.start
UPDATE workflows SET status = 'in_progress', updated_at = :now
WHERE id = :id AND status IN ('pending')
RETURNING *

-- name: workflow.complete
UPDATE workflows SET status = 'completed', paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id = :id AND status IN ('pending', 'in_progress')
RETURNING *

-- name: workflow.fail
UPDATE workflows SET status = 'failed', updated_at = :now
WHERE id = :id AND status IN ('pending', 'in_progress')
RETURNING *

-- name: workflow.cancel
UPDATE workflows SET status = 'cancelled', paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id = :id AND status IN ('pending', 'in_progress')
RETURNING *

-- name: workflow.approve
UPDATE workflows
SET approved_at = :now, approved_by = :approved_by, approved_steps = :approved_steps,
    updated_at = :now
WHERE id = :id AND status IN ('pending', 'in_progress') AND approved_at IS NULL
RETURNING *

-- name: workflow.void_approval
UPDATE workflows
SET approved_at = NULL, approved_by = NULL, approved_steps = NULL, updated_at = :now
WHERE id = :id AND status IN ('pending', 'in_progress') AND approved_at IS NOT NULL
RETURNING *

-- name: workflow.pause
UPDATE workflows SET paused_at = :now, paused_by = :paused_by, updated_at = :now
WHERE id = :id AND status IN ('pending', 'in_progress') AND paused_at IS NULL
RETURNING *

-- name: workflow.resume
UPDATE workflows SET paused_at = NULL, paused_by = NULL, updated_at = :now
WHERE id = :id AND paused_at IS NOT NULL
RETURNING *

-- name: workflow.set_compensation_due
UPDATE workflows SET compensation_due = :due, updated_at = :now WHERE id = :id

-- name: workflow.forget_compensations
UPDATE workflows SET compensation_due = 0, updated_at = :now WHERE compensation_due = 1

-- name: workflow.unfinished
SELECT * FROM workflows WHERE status IN ('pending', 'in_progress') ORDER BY id

-- name: workflow.not_started_of_ticket
SELECT * FROM workflows WHERE ticket_id = :ticket_id AND status = 'pending' ORDER BY id

-- name: schedule.insert
INSERT INTO schedules (
    subject, name, cron, time_zone, action_name, action_type, parameters, reason, missed_policy,
    next_due_at, created_at, created_by)
VALUES (
    :subject, :name, :cron, :time_zone, :action_name, :action_type, :parameters, :reason,
    :missed_policy, :next_due_at, :now, :created_by)
ON CONFLICT (name) DO NOTHING
RETURNING *

-- name: schedule.get
SELECT * FROM schedules WHERE name = :name

-- name: schedule.list
SELECT * FROM schedules WHERE id > :after_id ORDER BY id LIMIT :limit

-- name: schedule.enabled
SELECT * FROM schedules WHERE enabled = 1 ORDER BY id

-- name: schedule.due
SELECT * FROM schedules
WHERE enabled = 1 AND next_due_at <= :now
  AND (:subject IS NULL OR subject IS NULL OR subject = :subject)
ORDER BY next_due_at, id

-- name: schedule.later
SELECT * FROM schedules
WHERE enabled = 1 AND next_due_at > :now
  AND (:subject IS NULL OR subject IS NULL OR subject = :subject)
ORDER BY next_due_at, id

-- name: schedule.run
SELECT id FROM action_proposals WHERE schedule_id = :id AND schedule_due_at = :due

-- name: schedule.enable
UPDATE schedules SET enabled = 1, next_due_at = :next_due_at WHERE name = :name AND enabled = 0
RETURNING *

-- name: schedule.disable
UPDATE schedules SET enabled = 0 WHERE name = :name AND enabled = 1
RETURNING *

-- name: schedule.delete
DELETE FROM schedules WHERE name = :name
RETURNING *

-- Whoever comes second finds another time there, and no row.
-- name: schedule.advance
UPDATE schedules SET next_due_at = :next_due_at
WHERE id = :id AND next_due_at = :expected AND enabled = 1
RETURNING *

-- name: schedule.fired
UPDATE schedules SET last_due_at = :due, last_proposal_id = :proposal_id WHERE id = :id
RETURNING *

-- name: safety.get
SELECT * FROM safety WHERE id = 1

-- name: safety.of_claim
SELECT * FROM safety WHERE id = 1

-- name: safety.insert
INSERT INTO safety (id, mode, changed_at, changed_by) VALUES (1, :mode, :now, :actor)
RETURNING *

-- name: safety.set_mode
UPDATE safety
SET mode = :mode, changed_at = :now, changed_by = :actor, revision = revision + 1,
    killed_at = CASE WHEN :mode = 'execute' THEN NULL ELSE killed_at END,
    killed_by = CASE WHEN :mode = 'execute' THEN NULL ELSE killed_by END,
    kill_reason = CASE WHEN :mode = 'execute' THEN NULL ELSE kill_reason END
WHERE id = 1
RETURNING *

-- name: safety.kill
UPDATE safety
SET mode = 'observe', killed_at = :now, killed_by = :actor, kill_reason = :reason,
    changed_at = :now, changed_by = :actor, revision = revision + 1
WHERE id = 1
RETURNING *

-- name: ledger.get
SELECT * FROM ledger WHERE id = 1

-- name: ledger.restore
UPDATE ledger SET ledger_id = :ledger_id, backup_at = NULL WHERE id = 1

-- name: ledger.version
SELECT MAX(version) AS version FROM schema_migrations

-- name: ledger.insert
INSERT INTO ledger (id, ledger_id, created_at) VALUES (1, :ledger_id, :now) RETURNING *

-- name: audit.head
SELECT seq, hash FROM audit_log WHERE writer = :writer ORDER BY seq DESC LIMIT 1

-- name: audit.insert
INSERT INTO audit_log (
    writer, seq, timestamp, event_type, actor, subject, ticket_id, workflow_id, proposal_id,
    event_data, prev_hash, hash)
VALUES (
    :writer, :seq, :timestamp, :event_type, :actor, :subject, :ticket_id, :workflow_id,
    :proposal_id, :event_data, :prev_hash, :hash)

-- name: audit.other_heads
SELECT writer, seq, hash FROM audit_log
WHERE id > (SELECT MAX(id) FROM audit_log) - 1000 AND writer <> :writer
  AND seq = (SELECT MAX(seq) FROM audit_log AS later WHERE later.writer = audit_log.writer)
ORDER BY writer

-- name: audit.begin_chain
INSERT INTO audit_chains (writer, heads, started_at) VALUES (:writer, :heads, :now)

-- name: audit.chains
SELECT * FROM audit_chains ORDER BY writer

-- name: audit.at
SELECT * FROM audit_log WHERE writer = :writer AND seq = :seq

-- name: audit.list
SELECT * FROM audit_log
WHERE (:proposal_id IS NULL OR proposal_id = :proposal_id)
  AND (:ticket_id IS NULL OR ticket_id = :ticket_id)
  AND (:workflow_id IS NULL OR workflow_id = :workflow_id)
  AND (:event_type IS NULL OR event_type = :event_type)
  AND id > :after_id
ORDER BY id LIMIT :limit

-- name: audit.list_newest
SELECT * FROM audit_log
WHERE (:proposal_id IS NULL OR proposal_id = :proposal_id)
  AND (:ticket_id IS NULL OR ticket_id = :ticket_id)
  AND (:workflow_id IS NULL OR workflow_id = :workflow_id)
  AND (:event_type IS NULL OR event_type = :event_type)
  AND id > :after_id
ORDER BY id DESC LIMIT :limit

-- name: audit.group_of_ticket
SELECT * FROM audit_log
WHERE ticket_id = :ticket_id AND event_type IN ('ticket_grouped', 'ticket_took_in') ORDER BY id

-- name: audit.of_type
SELECT * FROM audit_log WHERE event_type = :event_type ORDER BY id

-- name: audit.last_of_type
SELECT * FROM audit_log
WHERE event_type = :event_type AND id > (SELECT MAX(id) FROM audit_log) - :rows
ORDER BY id DESC LIMIT 1

-- The last row of a chain always stays: the next one follows from it.
-- name: audit.prunable
SELECT writer, MIN(seq) AS first,
    COALESCE(MIN(CASE WHEN timestamp >= :before THEN seq END), MAX(seq)) - 1 AS last
FROM audit_log GROUP BY writer ORDER BY writer

-- name: audit.prune
DELETE FROM audit_log WHERE writer = :writer AND seq <= :seq

-- name: audit.chain
SELECT * FROM audit_log WHERE (writer, seq) > (:writer, :seq) ORDER BY writer, seq LIMIT :limit

-- name: lease.acquire
INSERT INTO leases (name, holder, expires_at, fence) VALUES (:name, :holder, :expires_at, 1)
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder, expires_at = excluded.expires_at,
    fence = leases.fence
        + CASE WHEN leases.holder = excluded.holder AND leases.expires_at > :now THEN 0 ELSE 1 END
WHERE leases.holder = excluded.holder OR leases.expires_at <= :now
RETURNING *

-- name: lease.get
SELECT * FROM leases WHERE name = :name

-- name: lease.list
SELECT * FROM leases ORDER BY name

-- name: lease.renew
UPDATE leases SET expires_at = :expires_at
WHERE name = :name AND holder = :holder AND fence = :fence
RETURNING *

-- name: lease.release
UPDATE leases SET expires_at = :now
WHERE name = :name AND holder = :holder AND fence = :fence AND expires_at > :now
RETURNING *

-- name: ticket.insert
INSERT INTO tickets (
    subject, violation_key, invariant_name, target, message, severity, metric_snapshot,
    first_seen_at, last_seen_at, created_at, updated_at)
VALUES (
    :subject, :violation_key, :invariant_name, :target, :message, :severity, :metric_snapshot,
    :first_seen_at, :now, :now, :now)
RETURNING *

-- name: ticket.get
SELECT * FROM tickets WHERE id = :id

-- name: ticket.list
SELECT * FROM tickets
WHERE (:status IS NULL OR status = :status)
  AND (:subject IS NULL OR subject = :subject)
  AND (:unresolved = 0 OR status <> 'resolved')
  AND id > :after_id
ORDER BY id LIMIT :limit

-- name: ticket.open_for_key
SELECT * FROM tickets
WHERE violation_key = :violation_key AND status <> 'resolved'
  AND COALESCE(subject, '') = COALESCE(:subject, '')

-- name: ticket.resolved_since
SELECT * FROM tickets
WHERE violation_key = :violation_key AND status = 'resolved' AND resolved_at >= :since
  AND COALESCE(subject, '') = COALESCE(:subject, '')
ORDER BY resolved_at DESC LIMIT 1

-- name: ticket.seen_again
UPDATE tickets
SET last_seen_at = :now, occurrence_count = occurrence_count + 1, message = :message,
    severity = :severity, metric_snapshot = :metric_snapshot, updated_at = :now
WHERE id = :id AND status <> 'resolved'
RETURNING *

-- name: ticket.acknowledge
UPDATE tickets
SET status = 'acknowledged', acknowledged_at = :now, acknowledged_by = :actor, updated_at = :now
WHERE id = :id AND status IN ('open')
RETURNING *

-- name: ticket.diagnose
UPDATE tickets
SET status = 'diagnosed', diagnosed_at = :diagnosed_at, phase = :phase, phase_since = :now,
    updated_at = :now
WHERE id = :id AND status IN ('open', 'acknowledged', 'diagnosed')
RETURNING *

-- name: ticket.resolve
UPDATE tickets
SET status = 'resolved', resolved_at = :now, resolved_by = :actor, resolution = :resolution,
    phase = NULL, updated_at = :now
WHERE id = :id AND status IN ('open', 'acknowledged', 'diagnosed')
RETURNING *

-- name: ticket.reopen
UPDATE tickets
SET status = 'open', resolved_at = NULL, resolved_by = NULL, resolution = NULL, phase = NULL,
    root_ticket_id = NULL, diagnosed_at = NULL, flap_count = flap_count + 1, occurrence_count = occurrence_count + 1,
    last_seen_at = :now, message = :message, severity = :severity,
    metric_snapshot = :metric_snapshot, updated_at = :now
WHERE id = :id AND status IN ('resolved')
RETURNING *

-- name: ticket.hold
UPDATE tickets
SET held = :held, held_by = :actor, hold_reason = :reason, updated_at = :now
WHERE id = :id AND status <> 'resolved' AND held <> :held
RETURNING *

-- name: ticket.set_phase
UPDATE tickets SET phase = :phase, phase_since = :now, updated_at = :now
WHERE id = :id AND status <> 'resolved'
RETURNING *

-- name: ticket.stand_alone
UPDATE tickets
SET status = 'open', root_ticket_id = NULL, diagnosed_at = NULL, phase = NULL, phase_since = :now,
    updated_at = :now
WHERE id = :id AND status IN ('diagnosed')
RETURNING *

-- A root follows nobody, so that groups are one level deep.
-- name: ticket.group
UPDATE tickets
SET root_ticket_id = :root_ticket_id, phase = :phase, phase_since = :now, updated_at = :now
WHERE id = :id AND status = 'diagnosed'
  AND (:root_ticket_id IS NULL OR EXISTS (
       SELECT 1 FROM tickets r
       WHERE r.id = :root_ticket_id AND r.status = 'diagnosed' AND r.root_ticket_id IS NULL))
RETURNING *

-- name: ticket.followers
SELECT * FROM tickets WHERE root_ticket_id = :id ORDER BY id

-- Whoever puts tickets into groups does it alone; SQLite has one writer anyway.
-- name: ticket.lock_diagnosed
SELECT id FROM tickets WHERE status = 'diagnosed' AND subject = :subject ORDER BY id

-- What the rule of groups reads. Committed: somebody but the agent proposed something for it, or
-- approved it, or it has begun.
-- name: ticket.groupable
SELECT t.*, d.content AS diagnosis, r.resolved_at AS root_resolved_at, (
    SELECT COUNT(*) FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
    WHERE p.ticket_id = t.id
      AND (p.status = 'executing' OR w.status = 'in_progress'
           OR (p.status = 'failed' AND p.next_retry_at IS NOT NULL)
           OR (p.status IN ('proposed', 'validated')
               AND (p.proposed_by <> :agent OR p.approved_at IS NOT NULL
                    OR w.approved_at IS NOT NULL)))
) AS committed
FROM tickets t
JOIN diagnoses d ON d.id = (SELECT MAX(id) FROM diagnoses WHERE ticket_id = t.id)
LEFT JOIN tickets r ON r.id = t.root_ticket_id
WHERE t.status = 'diagnosed' AND t.subject = :subject
ORDER BY t.id

-- Diagnosed, and nothing of it is under way: nothing approved, begun, in doubt or proposed by
-- somebody else, and nobody but the agent has stopped a proposal of its present diagnosis.
-- name: ticket.reconsidered
SELECT t.* FROM tickets t
WHERE t.status = 'diagnosed' AND t.held = 0 AND t.root_ticket_id IS NULL
  AND (t.phase = 'escalated' OR t.phase IS NULL AND NOT EXISTS (
    SELECT 1 FROM action_proposals p
    WHERE p.ticket_id = t.id AND p.proposed_at >= t.diagnosed_at
      AND p.status IN ('completed', 'failed')))
  AND (:subject IS NULL OR t.subject = :subject)
  AND (:id IS NULL OR t.id = :id)
  AND NOT EXISTS (
    SELECT 1 FROM action_proposals p LEFT JOIN workflows w ON w.id = p.workflow_id
    WHERE p.ticket_id = t.id
      AND (p.status = 'executing' OR w.status = 'in_progress' OR w.compensation_due = 1
           OR (p.status = 'failed' AND p.next_retry_at IS NOT NULL)
           OR (p.status IN ('proposed', 'validated')
               AND (p.proposed_by <> :agent OR p.approved_at IS NOT NULL
                    OR w.approved_at IS NOT NULL))))
  AND NOT EXISTS (
    SELECT 1 FROM action_proposals p JOIN audit_log a ON a.proposal_id = p.id
    WHERE p.ticket_id = t.id AND p.proposed_at >= t.diagnosed_at
      AND a.event_type IN ('proposal_rejected', 'proposal_cancelled') AND a.actor <> :agent)
  AND NOT EXISTS (
    SELECT 1 FROM verifications v
    WHERE v.ticket_id = t.id AND v.diagnosed_at = t.diagnosed_at AND v.verdict = 'waiting')
ORDER BY t.id

-- name: ticket.undiagnosed
SELECT * FROM tickets
WHERE status IN ('open', 'acknowledged') AND held = 0
  AND (:subject IS NULL OR subject = :subject)
ORDER BY id

-- name: ticket.of_phase
SELECT * FROM tickets
WHERE status <> 'resolved' AND phase = :phase AND (:subject IS NULL OR subject = :subject)
ORDER BY id

-- name: comment.insert
INSERT INTO ticket_comments (ticket_id, author, body, created_at)
VALUES (:ticket_id, :author, :body, :now)
RETURNING *

-- name: comment.list
SELECT * FROM ticket_comments WHERE ticket_id = :ticket_id ORDER BY id

-- name: sighting.list
SELECT * FROM sightings WHERE subject = :subject

-- name: sighting.put
INSERT INTO sightings (subject, violation_key, violation, first_seen_at, last_seen_at, clear_since)
VALUES (:subject, :violation_key, :violation, :first_seen_at, :last_seen_at, :clear_since)
ON CONFLICT (subject, violation_key) DO UPDATE SET
    violation = excluded.violation, first_seen_at = excluded.first_seen_at,
    last_seen_at = excluded.last_seen_at, clear_since = excluded.clear_since

-- name: sighting.prunable
SELECT COUNT(*) AS count FROM sightings WHERE last_seen_at < :before

-- name: sighting.prune
DELETE FROM sightings WHERE last_seen_at < :before

-- name: sighting.delete
DELETE FROM sightings WHERE subject = :subject AND violation_key = :violation_key

-- name: observation.insert
INSERT INTO observations (
    subject, observed_at, complete, digest, content, size_bytes, ticket_id, created_at)
VALUES (
    :subject, :observed_at, :complete, :digest, :content, :size_bytes, :ticket_id, :now)
RETURNING id

-- name: observation.get
SELECT * FROM observations WHERE id = :id

-- name: observation.latest
SELECT * FROM observations WHERE subject = :subject ORDER BY id DESC LIMIT 1

-- name: observation.recent_ids
SELECT id FROM observations WHERE subject = :subject ORDER BY id DESC LIMIT :limit

-- name: observation.before
SELECT * FROM observations
WHERE subject = :subject AND complete >= :complete AND observed_at <= :at
ORDER BY id DESC LIMIT 1

-- name: observation.digest
SELECT digest FROM observations WHERE id = :id

-- name: observation.between
SELECT * FROM observations
WHERE subject = :subject AND observed_at BETWEEN :since AND :until
ORDER BY id LIMIT :limit

-- name: observation.prunable
SELECT COUNT(*) AS count FROM observations AS o
WHERE observed_at < :before AND kept_as <> 'evidence'
  AND id < (SELECT MAX(id) FROM observations AS later
            WHERE COALESCE(later.subject, '') = COALESCE(o.subject, ''))

-- Looks that are too old. The latest of each cluster stays.
-- name: observation.old
SELECT id FROM observations AS o
WHERE kept_as IN ('fresh', 'minute', 'hour', 'incident') AND observed_at < :before
  AND EXISTS (SELECT 1 FROM observations AS later
              WHERE COALESCE(later.subject, '') = COALESCE(o.subject, '') AND later.id > o.id)
ORDER BY observed_at, id LIMIT :limit

-- Looks of a cluster that have reached an age, the oldest first.
-- name: observation.due
SELECT id, observed_at FROM observations
WHERE subject = :subject AND kept_as = :kept_as AND observed_at < :before
  AND id < (SELECT MAX(id) FROM observations WHERE subject = :subject)
ORDER BY observed_at, id LIMIT :limit

-- name: observation.last_kept
SELECT MAX(observed_at) AS at FROM observations WHERE subject = :subject AND kept_as = :kept_as

-- name: observation.oldest
SELECT id, size_bytes FROM observations AS o
WHERE kept_as = :kept_as
  AND EXISTS (SELECT 1 FROM observations AS later
              WHERE COALESCE(later.subject, '') = COALESCE(o.subject, '') AND later.id > o.id)
ORDER BY observed_at, id LIMIT :limit

-- name: observation.keep_as
UPDATE observations SET kept_as = :kept_as
WHERE id IN (SELECT value FROM json_each(:ids)) AND kept_as <> 'evidence'

-- An operator of an older version names looks and pins none.
-- name: observation.drop
DELETE FROM observations
WHERE id IN (SELECT value FROM json_each(:ids)) AND kept_as <> 'evidence'
  AND NOT EXISTS (SELECT 1 FROM diagnoses WHERE diagnoses.observation_id = observations.id)
  AND NOT EXISTS (
    SELECT 1 FROM verifications WHERE verifications.baseline_id = observations.id)
RETURNING id, subject, size_bytes

-- name: observation.usage
SELECT kept_as, COUNT(*) AS looks, SUM(size_bytes) AS size_bytes, MIN(observed_at) AS oldest
FROM observations GROUP BY kept_as

-- name: looks.add
INSERT INTO looks_stored (subject, looks, size_bytes) VALUES (:subject, :looks, :size_bytes)
ON CONFLICT (subject) DO UPDATE SET looks = looks_stored.looks + excluded.looks,
    size_bytes = looks_stored.size_bytes + excluded.size_bytes

-- name: looks.another
INSERT INTO looks_stored (
    subject, looks, size_bytes, budget_bytes, max_age_seconds, around_seconds)
VALUES (:subject, 1, :size_bytes, :budget_bytes, :max_age_seconds, :around_seconds)
ON CONFLICT (subject) DO UPDATE SET looks = looks_stored.looks + 1,
    size_bytes = looks_stored.size_bytes + excluded.size_bytes,
    budget_bytes = excluded.budget_bytes, max_age_seconds = excluded.max_age_seconds,
    around_seconds = excluded.around_seconds

-- name: looks.stored
SELECT * FROM looks_stored ORDER BY subject

-- What is stored, counted anew: an operator of an older version stores and drops without a word.
-- name: looks.recount
UPDATE looks_stored
SET looks = (SELECT COUNT(*) FROM observations WHERE subject = :subject),
    size_bytes = (
        SELECT COALESCE(SUM(size_bytes), 0) FROM observations WHERE subject = :subject)
WHERE subject = :subject

-- Tickets of a cluster that were there at some time in a stretch of time.
-- name: ticket.spans
SELECT first_seen_at, resolved_at FROM tickets
WHERE subject = :subject AND resolved_at IS NULL AND first_seen_at <= :until
UNION ALL
SELECT first_seen_at, resolved_at FROM tickets
WHERE subject = :subject AND resolved_at >= :since AND first_seen_at <= :until

-- name: diagnosis.insert
INSERT INTO diagnoses (
    subject, ticket_id, observation_id, diagnoser, hypothesis, confidence, signature, content,
    created_at)
VALUES (
    :subject, :ticket_id, :observation_id, :diagnoser, :hypothesis, :confidence, :signature,
    :content, :now)
RETURNING *

-- name: past.tickets
SELECT DISTINCT d.ticket_id, d.hypothesis FROM diagnoses d
JOIN tickets t ON t.id = d.ticket_id
WHERE d.signature = :signature AND t.status = 'resolved'
ORDER BY d.ticket_id DESC LIMIT :limit

-- What became of the remedies of diagnoses with a signature, the latest first.
-- name: past.proofs
SELECT v.ticket_id, v.proposals, v.verdict, v.reasons, v.decided_at, v.came_back_at,
    EXISTS (SELECT 1 FROM action_proposals r
            WHERE r.ticket_id = v.ticket_id AND r.proposed_by = :rollback_by
              AND r.status = 'completed' AND r.proposed_at >= v.decided_at
              AND NOT EXISTS (SELECT 1 FROM diagnoses n
                              WHERE n.ticket_id = v.ticket_id AND n.created_at > v.started_at
                                AND n.created_at <= r.proposed_at)) AS is_rolled_back
FROM verifications v
JOIN diagnoses d ON d.ticket_id = v.ticket_id AND d.created_at = v.diagnosed_at
WHERE d.signature = :signature AND v.verdict <> 'waiting' AND v.ticket_id IN (
    SELECT DISTINCT m.ticket_id FROM diagnoses m
    JOIN tickets t ON t.id = m.ticket_id
    WHERE m.signature = :signature AND t.status = 'resolved'
    ORDER BY m.ticket_id DESC LIMIT :tickets)
ORDER BY v.decided_at DESC, v.id DESC LIMIT :limit

-- name: past.remedies
SELECT p.id, COALESCE(w.name, p.action_name) AS remedy FROM action_proposals p
LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE p.id IN (SELECT value FROM json_each(:ids))

-- Remedies that could not be done: a step of theirs has failed for good.
-- name: past.undone
SELECT d.ticket_id, COALESCE(w.name, p.action_name) AS remedy, MAX(p.last_error) AS error,
    MAX(p.updated_at) AS failed_at
FROM diagnoses d
JOIN action_proposals p ON p.ticket_id = d.ticket_id AND p.status = 'failed'
    AND p.next_retry_at IS NULL AND p.compensates_proposal_id IS NULL
    AND d.id = (SELECT MAX(id) FROM diagnoses
                WHERE ticket_id = d.ticket_id AND created_at <= p.proposed_at)
LEFT JOIN workflows w ON w.id = p.workflow_id
WHERE d.signature = :signature AND p.proposed_by <> :rollback_by AND d.ticket_id IN (
    SELECT DISTINCT m.ticket_id FROM diagnoses m
    JOIN tickets t ON t.id = m.ticket_id
    WHERE m.signature = :signature AND t.status = 'resolved'
    ORDER BY m.ticket_id DESC LIMIT :tickets)
GROUP BY d.id, d.ticket_id, COALESCE(w.name, p.action_name)
ORDER BY failed_at DESC LIMIT :limit

-- name: diagnosis.list
SELECT * FROM diagnoses WHERE ticket_id = :ticket_id ORDER BY id

-- name: subject.put
INSERT INTO subjects (name, plugin, settings, connected_at, connected_by)
VALUES (:name, :plugin, :settings, :now, :actor)
ON CONFLICT (name) DO UPDATE SET plugin = excluded.plugin, settings = excluded.settings,
    connected_at = excluded.connected_at, connected_by = excluded.connected_by

-- name: subject.list
SELECT * FROM subjects ORDER BY name

-- name: subject.get
SELECT * FROM subjects WHERE name = :name

-- name: policy.in_force
SELECT hash FROM policies WHERE in_force = 1

-- name: policy.get
SELECT * FROM policies WHERE hash = :hash

-- name: policy.list
SELECT * FROM policies ORDER BY loaded_at, hash

-- name: policy.retire
UPDATE policies SET in_force = 0 WHERE in_force = 1

-- name: policy.enforce
INSERT INTO policies (hash, text, source, loaded_at, loaded_by, in_force)
VALUES (:hash, :text, :source, :now, :actor, 1)
ON CONFLICT (hash) DO UPDATE
SET text = excluded.text, source = excluded.source, loaded_at = excluded.loaded_at,
    loaded_by = excluded.loaded_by, in_force = 1

-- name: decision.insert
INSERT INTO decisions (
    proposal_id, stage, at, subject, action_name, target, policy_hash, rule, effect, reasons,
    request, binds, revisions)
VALUES (
    :proposal_id, :stage, :now, :subject, :action_name, :target, :policy_hash, :rule, :effect,
    :reasons, :request, :binds, :revisions)

-- name: decision.latest
SELECT * FROM decisions WHERE proposal_id = :proposal_id ORDER BY id DESC LIMIT 1

-- name: decision.latest_validated
SELECT * FROM decisions WHERE proposal_id = :proposal_id AND stage = 'validate'
ORDER BY id DESC LIMIT 1

-- name: decision.ground
UPDATE decisions SET binds = :binds WHERE id = :id

-- What the policy allows by itself, was taken back, and is asked about again: at once where it is
-- for no ticket, else once a later look has shown that the ticket's problem is still there.
-- name: decision.undecided
SELECT p.id, p.workflow_id FROM action_proposals p
JOIN decisions d ON d.id = (SELECT MAX(l.id) FROM decisions l WHERE l.proposal_id = p.id)
LEFT JOIN workflows w ON w.id = p.workflow_id
LEFT JOIN tickets t ON t.id = p.ticket_id
WHERE p.status = 'validated' AND p.approved_at IS NULL AND p.held = 0
  AND p.compensates_proposal_id IS NULL
  AND (:subject IS NULL OR p.subject IS NULL OR p.subject = :subject)
  AND d.effect = 'auto' AND d.stage = 'validate'
  AND (w.id IS NULL OR (w.approved_at IS NULL AND w.status IN ('pending', 'in_progress')))
  AND (t.id IS NULL OR (t.status <> 'resolved' AND t.last_seen_at > d.at))
ORDER BY p.id

-- name: decision.list
SELECT * FROM decisions WHERE proposal_id = :proposal_id ORDER BY id

-- What is known of the ticket that a proposal is for.
-- name: decision.ticket
SELECT t.severity, (
    SELECT d.content FROM diagnoses d WHERE d.ticket_id = t.id ORDER BY d.id DESC LIMIT 1
) AS diagnosis
FROM tickets t WHERE t.id = :id

-- name: suspects.tickets
SELECT o.id, o.target, o.created_at AS since
FROM tickets t
JOIN tickets o ON o.invariant_name = t.invariant_name AND o.target <> t.target
    AND COALESCE(o.subject, '') = COALESCE(t.subject, '')
WHERE t.id = :ticket_id AND o.status <> 'resolved' AND o.created_at > :since
ORDER BY o.id LIMIT 20

-- name: suspects.proposals
SELECT p.id, d.target, p.proposed_at AS since
FROM decisions d
JOIN action_proposals p ON p.id = d.proposal_id
WHERE d.stage = 'validate' AND d.at > :since AND d.action_name = :action_name
  AND NOT EXISTS (SELECT 1 FROM decisions e
                  WHERE e.proposal_id = p.id AND e.stage = 'validate' AND e.id < d.id)
  AND d.target <> :target AND COALESCE(d.subject, '') = COALESCE(:subject, '')
  AND p.id <> :proposal_id AND p.status IN ('validated', 'executing')
  AND (p.workflow_id IS NULL OR p.workflow_id <> :workflow_id)
  AND p.compensates_proposal_id IS NULL
ORDER BY p.id LIMIT 20

-- name: decision.attempts_since
SELECT id, request, at FROM decisions WHERE stage = 'claim' AND at > :since ORDER BY at

-- The attempts before a moment that limits may have counted; the latest, if there are more.
-- name: decision.attempts_between
SELECT id, proposal_id, at, subject, action_name, target, request FROM decisions
WHERE stage = 'claim' AND at > :since AND at <= :until ORDER BY at DESC LIMIT :limit

-- name: decision.last_of_remedy
SELECT at FROM decisions
WHERE stage = 'claim' AND action_name = :action_name AND target = :target AND at > :since
  AND COALESCE(subject, '') = COALESCE(:subject, '') AND proposal_id <> :proposal_id
ORDER BY at DESC LIMIT 1

-- name: decision.helped
SELECT helped FROM decisions
WHERE stage = 'claim' AND action_name = :action_name AND target = :target AND at > :since
  AND COALESCE(subject, '') = COALESCE(:subject, '') AND helped IS NOT NULL
ORDER BY at DESC LIMIT :limit

-- name: decision.set_helped
UPDATE decisions SET helped = :helped
WHERE id = (SELECT MAX(id) FROM decisions WHERE proposal_id = :proposal_id AND stage = 'claim')

-- name: decision.between
SELECT * FROM decisions
WHERE stage = 'validate' AND at > :since AND id > :after_id ORDER BY id LIMIT :limit

-- name: approval.insert
INSERT INTO approvals (proposal_id, workflow_id, approver, at)
VALUES (:proposal_id, :workflow_id, :approver, :now)

-- name: approval.bind
UPDATE approvals
SET roles = :roles, expires_at = :expires_at, policy_hash = :policy_hash, calls = :calls,
    facts = :facts, observation_id = :observation_id, digest = :digest
WHERE id = :id

-- name: approval.of_proposal
SELECT * FROM approvals WHERE proposal_id = :id ORDER BY id

-- name: approval.looks_of
SELECT DISTINCT observation_id FROM approvals
WHERE ended_at IS NULL AND observation_id IS NOT NULL
  AND (proposal_id = :proposal_id OR workflow_id = :workflow_id)

-- name: approval.of_workflow
SELECT * FROM approvals WHERE workflow_id = :id ORDER BY id

-- name: approval.end
UPDATE approvals SET ended_at = :now, ended_because = :reason WHERE id = :id AND ended_at IS NULL

-- name: approval.expired
SELECT * FROM approvals
WHERE ended_at IS NULL AND expires_at IS NOT NULL AND expires_at <= :now ORDER BY id

-- name: approval.standing
SELECT * FROM approvals WHERE ended_at IS NULL ORDER BY id

-- name: proposal.unapprove
UPDATE action_proposals SET approved_at = NULL, approved_by = NULL, updated_at = :now
WHERE id = :id AND status IN ('proposed', 'validated') AND approved_at IS NOT NULL
RETURNING *

-- Whether what was done for a ticket since its diagnosis helped.
-- name: decision.judge_ticket
UPDATE decisions SET helped = :helped
WHERE stage = 'claim' AND at >= :since AND proposal_id IN (
    SELECT id FROM action_proposals WHERE ticket_id = :ticket_id AND status = 'completed')

-- name: rule_setting.put
INSERT INTO rule_settings (subject, rule, settings, changed_at, changed_by)
VALUES (:subject, :rule, :settings, :now, :actor)
ON CONFLICT (subject, rule) DO UPDATE SET settings = excluded.settings,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: rule_setting.list
SELECT * FROM rule_settings WHERE subject = :subject ORDER BY rule

-- name: rule_setting.delete
DELETE FROM rule_settings WHERE subject = :subject AND rule = :rule
RETURNING *

-- name: snooze.insert
INSERT INTO snoozes (subject, rule, target, until, reason, created_at, created_by)
VALUES (:subject, :rule, :target, :until, :reason, :now, :actor)
RETURNING *

-- name: snooze.get
SELECT * FROM snoozes WHERE id = :id

-- name: snooze.list
SELECT * FROM snoozes WHERE id > :after_id ORDER BY id LIMIT :limit

-- name: snooze.active
SELECT * FROM snoozes
WHERE ended_at IS NULL AND until > :now
  AND (:subject IS NULL OR subject IS NULL OR subject = :subject)
ORDER BY id

-- name: snooze.end
UPDATE snoozes SET ended_at = :now, ended_by = :actor
WHERE id = :id AND ended_at IS NULL AND until > :now
RETURNING *

-- Of the last ones only: history is never walked.
-- name: proposal.own_effect
SELECT id FROM action_proposals
WHERE id > (SELECT COALESCE(MAX(id), 0) FROM action_proposals) - 10000
  AND subject = :subject AND action_name = :action_name AND parameters = :parameters
  AND status IN ('executing', 'completed') AND updated_at > :since
ORDER BY id DESC LIMIT 1

-- name: rehearsal.insert
INSERT INTO rehearsals (proposal_id, rehearsed_at, observation_id, prediction)
VALUES (:proposal_id, :now, :observation_id, :prediction)

-- name: rehearsal.list
SELECT * FROM rehearsals WHERE proposal_id = :proposal_id ORDER BY id

-- name: rehearsal.latest
SELECT * FROM rehearsals WHERE proposal_id = :proposal_id ORDER BY id DESC LIMIT 1

-- name: rehearsal.measure
UPDATE rehearsals SET measured_at = :now, measured = :measured
WHERE id = (SELECT MAX(id) FROM rehearsals WHERE proposal_id = :proposal_id)

-- Predictions with what came of them, newest first.
-- name: rehearsal.measured
SELECT r.*, p.action_name FROM rehearsals r JOIN action_proposals p ON p.id = r.proposal_id
WHERE r.measured_at IS NOT NULL AND (CAST(:subject AS TEXT) IS NULL OR p.subject = :subject)
ORDER BY r.measured_at DESC, r.id DESC LIMIT :limit

-- name: effect.insert
INSERT INTO effect_leases (
    subject, effect, proposal_id, ticket_id, workflow_id, taken_by, taken_at, expires_at,
    changed_at, undo_action, undo_parameters, ended_at, ended_because)
VALUES (
    :subject, :effect, :proposal_id, :ticket_id, :workflow_id, :taken_by, :now, :expires_at,
    :now, :undo_action, :undo_parameters, :ended_at, :ended_because)
RETURNING *

-- name: effect.open
SELECT * FROM effect_leases WHERE ended_at IS NULL ORDER BY id

-- name: effect.holding
SELECT * FROM effect_leases
WHERE COALESCE(subject, '') = COALESCE(CAST(:subject AS TEXT), '') AND effect = :effect
  AND ended_at IS NULL

-- name: effect.of_proposal
SELECT * FROM effect_leases WHERE proposal_id = :proposal_id ORDER BY id

-- Leases that ended, and that nothing which still goes on asks about.
-- name: effect.prunable
SELECT COUNT(*) AS count FROM effect_leases WHERE ended_at < :before
  AND NOT EXISTS (SELECT 1 FROM action_proposals AS p WHERE p.id = effect_leases.proposal_id
                  AND p.status IN ('proposed', 'validated', 'executing'))
  AND NOT EXISTS (SELECT 1 FROM tickets AS t WHERE t.id = effect_leases.ticket_id
                  AND t.status <> 'resolved')
  AND NOT EXISTS (SELECT 1 FROM workflows AS w WHERE w.id = effect_leases.workflow_id
                  AND (w.status IN ('pending', 'in_progress') OR w.compensation_due = 1))

-- name: effect.prune
DELETE FROM effect_leases WHERE ended_at < :before
  AND NOT EXISTS (SELECT 1 FROM action_proposals AS p WHERE p.id = effect_leases.proposal_id
                  AND p.status IN ('proposed', 'validated', 'executing'))
  AND NOT EXISTS (SELECT 1 FROM tickets AS t WHERE t.id = effect_leases.ticket_id
                  AND t.status <> 'resolved')
  AND NOT EXISTS (SELECT 1 FROM workflows AS w WHERE w.id = effect_leases.workflow_id
                  AND (w.status IN ('pending', 'in_progress') OR w.compensation_due = 1))

-- name: effect.get
SELECT * FROM effect_leases WHERE id = :id

-- Leases, with how stands what they rest on.
-- name: effect.list
SELECT e.*, p.status AS action_status, p.reason AS reason,
    CASE WHEN p.status = 'failed' AND p.next_retry_at IS NOT NULL
          AND p.retry_count < p.max_retries THEN 1 ELSE 0 END AS retry_waits,
    t.status AS ticket_status, w.status AS workflow_status, u.status AS undo_status,
    CASE WHEN u.approved_at IS NULL THEN 0 ELSE 1 END AS undo_approved,
    CASE WHEN u.status = 'failed' AND u.next_retry_at IS NOT NULL
          AND u.retry_count < u.max_retries THEN 1 ELSE 0 END AS undo_retry_waits
FROM effect_leases e
JOIN action_proposals p ON p.id = e.proposal_id
LEFT JOIN tickets t ON t.id = e.ticket_id
LEFT JOIN workflows w ON w.id = e.workflow_id
LEFT JOIN action_proposals u ON u.id = e.undo_proposal_id
WHERE (:ended = 1 OR e.ended_at IS NULL)
  AND (CAST(:subject AS TEXT) IS NULL OR COALESCE(e.subject, :subject) = :subject)
  AND e.id > :after_id
ORDER BY e.id LIMIT :limit

-- name: effect.applied
UPDATE effect_leases
SET applied = 1, changed_at = :now, undo_action = COALESCE(:undo_action, undo_action),
    undo_parameters = COALESCE(:undo_parameters, undo_parameters)
WHERE id = :id AND ended_at IS NULL

-- name: effect.doubt
UPDATE effect_leases SET unsure = 1, changed_at = :now WHERE id = :id AND ended_at IS NULL

-- name: effect.end
UPDATE effect_leases SET ended_at = :now, ended_because = :because, changed_at = :now
WHERE id = :id AND ended_at IS NULL
RETURNING *

-- Who keeps an effect for longer wants it whatever becomes of its reason.
-- name: effect.renew
UPDATE effect_leases
SET expires_at = :expires_at, kept = :kept, undo_proposal_id = NULL, changed_at = :now
WHERE id = :id AND ended_at IS NULL
RETURNING *

-- name: effect.set_undo
UPDATE effect_leases SET undo_proposal_id = :undo_proposal_id, changed_at = :now
WHERE id = :id AND ended_at IS NULL AND undo_proposal_id IS NULL
RETURNING *

-- The kill switch cancels undoing with all else; it is proposed anew when Operator may act again.
-- name: effect.forget_undos
UPDATE effect_leases SET undo_proposal_id = NULL
WHERE ended_at IS NULL AND undo_proposal_id IN (
    SELECT id FROM action_proposals WHERE status IN ('proposed', 'validated', 'failed'))

-- name: effect.undone_by
SELECT * FROM effect_leases WHERE undo_proposal_id = :proposal_id AND ended_at IS NULL

-- name: effect.not_ours
SELECT proposal_id FROM effect_leases
WHERE workflow_id = :workflow_id AND ended_because = :because

-- name: verification.times
SELECT MIN(started_at) AS started_at, MAX(COALESCE(completed_at, started_at)) AS ended_at
FROM action_records WHERE proposal_id IN (SELECT value FROM json_each(:ids))

-- name: verification.get
SELECT * FROM verifications WHERE ticket_id = :ticket_id AND diagnosed_at = :diagnosed_at

-- name: verification.list
SELECT * FROM verifications WHERE ticket_id = :ticket_id ORDER BY id

-- name: verification.insert
INSERT INTO verifications (
    subject, ticket_id, diagnosed_at, proposals, baseline_id, capacity, declared, started_at,
    ended_at, held_since, looks, look_id, looked_at, verdict, was_seen, reasons, decided_at)
VALUES (
    :subject, :ticket_id, :diagnosed_at, :proposals, :baseline_id, :capacity, :declared,
    :started_at, :ended_at, :held_since, :looks, :look_id, :looked_at, :verdict, :was_seen, :reasons,
    :decided_at)
ON CONFLICT (ticket_id, diagnosed_at) DO NOTHING
RETURNING *

-- A verdict that was given stays.
-- name: verification.update
UPDATE verifications
SET held_since = :held_since, looks = :looks, look_id = :look_id, looked_at = :looked_at,
    verdict = :verdict, was_seen = :was_seen, reasons = :reasons, decided_at = :decided_at
WHERE ticket_id = :ticket_id AND diagnosed_at = :diagnosed_at AND verdict = 'waiting'
RETURNING *

-- The problem is back, though its remedy had been verified.
-- name: verification.came_back
UPDATE verifications SET came_back_at = :now
WHERE ticket_id = :ticket_id AND verdict = 'verified' AND came_back_at IS NULL

-- name: verification.seen
UPDATE verifications
SET held_since = :held_since, looks = :looks, look_id = :look_id, looked_at = :looked_at
WHERE ticket_id = :ticket_id AND diagnosed_at = :diagnosed_at
RETURNING *
