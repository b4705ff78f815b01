-- +goose Up

-- The same rules as before, found in one look at the lines: this runs for every entry that is posted.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lines    bigint;
    balanced boolean;
BEGIN
    SELECT COALESCE(sum(b.lines), 0), COALESCE(bool_and(b.amount = 0), true) INTO lines, balanced
    FROM (SELECT count(*) AS lines, sum(amount) AS amount FROM line WHERE entry_id = NEW.id GROUP BY book) b;
    IF lines <> NEW.line_count THEN
        RAISE EXCEPTION 'entry % does not have its % lines', NEW.key, NEW.line_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_complete';
    END IF;
    IF NOT balanced THEN
        RAISE EXCEPTION 'entry % does not balance in each of its books', NEW.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_balanced';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM line WHERE entry_id = NEW.id) <> NEW.line_count THEN
        RAISE EXCEPTION 'entry % does not have its % lines', NEW.key, NEW.line_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_complete';
    END IF;
    IF EXISTS (SELECT FROM line WHERE entry_id = NEW.id GROUP BY book HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'entry % does not balance in each of its books', NEW.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_balanced';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
