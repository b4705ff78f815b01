-- +goose Up

-- ---------------------------------------------------------------- vouchers in batches

-- A batch is the vouchers of one entry; a single one is a batch of one. What became of a voucher is one of: redeemed, void
-- (its credit went back to whom it came from), expired (the enterprise kept it), or nothing yet.
ALTER TABLE voucher
    ADD COLUMN batch      uuid REFERENCES entry (id),
    ADD COLUMN serial     integer NOT NULL DEFAULT 1 CONSTRAINT voucher_serial_positive CHECK (serial > 0),
    ADD COLUMN expires_on date, -- the last day on which it is good, in the commune's zone; NULL: it stays good
    ADD COLUMN ended      text CONSTRAINT voucher_ended CHECK (ended IN ('void', 'expired')),
    ADD COLUMN ended_at   timestamptz;
UPDATE voucher SET batch = id; -- up to now a voucher had the id of its entry
ALTER TABLE voucher
    ALTER COLUMN batch SET NOT NULL,
    ALTER COLUMN serial DROP DEFAULT,
    ADD CONSTRAINT voucher_serial_unique UNIQUE (batch, serial),
    ADD CONSTRAINT voucher_ended_whole CHECK ((ended IS NULL) = (ended_at IS NULL)),
    ADD CONSTRAINT voucher_ended_once CHECK (redeemed_at IS NULL OR ended_at IS NULL);

-- ---------------------------------------------------------------- carriers' invoices

CREATE TABLE carrier_invoice (
    enterprise  code NOT NULL REFERENCES enterprise (code),
    carrier     code NOT NULL,
    number      text NOT NULL CONSTRAINT carrier_invoice_number CHECK (length(number) BETWEEN 1 AND 64),
    first_day   date, -- of the calls that it is for; NULL: for something else
    last_day    date,
    amount      bigint NOT NULL
        CONSTRAINT carrier_invoice_cents CHECK (amount > 0 AND amount % 10000 = 0),
    accrued     bigint NOT NULL, -- what the books had for those calls when it came
    received_at timestamptz NOT NULL DEFAULT now(),
    entry_id    uuid REFERENCES entry (id), -- of the difference; NULL when there is none
    payment_id  uuid REFERENCES entry (id), -- NULL while it is open
    PRIMARY KEY (enterprise, carrier, number),
    CONSTRAINT carrier_invoice_days CHECK ((first_day IS NULL) = (last_day IS NULL) AND first_day <= last_day),
    CONSTRAINT carrier_invoice_difference CHECK ((entry_id IS NULL) = (amount = accrued))
);

-- What was received stays as it is; only its payment is added.
GRANT SELECT, INSERT, UPDATE (payment_id) ON carrier_invoice TO telecommune_app;

-- +goose Down
DROP TABLE carrier_invoice;
ALTER TABLE voucher
    DROP CONSTRAINT voucher_ended_once, DROP CONSTRAINT voucher_ended_whole, DROP CONSTRAINT voucher_serial_unique,
    DROP COLUMN batch, DROP COLUMN serial, DROP COLUMN expires_on, DROP COLUMN ended, DROP COLUMN ended_at;
