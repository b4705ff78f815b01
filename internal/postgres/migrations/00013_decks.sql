-- +goose Up

-- A version has one time in force: none yet while it is a draft (active_from is NULL), from an instant on, and up to the
-- instant at which it was rolled back.
ALTER TABLE deck
    ALTER COLUMN active_from DROP NOT NULL,
    ADD COLUMN ended_at timestamptz,
    ADD CONSTRAINT deck_ended CHECK (ended_at IS NULL OR active_from IS NOT NULL AND active_from < ended_at),
    ADD COLUMN row_count integer NOT NULL DEFAULT 0 CONSTRAINT deck_row_count CHECK (row_count >= 0); -- of rate
UPDATE deck d SET row_count = (SELECT count(*) FROM rate WHERE deck_id = d.id);

-- A foreign key asks for each row of a deck, which takes half of the time of an import; one look at the end of a statement
-- finds the same, since decks with rows don't go.
-- +goose StatementBegin
CREATE FUNCTION rate_has_deck() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT deck_id FROM added) a LEFT JOIN deck d ON d.id = a.deck_id WHERE d.id IS NULL) THEN
        RAISE EXCEPTION 'a rate of a deck that is not there'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'rate_deck_id_fkey';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION deck_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM rate WHERE deck_id = OLD.id) THEN
        RAISE EXCEPTION 'a deck that has rates'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'rate_deck_id_fkey';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
-- +goose StatementEnd
CREATE TRIGGER rate_has_deck AFTER INSERT ON rate REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION rate_has_deck();
CREATE TRIGGER deck_stays BEFORE DELETE OR UPDATE OF id ON deck FOR EACH ROW EXECUTE FUNCTION deck_stays();
ALTER TABLE rate DROP CONSTRAINT rate_deck_id_fkey;
REVOKE UPDATE ON rate FROM telecommune_app; -- a version is written once and never changed

-- How carriers write their decks, under a name: the TOML file as it was given.
CREATE TABLE deck_format (
    name     code PRIMARY KEY,
    text     text NOT NULL CONSTRAINT deck_format_length CHECK (length(text) <= 65536),
    added_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, DELETE ON deck_format TO telecommune_app;

-- +goose Down
DROP TABLE deck_format;
GRANT UPDATE ON rate TO telecommune_app;
DELETE FROM rate WHERE deck_id IN (SELECT id FROM deck WHERE active_from IS NULL);
DELETE FROM deck_holiday WHERE deck_id IN (SELECT id FROM deck WHERE active_from IS NULL);
DELETE FROM deck WHERE active_from IS NULL;
DROP TRIGGER deck_stays ON deck;
DROP TRIGGER rate_has_deck ON rate;
DROP FUNCTION deck_stays, rate_has_deck;
ALTER TABLE rate ADD CONSTRAINT rate_deck_id_fkey FOREIGN KEY (deck_id) REFERENCES deck (id);
ALTER TABLE deck
    DROP COLUMN row_count,
    DROP COLUMN ended_at,
    ALTER COLUMN active_from SET NOT NULL;
