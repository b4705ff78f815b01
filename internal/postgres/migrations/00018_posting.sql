-- +goose Up

-- ---------------------------------------------------------------- what is posted stays, whoever asks

-- +goose StatementBegin
CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of table % is refused: what stands there stays', lower(TG_OP), TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
-- +goose StatementEnd
CREATE TRIGGER entry_stays BEFORE UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION stays();
CREATE TRIGGER line_stays BEFORE UPDATE OR DELETE ON line FOR EACH ROW EXECUTE FUNCTION stays();
CREATE TRIGGER book_stays BEFORE DELETE OR UPDATE OF code ON book FOR EACH ROW EXECUTE FUNCTION stays();
CREATE TRIGGER entry_all_stay BEFORE TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION stays();
CREATE TRIGGER line_all_stay BEFORE TRUNCATE ON line FOR EACH STATEMENT EXECUTE FUNCTION stays();
CREATE TRIGGER book_all_stay BEFORE TRUNCATE ON book FOR EACH STATEMENT EXECUTE FUNCTION stays();

-- ---------------------------------------------------------------- a line's entry and book, looked up once a statement

-- Foreign keys ask for each line, and lock the row that they find lest it go. These rows don't go, so that one look at the
-- end of a statement finds the same. The settings keep its plan to the index, however small a table was when it was made.
-- +goose StatementBegin
CREATE FUNCTION line_has_entry_and_book() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM added a LEFT JOIN entry e ON e.id = a.entry_id
        WHERE e.line_count IS DISTINCT FROM a.line_count) THEN
        RAISE EXCEPTION 'a line of an entry that is not there, or has another number of lines'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'line_of_entry';
    END IF;
    IF EXISTS (SELECT FROM (SELECT DISTINCT book FROM added) a LEFT JOIN book b ON b.code = a.book WHERE b.code IS NULL) THEN
        RAISE EXCEPTION 'a line in a book that is not there'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'line_book_fkey';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER line_has_entry_and_book AFTER INSERT ON line REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION line_has_entry_and_book();
ALTER TABLE line DROP CONSTRAINT line_of_entry, DROP CONSTRAINT line_book_fkey;
ALTER TABLE entry DROP CONSTRAINT entry_line_count_unique;

-- ---------------------------------------------------------------- an entry's balance, without a table of sums

-- The same rules as before: most entries touch one book, whose sum needs no grouping.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    SELECT count(*) AS lines, sum(amount) AS amount, min(book) AS first, max(book) AS last INTO found
    FROM line WHERE entry_id = NEW.id;
    IF found.lines <> NEW.line_count THEN
        RAISE EXCEPTION 'entry % does not have its % lines', NEW.key, NEW.line_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_complete';
    END IF;
    IF found.amount <> 0 OR found.first <> found.last
        AND EXISTS (SELECT FROM line WHERE entry_id = NEW.id GROUP BY book HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'entry % does not balance in each of its books', NEW.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_balanced';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Balances move all the time: room for their new versions beside the old ones keeps the index as it is.
ALTER TABLE balance SET (fillfactor = 50);

-- +goose Down
ALTER TABLE balance RESET (fillfactor);
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
ALTER TABLE entry ADD CONSTRAINT entry_line_count_unique UNIQUE (id, line_count);
ALTER TABLE line
    ADD CONSTRAINT line_of_entry FOREIGN KEY (entry_id, line_count) REFERENCES entry (id, line_count),
    ADD CONSTRAINT line_book_fkey FOREIGN KEY (book) REFERENCES book (code);
DROP TRIGGER line_has_entry_and_book ON line;
DROP FUNCTION line_has_entry_and_book();
DROP TRIGGER entry_stays ON entry;
DROP TRIGGER line_stays ON line;
DROP TRIGGER book_stays ON book;
DROP TRIGGER entry_all_stay ON entry;
DROP TRIGGER line_all_stay ON line;
DROP TRIGGER book_all_stay ON book;
DROP FUNCTION stays();
