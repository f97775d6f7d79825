-- Tickets of one cause under one root, and what tells that two diagnoses rest on the same signs.
-- needs: 2

ALTER TABLE tickets ADD COLUMN root_ticket_id BIGINT REFERENCES tickets(id);

CREATE INDEX idx_tickets_root
ON tickets(root_ticket_id) WHERE root_ticket_id IS NOT NULL;

ALTER TABLE diagnoses ADD COLUMN signature TEXT COLLATE "C";

CREATE INDEX idx_diagnoses_signature
ON diagnoses(signature, ticket_id) WHERE signature IS NOT NULL;
