-- +goose Up

-- ---------------------------------------------------------------- one run of a node writes

-- The newest run of each node. A run is named by a uuid of its own, so that one that was followed by another never is the
-- newest again.
CREATE TABLE node (
    name       text PRIMARY KEY,
    boot       uuid NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON node TO telecommune_app;

-- What a run writes about calls asks for this first, and fails when a newer run of its node has begun. It holds the
-- node's lock shared until its transaction ends, so that take_node waits for it, or it for take_node; then it looks with
-- eyes of its own, for which it must be VOLATILE. The lock is one in memory, not of the row: all calls of a node take it
-- at once, and none has to be written down. It comes before any row's: whoever holds a row never waits for take_node.
-- +goose StatementBegin
CREATE FUNCTION newest_run(of text, run uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('run ' || of, 0));
    IF EXISTS (SELECT FROM node WHERE name = of AND boot <> run) THEN
        RAISE EXCEPTION 'a newer run of node % has begun', of
            USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'newest_run';
    END IF;
    RETURN true;
END $$;
-- +goose StatementEnd

-- Makes a run the newest of its node, when all that an earlier one had begun to write is written.
-- +goose StatementBegin
CREATE FUNCTION take_node(of text, run uuid) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('run ' || of, 0));
    INSERT INTO node AS n (name, boot) VALUES (of, run)
        ON CONFLICT (name) DO UPDATE SET boot = run, claimed_at = now() WHERE n.boot <> run;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION take_node(text, uuid);
DROP FUNCTION newest_run(text, uuid);
DROP TABLE node;
