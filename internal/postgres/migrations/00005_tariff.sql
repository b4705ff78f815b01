-- +goose Up

-- Rows that count only at some times of the week, in the zone of their deck. '' is the row for all other times.
ALTER TABLE rate
    ADD COLUMN time_window text NOT NULL DEFAULT '' CONSTRAINT rate_window CHECK (length(time_window) <= 400),
    DROP CONSTRAINT rate_pkey,
    ADD PRIMARY KEY (deck_id, prefix, effective_from, time_window);

-- Days of a deck that count as another day of the week, or as a kind of day of their own.
CREATE TABLE deck_holiday (
    deck_id   uuid NOT NULL REFERENCES deck (id),
    day       date NOT NULL,
    counts_as text NOT NULL
        CONSTRAINT deck_holiday_counts_as CHECK (counts_as IN ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'hol')),
    name      text NOT NULL DEFAULT '',
    PRIMARY KEY (deck_id, day)
);

-- What one unit of the commune's currency buys of another, in millionths, from an instant up to the next row.
CREATE TABLE exchange_rate (
    home           currency NOT NULL, -- the commune's
    currency       currency NOT NULL CONSTRAINT exchange_rate_foreign CHECK (currency <> home),
    effective_from timestamptz NOT NULL,
    rate           bigint NOT NULL CONSTRAINT exchange_rate_range CHECK (rate BETWEEN 1 AND 1000000000000),
    set_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (home, currency, effective_from)
);
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON exchange_rate FOR EACH STATEMENT EXECUTE FUNCTION revise();

-- retail_rate is the row in force when the call is authorised; these come into force before it can be answered, each with
-- its moment. When the call is settled, retail_rate is the one that priced it.
ALTER TABLE call ADD COLUMN later_rates jsonb;

GRANT SELECT, INSERT ON deck_holiday TO telecommune_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON exchange_rate TO telecommune_app;

-- +goose Down
ALTER TABLE call DROP COLUMN later_rates;
DROP TABLE exchange_rate, deck_holiday;
DELETE FROM rate WHERE time_window <> '';
ALTER TABLE rate
    DROP CONSTRAINT rate_pkey,
    ADD PRIMARY KEY (deck_id, prefix, effective_from),
    DROP COLUMN time_window;
