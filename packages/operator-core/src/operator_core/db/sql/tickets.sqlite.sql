-- Watching: tickets, what was seen, and what was made of it.
-- Times are fixed-width ISO-8601 text in UTC, so that text order is time order.

CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    violation_key TEXT NOT NULL,
    invariant_name TEXT NOT NULL,
    target TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL,
    severity TEXT NOT NULL DEFAULT 'warning'
        CHECK (severity IN ('info', 'warning', 'critical')),
    status TEXT NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'acknowledged', 'diagnosed', 'resolved')),
    phase TEXT CHECK (phase IN ('acting', 'verifying', 'escalated')),
    phase_since TEXT,
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    held_by TEXT,
    hold_reason TEXT,
    occurrence_count INTEGER NOT NULL DEFAULT 1,
    flap_count INTEGER NOT NULL DEFAULT 0,
    metric_snapshot TEXT,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    acknowledged_at TEXT,
    acknowledged_by TEXT,
    diagnosed_at TEXT,
    resolved_at TEXT,
    resolved_by TEXT,
    resolution TEXT,
    legacy_columns TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'),
    root_ticket_id INTEGER REFERENCES tickets(id)
);

-- One open ticket a problem, as a fact and not a check.
CREATE UNIQUE INDEX IF NOT EXISTS idx_tickets_one_open
ON tickets(COALESCE(subject, ''), violation_key) WHERE status <> 'resolved';

CREATE INDEX IF NOT EXISTS idx_tickets_status ON tickets(status);

CREATE INDEX IF NOT EXISTS idx_tickets_key ON tickets(violation_key, resolved_at);

CREATE INDEX IF NOT EXISTS idx_tickets_root
ON tickets(root_ticket_id) WHERE root_ticket_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_tickets_span ON tickets(subject, resolved_at);

CREATE TRIGGER IF NOT EXISTS tickets_updated_at
AFTER UPDATE ON tickets WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE tickets SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'
    WHERE id = NEW.id;
END;

CREATE TABLE IF NOT EXISTS ticket_comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket_id INTEGER NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    FOREIGN KEY (ticket_id) REFERENCES tickets(id)
);

CREATE INDEX IF NOT EXISTS idx_ticket_comments_ticket ON ticket_comments(ticket_id);

-- What the monitor remembers of a problem between two looks: grace and hysteresis.
CREATE TABLE IF NOT EXISTS sightings (
    subject TEXT NOT NULL,
    violation_key TEXT NOT NULL,
    violation TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    clear_since TEXT,
    PRIMARY KEY (subject, violation_key)
);

CREATE TABLE IF NOT EXISTS observations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    observed_at TEXT NOT NULL,
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    ticket_id INTEGER,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'), size_bytes INTEGER NOT NULL DEFAULT 0, kept_as TEXT NOT NULL DEFAULT 'fresh'
    CHECK (kept_as IN ('fresh', 'minute', 'hour', 'incident', 'evidence')),
    FOREIGN KEY (ticket_id) REFERENCES tickets(id)
);

CREATE INDEX IF NOT EXISTS idx_observations_subject ON observations(subject, id);

CREATE INDEX IF NOT EXISTS idx_observations_ticket
ON observations(ticket_id) WHERE ticket_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_observations_kept ON observations(subject, kept_as, observed_at);

-- What is too old, or gives way to the budget, whatever its cluster.
CREATE INDEX IF NOT EXISTS idx_observations_gives_way ON observations(kept_as, observed_at, id, size_bytes);

-- What all looks of a cluster take, so that nobody has to walk them, and by which limits its
-- monitor goes.
CREATE TABLE IF NOT EXISTS looks_stored (
    subject TEXT PRIMARY KEY,
    looks INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    budget_bytes INTEGER,
    max_age_seconds INTEGER,
    around_seconds INTEGER
);

CREATE TABLE IF NOT EXISTS diagnoses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    ticket_id INTEGER NOT NULL,
    observation_id INTEGER,
    diagnoser TEXT NOT NULL,
    hypothesis TEXT NOT NULL,
    confidence REAL NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL,
    signature TEXT,
    FOREIGN KEY (ticket_id) REFERENCES tickets(id),
    FOREIGN KEY (observation_id) REFERENCES observations(id)
);

CREATE INDEX IF NOT EXISTS idx_diagnoses_ticket ON diagnoses(ticket_id);

CREATE INDEX IF NOT EXISTS idx_diagnoses_signature
ON diagnoses(signature, ticket_id) WHERE signature IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_diagnoses_observation
ON diagnoses(observation_id) WHERE observation_id IS NOT NULL;

-- The clusters that Operator is connected to.
CREATE TABLE IF NOT EXISTS subjects (
    name TEXT PRIMARY KEY,
    plugin TEXT NOT NULL,
    settings TEXT NOT NULL,
    connected_at TEXT NOT NULL,
    connected_by TEXT NOT NULL
);

-- What a cluster wants otherwise of its rules: grace, thresholds.
CREATE TABLE IF NOT EXISTS rule_settings (
    subject TEXT NOT NULL,
    rule TEXT NOT NULL,
    settings TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (subject, rule)
);

-- Problems that open no ticket until a moment. No cluster: all of them.
CREATE TABLE IF NOT EXISTS snoozes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    rule TEXT,
    target TEXT,
    until TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    ended_at TEXT,
    ended_by TEXT,
    CHECK (rule IS NOT NULL OR target IS NOT NULL)
);

CREATE INDEX IF NOT EXISTS idx_snoozes_active ON snoozes(until) WHERE ended_at IS NULL;

-- The proofs of remedies: what was before, what has been seen since, what came of it.
CREATE TABLE IF NOT EXISTS verifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT,
    ticket_id INTEGER NOT NULL,
    diagnosed_at TEXT NOT NULL,
    proposals TEXT NOT NULL,
    baseline_id INTEGER,
    capacity TEXT,
    declared TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    held_since TEXT,
    looks INTEGER NOT NULL,
    look_id INTEGER,
    looked_at TEXT,
    verdict TEXT NOT NULL CHECK (verdict IN ('waiting', 'verified', 'not_verified')),
    was_seen INTEGER NOT NULL CHECK (was_seen IN (0, 1)),
    reasons TEXT NOT NULL,
    decided_at TEXT,
    came_back_at TEXT,
    FOREIGN KEY (ticket_id) REFERENCES tickets(id),
    FOREIGN KEY (baseline_id) REFERENCES observations(id)
);

-- One proof for the remedy of each diagnosis.
CREATE UNIQUE INDEX IF NOT EXISTS idx_verifications_remedy
ON verifications(ticket_id, diagnosed_at);

CREATE INDEX IF NOT EXISTS idx_verifications_baseline
ON verifications(baseline_id) WHERE baseline_id IS NOT NULL;
