-- How clusters are watched: settings of rules, and what is snoozed.
-- needs: 2

-- What a cluster wants otherwise of its rules: grace, thresholds.
CREATE TABLE rule_settings (
    subject TEXT NOT NULL,
    rule TEXT NOT NULL,
    settings TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (subject, rule)
);

-- Problems that open no ticket until a moment. No cluster: all of them.
CREATE TABLE snoozes (
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

CREATE INDEX idx_snoozes_active ON snoozes(until) WHERE ended_at IS NULL;
