-- +goose Up

-- ---------------------------------------------------------------- what may be called (routing)

-- What holds for all numbers. No country named: all.
CREATE TABLE route_limit (
    one_row   boolean PRIMARY KEY DEFAULT true CONSTRAINT route_limit_is_one CHECK (one_row),
    max_rate  bigint NOT NULL DEFAULT 1000000 CONSTRAINT route_limit_rate CHECK (max_rate >= 0), -- a minute, VAT included
    countries text[] NOT NULL DEFAULT '{}'
        CONSTRAINT route_limit_countries CHECK (array_to_string(countries, ',') ~ '^([A-Z]{2}(,[A-Z]{2})*)?$')
);
INSERT INTO route_limit DEFAULT VALUES;

-- The house's own word on the numbers below a prefix; the longest counts.
CREATE TABLE route_rule (
    prefix   text PRIMARY KEY CONSTRAINT route_rule_prefix CHECK (prefix ~ '^[1-9][0-9]{0,14}$'),
    action   text NOT NULL CONSTRAINT route_rule_action CHECK (action IN ('allow', 'block')),
    max_rate bigint CONSTRAINT route_rule_rate CHECK (max_rate >= 0), -- in the place of the limit's
    note     text NOT NULL DEFAULT '' CONSTRAINT route_rule_note CHECK (length(note) <= 200),
    set_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT route_rule_rate_allows CHECK (max_rate IS NULL OR action = 'allow')
);
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON route_limit FOR EACH STATEMENT EXECUTE FUNCTION revise();
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON route_rule FOR EACH STATEMENT EXECUTE FUNCTION revise();

-- ---------------------------------------------------------------- why a call went where it went

-- The plan that each call was routed by, as routing explains it.
CREATE TABLE call_route (
    call_id uuid PRIMARY KEY REFERENCES call (id),
    plan    jsonb NOT NULL
);

-- ---------------------------------------------------------------- how good trunks are

-- What is known of an attempt beyond how it ended: where to; whether the trunk was tried, and not passed over; whether
-- the far party was reached, whatever that did then; whether it is in the sums below.
ALTER TABLE attempt
    ADD COLUMN country   text NOT NULL DEFAULT '',
    ADD COLUMN prefix    text NOT NULL DEFAULT '',
    ADD COLUMN seized    boolean NOT NULL DEFAULT true,
    ADD COLUMN effective boolean NOT NULL DEFAULT false,
    ADD COLUMN counted   boolean NOT NULL DEFAULT false;
UPDATE attempt SET seized = false WHERE outcome IN ('full', 'cps');
UPDATE attempt SET effective = seized AND (sip BETWEEN 200 AND 299 OR sip IN (486, 600, 603) OR q850 IN (17, 19, 20)
    OR pdd_ms > 0 AND sip IN (0, 408, 480, 487));
CREATE INDEX attempt_to_count ON attempt (call_id, n) WHERE NOT counted;
CREATE INDEX attempt_by_start ON attempt (started_at); -- how trunks did lately, as serve starts and for `trunk show`

-- Sums of attempts and of the calls that they led to, by the quarter of an hour in which the attempt began.
CREATE TABLE trunk_quarter (
    began     timestamptz NOT NULL,
    trunk     text NOT NULL,
    country   text NOT NULL,
    prefix    text NOT NULL, -- of the carrier's deck
    attempts  bigint NOT NULL,
    answered  bigint NOT NULL,
    effective bigint NOT NULL,
    delayed   bigint NOT NULL, -- attempts with a post-dial delay
    delay_ms  bigint NOT NULL, -- all of theirs
    seconds   bigint NOT NULL,
    price     bigint NOT NULL, -- VAT included
    vat       bigint NOT NULL,
    cost      bigint NOT NULL,
    PRIMARY KEY (began, trunk, country, prefix),
    CONSTRAINT trunk_quarter_counts CHECK (answered <= effective AND effective <= attempts AND delayed <= attempts)
);

-- How those that were not answered failed.
CREATE TABLE trunk_quarter_failure (
    began    timestamptz NOT NULL,
    trunk    text NOT NULL,
    country  text NOT NULL,
    prefix   text NOT NULL,
    sip      integer NOT NULL,
    q850     integer NOT NULL,
    attempts bigint NOT NULL,
    PRIMARY KEY (began, trunk, country, prefix, sip, q850)
);

GRANT SELECT, INSERT ON call_route TO telecommune_app;
GRANT SELECT, INSERT, UPDATE ON trunk_quarter, trunk_quarter_failure TO telecommune_app;
GRANT SELECT, UPDATE ON route_limit TO telecommune_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON route_rule TO telecommune_app;

-- +goose Down
DROP TABLE trunk_quarter_failure, trunk_quarter, call_route, route_rule, route_limit;
DROP INDEX attempt_to_count, attempt_by_start;
ALTER TABLE attempt DROP COLUMN country, DROP COLUMN prefix, DROP COLUMN seized, DROP COLUMN effective, DROP COLUMN counted;
