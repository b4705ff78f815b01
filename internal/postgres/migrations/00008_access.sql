-- +goose Up

-- What the provider of an access number charges for calls to it, in the commune's currency.
ALTER TABLE access_number
    ADD COLUMN cost_per_minute    bigint NOT NULL DEFAULT 0
        CONSTRAINT access_number_cost CHECK (cost_per_minute BETWEEN 0 AND 1000000000),
    ADD COLUMN cost_connect_fee   bigint NOT NULL DEFAULT 0
        CONSTRAINT access_number_fee CHECK (cost_connect_fee BETWEEN 0 AND 1000000000),
    ADD COLUMN cost_interval_first integer NOT NULL DEFAULT 1
        CONSTRAINT access_number_interval_first CHECK (cost_interval_first BETWEEN 1 AND 3600),
    ADD COLUMN cost_interval_next  integer NOT NULL DEFAULT 1
        CONSTRAINT access_number_interval_next CHECK (cost_interval_next BETWEEN 1 AND 3600);

-- What holds for callers' prices by their name, whichever version of the deck is in force.
CREATE TABLE tariff (
    name          code PRIMARY KEY,
    passes_access boolean NOT NULL -- do callers pay what the access number costs?
);

-- price and vat are those of the whole call; access_price and access_vat are their parts for the access number.
ALTER TABLE call
    ADD COLUMN access_leg   jsonb, -- what the call may bear of its access leg; NULL when that costs nothing
    ADD COLUMN access_price bigint NOT NULL DEFAULT 0,
    ADD COLUMN access_vat   bigint NOT NULL DEFAULT 0,
    ADD COLUMN access_cost  bigint NOT NULL DEFAULT 0 CONSTRAINT call_access_cost CHECK (access_cost >= 0),
    ADD CONSTRAINT call_access_vat_in_vat CHECK (access_vat BETWEEN 0 AND vat),
    ADD CONSTRAINT call_access_in_price CHECK (access_price - access_vat BETWEEN 0 AND price - vat);

GRANT SELECT, INSERT, UPDATE, DELETE ON tariff TO telecommune_app;

-- +goose Down
ALTER TABLE call
    DROP COLUMN access_leg, DROP COLUMN access_price, DROP COLUMN access_vat, DROP COLUMN access_cost;
DROP TABLE tariff;
ALTER TABLE access_number
    DROP COLUMN cost_per_minute, DROP COLUMN cost_connect_fee, DROP COLUMN cost_interval_first, DROP COLUMN cost_interval_next;
