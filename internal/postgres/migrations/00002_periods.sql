-- +goose Up

-- ---------------------------------------------------------------- what an entry says, as one hash

-- netstring writes a text with its length, so that texts one after the other have one reading only. (STABLE, as what it
-- calls is: PostgreSQL writes no function into a query that promises more than its parts.)
CREATE FUNCTION netstring(t text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT octet_length(convert_to(t, 'UTF8')) || ':' || t || ','
$$;

-- microseconds since 1970, as the program counts them.
CREATE FUNCTION microseconds(t timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM t) * 1000000)::bigint
$$;

ALTER TABLE entry
    ADD COLUMN zone     text,                        -- the commune's when it was posted; business_date is a day of it
    ADD COLUMN reverses uuid REFERENCES entry (id),  -- the entry that this one takes back
    ADD COLUMN hash     bytea;                       -- over all else in the row, and its lines

CREATE UNIQUE INDEX entry_reversed_once ON entry (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX entry_by_date ON entry (business_date);

-- entry_hash is what the program computes when it posts an entry (billing/ledger), for whoever wants to check the books
-- with nothing but SQL: SELECT id FROM entry e WHERE hash <> entry_hash(e).
-- +goose StatementBegin
CREATE FUNCTION entry_hash(e entry) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(
        netstring('entry 1') || netstring(e.id::text) || netstring(e.key) || netstring(encode(e.content_hash, 'hex')) ||
        netstring(e.kind) || netstring(microseconds(e.at)::text) || netstring(to_char(e.business_date, 'YYYY-MM-DD')) ||
        netstring(e.zone) || netstring(e.text) || netstring(e.actor) || netstring(COALESCE(e.reverses::text, '')) ||
        netstring(microseconds(e.posted_at)::text) || netstring(e.line_count::text) || COALESCE((
            SELECT string_agg(netstring(l.n::text) || netstring(l.line_count::text) || netstring(l.book) ||
                netstring(l.account) || netstring(l.amount::text), '' ORDER BY l.n)
            FROM line l WHERE l.entry_id = e.id), ''), 'UTF8'))
$$;
-- +goose StatementEnd

-- mark is the part of an entry's hash that is counted up in tally.
CREATE FUNCTION mark(hash bytea) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || encode(substring(hash FROM 1 FOR 8), 'hex'))::bit(64)::bigint
$$;

UPDATE entry SET zone = (SELECT zone FROM commune);
UPDATE entry e SET hash = entry_hash(e);
ALTER TABLE entry ALTER COLUMN zone SET NOT NULL, ALTER COLUMN hash SET NOT NULL;

-- How many entries there are, and all their marks by exclusive or: an entry that was deleted whole, or put in behind the
-- program's back, is missed here. Each connection counts in a row of its own, so that none waits for another.
CREATE TABLE tally (
    slot    integer PRIMARY KEY, -- of the connection
    entries bigint NOT NULL,
    marks   bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO tally SELECT 0, count(*), bit_xor(mark(hash)) FROM entry HAVING count(*) > 0;

-- ---------------------------------------------------------------- periods

-- A month that is closed. seal is the end of the chain of the hashes of its entries in the order of their ids, which
-- begins with the seal of the month before it: one seal kept elsewhere vouches for all entries up to it.
CREATE TABLE period (
    month     text PRIMARY KEY CONSTRAINT period_month CHECK (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    closed_at timestamptz NOT NULL,
    closed_by text NOT NULL,
    entries   bigint NOT NULL,
    seal      bytea NOT NULL CONSTRAINT period_seal_whole CHECK (octet_length(seal) = 32)
);

-- Entries of earlier days are refused: the first day after the last closed month.
ALTER TABLE commune ADD COLUMN open_from date NOT NULL DEFAULT '0001-01-01';

-- A close holds the lock below while it works, a posting shares it until it commits. So a close sees every entry of its
-- month, and a posting that had to wait for it sees here, with eyes of its own, that the month is closed; tried again, it
-- finds an open day or is refused. (Not so in REPEATABLE READ, in which nothing posts.)
-- +goose StatementBegin
CREATE FUNCTION entry_in_open_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1668050803);
    IF EXISTS (SELECT FROM added a, commune c WHERE a.business_date < c.open_from) THEN
        RAISE EXCEPTION 'an entry of a closed period'
            USING ERRCODE = 'serialization_failure', CONSTRAINT = 'entry_in_open_period';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER entry_in_open_period AFTER INSERT ON entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION entry_in_open_period();

-- ---------------------------------------------------------------- the program's own role

GRANT SELECT, INSERT ON period TO telecommune_app;
GRANT SELECT, INSERT, UPDATE ON tally TO telecommune_app;

-- +goose Down
DROP TRIGGER entry_in_open_period ON entry;
DROP FUNCTION entry_in_open_period();
ALTER TABLE commune DROP COLUMN open_from;
DROP TABLE period, tally;
DROP FUNCTION mark(bytea);
DROP FUNCTION entry_hash(entry);
ALTER TABLE entry DROP COLUMN zone, DROP COLUMN reverses, DROP COLUMN hash;
DROP INDEX entry_by_date;
DROP FUNCTION microseconds(timestamptz);
DROP FUNCTION netstring(text);
