-- The gate: policies, what they decided, and who approved what.

-- What each policy said, so that a decision can be explained later. One is in force.
CREATE TABLE policies (
    hash TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    source TEXT NOT NULL,
    loaded_at TEXT NOT NULL,
    loaded_by TEXT NOT NULL,
    in_force INTEGER NOT NULL DEFAULT 0 CHECK (in_force IN (0, 1))
);

CREATE UNIQUE INDEX idx_policies_in_force ON policies(in_force) WHERE in_force = 1;

-- What a policy said of a proposal when it was validated, and of each attempt. The attempts are
-- what rate limits, cooldowns and breakers count.
CREATE TABLE decisions (
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

CREATE INDEX idx_decisions_proposal ON decisions(proposal_id, id);

CREATE INDEX idx_decisions_time ON decisions(stage, at);

CREATE INDEX idx_decisions_remedy
ON decisions(action_name, target, at) WHERE stage = 'claim';

-- One person's word. Until the proposal is validated nobody knows what it must be bound to, so
-- these columns are empty until then.
CREATE TABLE approvals (
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
CREATE UNIQUE INDEX idx_approvals_person
ON approvals(COALESCE(proposal_id, 0), COALESCE(workflow_id, 0), approver) WHERE ended_at IS NULL;

CREATE INDEX idx_approvals_proposal ON approvals(proposal_id) WHERE proposal_id IS NOT NULL;

CREATE INDEX idx_approvals_workflow ON approvals(workflow_id) WHERE workflow_id IS NOT NULL;

CREATE INDEX idx_approvals_expiry ON approvals(expires_at) WHERE ended_at IS NULL;
