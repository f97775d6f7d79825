-- Rehearsals: what a twin said would come of a proposal, and what came of it.
-- needs: 2

CREATE TABLE rehearsals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id INTEGER NOT NULL,
    rehearsed_at TEXT NOT NULL,
    prediction TEXT NOT NULL,
    measured_at TEXT,
    measured TEXT,
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id)
);

CREATE INDEX idx_rehearsals_proposal ON rehearsals(proposal_id, id);

CREATE INDEX idx_rehearsals_measured ON rehearsals(measured_at) WHERE measured_at IS NOT NULL;
