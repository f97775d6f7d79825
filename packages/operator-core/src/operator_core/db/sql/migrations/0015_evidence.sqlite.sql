-- What a rehearsal was made from, and which proven remedies did not last.
-- needs: 2

ALTER TABLE rehearsals ADD COLUMN observation_id INTEGER;

-- When the problem was back soon after its remedy had been verified.
ALTER TABLE verifications ADD COLUMN came_back_at TEXT;

UPDATE verifications SET came_back_at = (
    SELECT MIN(told.timestamp) FROM audit_log AS told
    WHERE told.ticket_id = verifications.ticket_id AND told.event_type = 'ticket_reopened'
      AND told.timestamp > verifications.decided_at
) WHERE verdict = 'verified';
