-- Temporary effects on clusters: who put them there, until when, and what takes them back.
-- needs: 2

CREATE TABLE effect_leases (
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
CREATE UNIQUE INDEX idx_effect_leases_open
ON effect_leases(COALESCE(subject, ''), effect) WHERE ended_at IS NULL;

CREATE INDEX idx_effect_leases_proposal ON effect_leases(proposal_id);
