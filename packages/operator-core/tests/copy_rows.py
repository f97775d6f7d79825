"""Rows for the tables that a bench does not fill by itself."""

MORE_ROWS = """
INSERT INTO orphaned_records VALUES (5, '{}', 'then');
INSERT INTO audit_chains VALUES ('other', '{}', 'then');
INSERT INTO leases VALUES ('monitor:prod', 'x', '2020', 7);
INSERT INTO sightings VALUES ('prod', 'k', '{}', 't', 't', NULL);
INSERT INTO policies VALUES ('h', 'text', 'file', 't', 'ann', 0);
INSERT INTO decisions VALUES
    (3, 1, 'claim', 't', NULL, 'act', 'x', 'h', 'rule', 'auto', '[]', '{}', '{}', '{}', NULL);
INSERT INTO approvals (proposal_id, approver, at) VALUES (1, 'ann', 't');
INSERT INTO rule_settings VALUES ('prod', 'up', '{}', 't', 'ann');
INSERT INTO snoozes VALUES (1, 'prod', 'up', NULL, 't', 'r', 't', 'ann', NULL, NULL);
INSERT INTO rehearsals VALUES (4, 1, 't', '{}', NULL, NULL, 1);
INSERT INTO verifications (
    ticket_id, diagnosed_at, proposals, declared, started_at, ended_at, looks, verdict, was_seen,
    reasons)
VALUES (1, 't', '[]', '[]', 't', 't', 0, 'waiting', 1, '[]');
INSERT INTO tickets (id, violation_key, invariant_name, message, first_seen_at, last_seen_at)
VALUES (
    99, 'up:later', 'up', 'came later, and leads', '2020-01-01T00:00:00.000000+00:00',
    '2020-01-01T00:00:00.000000+00:00');
UPDATE tickets SET root_ticket_id = 99 WHERE id = 1;
INSERT INTO effect_leases (subject, effect, proposal_id, taken_by, taken_at, expires_at, changed_at)
VALUES ('prod', 'e', 1, 'ann', 't', 't', 't');
"""
