-- Acting: workflows, proposals, attempts, the switch, the audit.
-- The states stand in operator_core/actions/lifecycle.py; a test holds the CHECKs equal to it.

-- Workflows table for grouping related actions
CREATE TABLE IF NOT EXISTS workflows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    name TEXT NOT NULL,
    description TEXT,
    ticket_id INTEGER,
    status TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
    approved_at TEXT,
    approved_by TEXT,
    approved_steps TEXT,
    paused_at TEXT,
    paused_by TEXT,
    compensation_due INTEGER NOT NULL DEFAULT 0 CHECK (compensation_due IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    FOREIGN KEY (ticket_id) REFERENCES tickets(id)
);

CREATE INDEX IF NOT EXISTS idx_workflows_ticket
ON workflows(ticket_id) WHERE ticket_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_workflows_unfinished
ON workflows(id) WHERE status IN ('pending', 'in_progress');

CREATE INDEX IF NOT EXISTS idx_workflows_compensation_due
ON workflows(id) WHERE compensation_due = 1;

CREATE TABLE IF NOT EXISTS action_proposals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    ticket_id INTEGER,
    action_name TEXT NOT NULL,
    action_type TEXT NOT NULL DEFAULT 'subject'
        CHECK (action_type IN ('subject', 'tool', 'workflow')),
    parameters TEXT NOT NULL,
    reason TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'proposed' CHECK (status IN
        ('proposed', 'validated', 'executing', 'completed', 'failed', 'cancelled')),
    proposed_at TEXT NOT NULL,
    proposed_by TEXT NOT NULL DEFAULT 'agent',
    validated_at TEXT,
    cancelled_at TEXT,
    approved_at TEXT,
    approved_by TEXT,
    rejected_at TEXT,
    rejected_by TEXT,
    rejection_reason TEXT,
    workflow_id INTEGER,
    execution_order INTEGER NOT NULL DEFAULT 0,
    depends_on_proposal_id INTEGER,
    compensation TEXT,
    compensates_proposal_id INTEGER,
    scheduled_at TEXT,
    schedule_id INTEGER,
    schedule_due_at TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    max_retries INTEGER NOT NULL DEFAULT 3,
    next_retry_at TEXT,
    last_error TEXT,
    failure_counted INTEGER NOT NULL DEFAULT 0 CHECK (failure_counted IN (0, 1)),
    disruptive INTEGER NOT NULL DEFAULT 0 CHECK (disruptive IN (0, 1)),
    owner TEXT,
    lease_expires_at TEXT,
    fence INTEGER NOT NULL DEFAULT 0,
    effect INTEGER NOT NULL DEFAULT 1,
    in_doubt INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)),
    cancel_requested_at TEXT,
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    FOREIGN KEY (ticket_id) REFERENCES tickets(id),
    FOREIGN KEY (workflow_id) REFERENCES workflows(id),
    FOREIGN KEY (depends_on_proposal_id) REFERENCES action_proposals(id),
    FOREIGN KEY (compensates_proposal_id) REFERENCES action_proposals(id)
);

CREATE INDEX IF NOT EXISTS idx_action_proposals_status ON action_proposals(status);

CREATE INDEX IF NOT EXISTS idx_action_proposals_ticket ON action_proposals(ticket_id);

-- Index for finding workflow actions
CREATE INDEX IF NOT EXISTS idx_action_proposals_workflow
ON action_proposals(workflow_id) WHERE workflow_id IS NOT NULL;

-- Index for finding scheduled actions
CREATE INDEX IF NOT EXISTS idx_action_proposals_scheduled
ON action_proposals(scheduled_at) WHERE scheduled_at IS NOT NULL;

-- Index for finding retry-eligible actions
CREATE INDEX IF NOT EXISTS idx_action_proposals_retry
ON action_proposals(next_retry_at) WHERE next_retry_at IS NOT NULL;

-- What may be claimed, in the order it is due; history never enters it. The state leads, though
-- it is always the same: without it the planner takes the index of all states.
CREATE INDEX IF NOT EXISTS idx_action_proposals_due
ON action_proposals(status, COALESCE(scheduled_at, ''), id) WHERE status = 'validated';

-- What waits for another try, likewise.
CREATE INDEX IF NOT EXISTS idx_action_proposals_retry_due
ON action_proposals(status, next_retry_at) WHERE next_retry_at IS NOT NULL;

-- What runs, by the end of its lease.
CREATE INDEX IF NOT EXISTS idx_action_proposals_leases
ON action_proposals(status, lease_expires_at) WHERE status = 'executing';

-- One disruptive action a subject at a time, as a fact and not a check.
CREATE UNIQUE INDEX IF NOT EXISTS idx_action_proposals_exclusive
ON action_proposals(COALESCE(subject, '')) WHERE status = 'executing' AND disruptive = 1;

CREATE INDEX IF NOT EXISTS idx_action_proposals_depends
ON action_proposals(depends_on_proposal_id) WHERE depends_on_proposal_id IS NOT NULL;

-- A step is undone once, and a run of a schedule is proposed once, whoever comes to do it.
CREATE UNIQUE INDEX IF NOT EXISTS idx_action_proposals_compensates
ON action_proposals(compensates_proposal_id) WHERE compensates_proposal_id IS NOT NULL;

CREATE UNIQUE INDEX IF NOT EXISTS idx_action_proposals_schedule
ON action_proposals(schedule_id, schedule_due_at) WHERE schedule_id IS NOT NULL;

CREATE TRIGGER IF NOT EXISTS action_proposals_updated_at
AFTER UPDATE ON action_proposals WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE action_proposals
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'
    WHERE id = NEW.id;
END;

CREATE TRIGGER IF NOT EXISTS workflows_updated_at
AFTER UPDATE ON workflows WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE workflows SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'
    WHERE id = NEW.id;
END;

CREATE TABLE IF NOT EXISTS action_records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id INTEGER NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    success INTEGER CHECK (success IN (0, 1)),
    error_message TEXT,
    result_data TEXT,
    outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'unknown')),
    idempotency_key TEXT,
    owner TEXT,
    fence INTEGER,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id)
);

CREATE INDEX IF NOT EXISTS idx_action_records_proposal ON action_records(proposal_id);

-- Records of older files whose proposal is gone: set aside, not lost.
CREATE TABLE IF NOT EXISTS orphaned_records (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL,
    set_aside_at TEXT NOT NULL
);

-- The one switch that all processes share. No row: never set, so observe.
CREATE TABLE IF NOT EXISTS safety (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mode TEXT NOT NULL CHECK (mode IN ('observe', 'execute')),
    killed_at TEXT,
    killed_by TEXT,
    kill_reason TEXT,
    revision INTEGER NOT NULL DEFAULT 1,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    ledger_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    backup_at TEXT,
    place TEXT
);

-- Each row's hash covers the one before it in its writer's chain.
CREATE TABLE IF NOT EXISTS audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    writer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    timestamp TEXT NOT NULL,
    event_type TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT,
    ticket_id INTEGER,
    workflow_id INTEGER,
    proposal_id INTEGER,
    event_data TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (writer, seq)
);

CREATE INDEX IF NOT EXISTS idx_audit_log_proposal
ON audit_log(proposal_id) WHERE proposal_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_audit_log_ticket
ON audit_log(ticket_id) WHERE ticket_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_audit_log_workflow
ON audit_log(workflow_id) WHERE workflow_id IS NOT NULL;

-- A chain that is not the ledger's first covers the heads of the others that it began beside:
-- the first row's hash before is the hash of these.
CREATE TABLE IF NOT EXISTS audit_chains (
    writer TEXT PRIMARY KEY,
    heads TEXT NOT NULL,
    started_at TEXT NOT NULL
);

-- Who watches what: one holder at a time, until its time is over. The fence grows with each.
CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    fence INTEGER NOT NULL
);

-- What is proposed again and again. One that was removed leaves its proposals behind.
CREATE TABLE IF NOT EXISTS schedules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    name TEXT NOT NULL UNIQUE,
    cron TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    action_name TEXT NOT NULL,
    action_type TEXT NOT NULL,
    parameters TEXT NOT NULL,
    reason TEXT NOT NULL,
    missed_policy TEXT NOT NULL CHECK (missed_policy IN ('run_once', 'skip')),
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    next_due_at TEXT NOT NULL,
    last_due_at TEXT,
    last_proposal_id INTEGER,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS idx_schedules_due ON schedules(next_due_at) WHERE enabled = 1;

-- What each policy said, so that a decision can be explained later. One is in force.
CREATE TABLE IF NOT EXISTS policies (
    hash TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    source TEXT NOT NULL,
    loaded_at TEXT NOT NULL,
    loaded_by TEXT NOT NULL,
    in_force INTEGER NOT NULL DEFAULT 0 CHECK (in_force IN (0, 1))
);

CREATE UNIQUE INDEX IF NOT EXISTS idx_policies_in_force ON policies(in_force) WHERE in_force = 1;

-- What a policy said of a proposal when it was validated, and of each attempt. The attempts are
-- what rate limits, cooldowns and breakers count.
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id INTEGER NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('validate', 'claim')),
    at TEXT NOT NULL,
    subject TEXT,
    action_name TEXT NOT NULL,
    target TEXT NOT NULL,
    policy_hash TEXT NOT NULL,
    rule TEXT NOT NULL,
    effect TEXT NOT NULL CHECK (effect IN ('deny', 'auto', 'approve')),
    reasons TEXT NOT NULL,
    request TEXT NOT NULL,
    binds TEXT NOT NULL,
    revisions TEXT NOT NULL,
    helped INTEGER CHECK (helped IN (0, 1)),
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id)
);

CREATE INDEX IF NOT EXISTS idx_decisions_proposal ON decisions(proposal_id, id);

CREATE INDEX IF NOT EXISTS idx_decisions_time ON decisions(stage, at);

CREATE INDEX IF NOT EXISTS idx_decisions_remedy
ON decisions(action_name, target, at) WHERE stage = 'claim';

-- One person's word. Until the proposal is validated nobody knows what it must be bound to, so
-- these columns are empty until then.
CREATE TABLE IF NOT EXISTS approvals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id INTEGER,
    workflow_id INTEGER,
    approver TEXT NOT NULL,
    roles TEXT,
    at TEXT NOT NULL,
    expires_at TEXT,
    policy_hash TEXT,
    calls TEXT,
    facts TEXT,
    observation_id INTEGER,
    digest TEXT,
    ended_at TEXT,
    ended_because TEXT,
    CHECK ((proposal_id IS NULL) <> (workflow_id IS NULL)),
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id),
    FOREIGN KEY (workflow_id) REFERENCES workflows(id)
);

-- A person counts once, whoever clicks how often at the same moment.
CREATE UNIQUE INDEX IF NOT EXISTS idx_approvals_person
ON approvals(COALESCE(proposal_id, 0), COALESCE(workflow_id, 0), approver) WHERE ended_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_approvals_proposal ON approvals(proposal_id) WHERE proposal_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_approvals_workflow ON approvals(workflow_id) WHERE workflow_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_approvals_expiry ON approvals(expires_at) WHERE ended_at IS NULL;

-- Rehearsals: what a twin said would come of a proposal, and what came of it.
CREATE TABLE IF NOT EXISTS rehearsals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id INTEGER NOT NULL,
    rehearsed_at TEXT NOT NULL,
    prediction TEXT NOT NULL,
    measured_at TEXT,
    measured TEXT,
    observation_id INTEGER,
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id)
);

CREATE INDEX IF NOT EXISTS idx_rehearsals_proposal ON rehearsals(proposal_id, id);

CREATE INDEX IF NOT EXISTS idx_rehearsals_measured ON rehearsals(measured_at) WHERE measured_at IS NOT NULL;

-- Temporary effects on clusters: who put them there, until when, and what takes them back.
CREATE TABLE IF NOT EXISTS effect_leases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    effect TEXT NOT NULL,
    proposal_id INTEGER NOT NULL,
    ticket_id INTEGER,
    workflow_id INTEGER,
    taken_by TEXT NOT NULL,
    taken_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    applied INTEGER NOT NULL DEFAULT 0 CHECK (applied IN (0, 1)),
    unsure INTEGER NOT NULL DEFAULT 0 CHECK (unsure IN (0, 1)),
    kept INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)),
    undo_action TEXT,
    undo_parameters TEXT,
    undo_proposal_id INTEGER,
    ended_at TEXT,
    ended_because TEXT,
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id),
    FOREIGN KEY (ticket_id) REFERENCES tickets(id),
    FOREIGN KEY (workflow_id) REFERENCES workflows(id),
    FOREIGN KEY (undo_proposal_id) REFERENCES action_proposals(id)
);

-- One effect is held by one lease at a time, whoever claims how often at the same moment.
CREATE UNIQUE INDEX IF NOT EXISTS idx_effect_leases_open
ON effect_leases(COALESCE(subject, ''), effect) WHERE ended_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_effect_leases_proposal ON effect_leases(proposal_id);
