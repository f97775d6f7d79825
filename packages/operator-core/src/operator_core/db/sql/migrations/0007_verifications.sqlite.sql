-- The proofs of remedies: what was before, what has been seen since, what came of it.
-- needs: 2

CREATE TABLE verifications (
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
    FOREIGN KEY (ticket_id) REFERENCES tickets(id),
    FOREIGN KEY (baseline_id) REFERENCES observations(id)
);

-- One proof for the remedy of each diagnosis.
CREATE UNIQUE INDEX idx_verifications_remedy
ON verifications(ticket_id, diagnosed_at);

CREATE INDEX idx_verifications_baseline
ON verifications(baseline_id) WHERE baseline_id IS NOT NULL;
