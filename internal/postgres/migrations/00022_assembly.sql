-- +goose Up

-- ---------------------------------------------------------------- what an assembly decides (billing/commune)

-- Votes on the policies that are numbers (economics.md 8): each counts from a day on, in place of those before it. Without
-- one the program's own value counts.
CREATE TABLE policy_vote (
    n       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key     text NOT NULL CONSTRAINT policy_vote_once UNIQUE, -- of the act
    policy  code NOT NULL,
    from_on date NOT NULL,
    value   integer NOT NULL CONSTRAINT policy_vote_value CHECK (value BETWEEN 0 AND 10000),
    text    text NOT NULL CONSTRAINT policy_vote_text CHECK (text <> '')
);
CREATE INDEX policy_vote_by_policy ON policy_vote (policy, n);

-- ---------------------------------------------------------------- rent that does not come (P-12)

-- Notices to lessees whose rent of a month is overdue. As long as it is open, the agreement is in arrears; what follows is
-- counted from the day on which it fell due.
CREATE TABLE arrears_notice (
    agreement code NOT NULL,
    month     month NOT NULL,
    key       text NOT NULL, -- of the act
    day       date NOT NULL,
    due_on    date NOT NULL,
    PRIMARY KEY (agreement, month),
    CONSTRAINT arrears_notice_of_posting FOREIGN KEY (agreement, month) REFERENCES rent_posting (agreement, month),
    CONSTRAINT arrears_notice_days CHECK (day >= due_on)
);

-- An agreement that ended because its rent did not come.
ALTER TABLE agreement ADD COLUMN broken boolean NOT NULL DEFAULT false CONSTRAINT agreement_broken_ends CHECK (NOT broken OR end_on IS NOT NULL);
GRANT UPDATE (broken) ON agreement TO telecommune_app;

-- A series whose asset is to be sold for its holders (R19).
ALTER TABLE series ADD COLUMN defaulted_on date CONSTRAINT series_defaulted_later CHECK (defaulted_on >= issued_on);
GRANT UPDATE (defaulted_on) ON series TO telecommune_app;

-- ---------------------------------------------------------------- enterprises come and go

-- The commune moves an enterprise from state to state; that its rents are in arrears stands in those.
ALTER TABLE enterprise ADD COLUMN state text NOT NULL DEFAULT 'active'
    CONSTRAINT enterprise_state CHECK (state IN ('proposed', 'active', 'suspended', 'wound_up'));

-- The book of an enterprise that was wound up takes nothing any more, whoever posts.
ALTER TABLE book ADD COLUMN closed_on date;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION line_has_entry_and_book() RETURNS trigger LANGUAGE plpgsql
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
    IF EXISTS (SELECT FROM (SELECT DISTINCT book FROM added) a JOIN book b ON b.code = a.book WHERE b.closed_on IS NOT NULL) THEN
        RAISE EXCEPTION 'a line in a book that was closed for good'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'line_book_open';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- ---------------------------------------------------------------- dividends that nobody claims

-- Dividends that went back to the pool, since they were not claimed in time.
CREATE TABLE forfeit (
    key    text PRIMARY KEY,
    member code NOT NULL REFERENCES member (code),
    day    date NOT NULL,
    amount bigint NOT NULL CONSTRAINT forfeit_amount CHECK (amount > 0)
);
CREATE INDEX forfeit_by_member ON forfeit (member);

GRANT SELECT, INSERT ON policy_vote, arrears_notice, forfeit TO telecommune_app;
REVOKE UPDATE, DELETE ON policy_vote, arrears_notice, forfeit FROM telecommune_app;

-- ---------------------------------------------------------------- the place for scenarios, with all that is new

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_replay() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    DROP SCHEMA IF EXISTS replay CASCADE;
    CREATE SCHEMA replay;
    FOREACH name IN ARRAY ARRAY['commune', 'enterprise', 'act', 'member', 'contribution', 'share', 'asset', 'asset_request',
        'agreement', 'asset_usage', 'usage_waiver', 'rental_auction', 'rental_bid', 'series', 'bid', 'rent_posting', 'rent_settlement',
        'rent_order', 'mutual_expense', 'levy_vote', 'distribution', 'dividend', 'payout', 'policy_vote', 'arrears_notice', 'forfeit'] LOOP
        EXECUTE format('CREATE TABLE replay.%I (LIKE public.%I INCLUDING ALL)', name, name);
    END LOOP;
    GRANT USAGE ON SCHEMA replay TO telecommune_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA replay TO telecommune_app;
END $$;
-- +goose StatementEnd
SELECT make_replay();

-- +goose Down
DROP TABLE forfeit, arrears_notice, policy_vote;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_replay() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    DROP SCHEMA IF EXISTS replay CASCADE;
    CREATE SCHEMA replay;
    FOREACH name IN ARRAY ARRAY['commune', 'enterprise', 'act', 'member', 'contribution', 'share', 'asset', 'asset_request',
        'agreement', 'asset_usage', 'usage_waiver', 'rental_auction', 'rental_bid', 'series', 'bid', 'rent_posting', 'rent_settlement',
        'rent_order', 'mutual_expense', 'levy_vote', 'distribution', 'dividend', 'payout'] LOOP
        EXECUTE format('CREATE TABLE replay.%I (LIKE public.%I INCLUDING ALL)', name, name);
    END LOOP;
    GRANT USAGE ON SCHEMA replay TO telecommune_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA replay TO telecommune_app;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION line_has_entry_and_book() RETURNS trigger LANGUAGE plpgsql
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
ALTER TABLE book DROP COLUMN closed_on;
ALTER TABLE enterprise DROP COLUMN state;
ALTER TABLE series DROP COLUMN defaulted_on;
ALTER TABLE agreement DROP COLUMN broken;
SELECT make_replay();
