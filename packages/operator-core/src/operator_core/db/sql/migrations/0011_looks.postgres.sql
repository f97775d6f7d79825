-- Which looks are kept, and what they take on disk.
-- needs: 2

-- One table knows what all looks of a cluster take, so that nobody has to walk them, and by which
-- limits its monitor goes.
CREATE TABLE looks_stored (
    subject TEXT COLLATE "C" PRIMARY KEY,
    looks BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    budget_bytes BIGINT,
    max_age_seconds BIGINT,
    around_seconds BIGINT
);

ALTER TABLE observations ADD COLUMN size_bytes BIGINT NOT NULL DEFAULT 0;

ALTER TABLE observations ADD COLUMN kept_as TEXT COLLATE "C" NOT NULL DEFAULT 'fresh'
    CHECK (kept_as IN ('fresh', 'minute', 'hour', 'incident', 'evidence'));

CREATE INDEX idx_observations_kept ON observations(subject, kept_as, observed_at);

-- What is too old, or gives way to the budget, whatever its cluster.
CREATE INDEX idx_observations_gives_way ON observations(kept_as, observed_at, id, size_bytes);

CREATE INDEX idx_diagnoses_observation
ON diagnoses(observation_id) WHERE observation_id IS NOT NULL;

CREATE INDEX idx_tickets_span ON tickets(subject, resolved_at);

UPDATE observations SET size_bytes = octet_length(content) + 400;

-- What decisions rest on is never dropped.
UPDATE observations SET kept_as = 'evidence' WHERE id IN (
    SELECT observation_id FROM diagnoses
    UNION ALL
    SELECT observation_id FROM approvals
    UNION ALL
    SELECT baseline_id FROM verifications
    UNION ALL
    SELECT look_id FROM verifications WHERE decided_at IS NOT NULL
    UNION ALL
    SELECT (one.value ->> 'observation_id')::bigint
    FROM diagnoses, json_array_elements(COALESCE(content::json -> 'evidence', '[]')) AS one
    UNION ALL
    SELECT (one.value -> 'claim' ->> 'observation_id')::bigint
    FROM diagnoses, json_array_elements(COALESCE(content::json -> 'struck', '[]')) AS one
) OR ticket_id IS NOT NULL;

INSERT INTO looks_stored (subject, looks, size_bytes)
SELECT COALESCE(subject, ''), COUNT(*), SUM(size_bytes) FROM observations
GROUP BY COALESCE(subject, '');
