-- +goose Up

-- How trunks are ranked for the numbers with a prefix; '' is all numbers, the longest prefix counts.
CREATE TABLE route_policy (
    prefix   text PRIMARY KEY CONSTRAINT route_policy_prefix CHECK (prefix ~ '^([1-9][0-9]{0,14})?$'),
    strategy text NOT NULL
        CONSTRAINT route_policy_strategy CHECK (strategy IN ('cheapest', 'priority', 'weighted', 'quality')),
    band     integer NOT NULL DEFAULT 0 CONSTRAINT route_policy_band CHECK (band BETWEEN 0 AND 1000), -- percent over the cheapest
    CONSTRAINT route_policy_band_of_quality CHECK (band = 0 OR strategy = 'quality')
);
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON route_policy FOR EACH STATEMENT EXECUTE FUNCTION revise();
GRANT SELECT, INSERT, UPDATE, DELETE ON route_policy TO telecommune_app;

ALTER TABLE trunk
    ADD COLUMN priority integer NOT NULL DEFAULT 100 CONSTRAINT trunk_priority CHECK (priority BETWEEN 1 AND 1000),
    ADD COLUMN weight   integer NOT NULL DEFAULT 100 CONSTRAINT trunk_weight CHECK (weight BETWEEN 1 AND 1000);

-- A call by this row goes out though the carrier asks more than the caller pays.
ALTER TABLE rate ADD COLUMN allow_loss boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE rate DROP COLUMN allow_loss;
ALTER TABLE trunk DROP COLUMN priority, DROP COLUMN weight;
DROP TABLE route_policy;
