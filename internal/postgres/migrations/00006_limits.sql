-- +goose Up

-- What an account's calls may not pass, whatever its credit. NULL: no such limit.
CREATE DOMAIN country AS text CONSTRAINT country_iso CHECK (VALUE ~ '^[A-Z]{2}$'); -- ISO 3166
ALTER TABLE account
    ADD COLUMN max_calls    integer CONSTRAINT account_max_calls CHECK (max_calls > 0),       -- at once
    ADD COLUMN max_rate     bigint CONSTRAINT account_max_rate CHECK (max_rate > 0),          -- price of a minute, as it is told
    ADD COLUMN max_per_hour bigint CONSTRAINT account_max_per_hour CHECK (max_per_hour > 0),  -- spent and held, of the last hour
    ADD COLUMN max_per_day  bigint CONSTRAINT account_max_per_day CHECK (max_per_day > 0),    -- of the last 24 hours
    ADD COLUMN countries    country[] CONSTRAINT account_countries CHECK (cardinality(countries) > 0); -- that may be called

-- Whether it was the account's limit an hour or a day that kept the hold from being more, and not its credit.
ALTER TABLE hold ADD COLUMN spend_limited boolean NOT NULL DEFAULT false;

CREATE INDEX hold_by_account ON hold (account);
CREATE INDEX call_charged ON call (account, ended_at) INCLUDE (price) WHERE price > 0;

-- A statement that books a hold asks these when it has locked the account's balance. They are VOLATILE so that each looks
-- with eyes of its own: who waited for the lock sees here what those before him held and were charged. The statement
-- itself, subqueries too, sees all but the locked row as it was before it waited.
-- +goose StatementBegin
CREATE FUNCTION calls_at_once(of text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT count(*) FROM hold WHERE account = of);
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION charged(of text, span interval) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT COALESCE(sum(price), 0) FROM call WHERE account = of AND price > 0 AND ended_at > now() - span);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION charged(text, interval);
DROP FUNCTION calls_at_once(text);
DROP INDEX call_charged, hold_by_account;
ALTER TABLE hold DROP COLUMN spend_limited;
ALTER TABLE account
    DROP COLUMN max_calls, DROP COLUMN max_rate, DROP COLUMN max_per_hour, DROP COLUMN max_per_day, DROP COLUMN countries;
DROP DOMAIN country;
