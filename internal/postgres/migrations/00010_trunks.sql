-- +goose Up

-- What carriers agree upon with us. Empty text and 0 mean "none" or "no limit" throughout.
ALTER TABLE trunk
    DROP CONSTRAINT trunk_transport,
    ADD CONSTRAINT trunk_transport CHECK (transport IN ('udp', 'tcp', 'tls')),
    ADD COLUMN tls_ca        text NOT NULL DEFAULT '' CONSTRAINT trunk_tls_ca CHECK (length(tls_ca) <= 65536), -- PEM
    ADD COLUMN tls_name      text NOT NULL DEFAULT '' CONSTRAINT trunk_tls_name CHECK (length(tls_name) <= 253),
    ADD COLUMN rewrite       text NOT NULL DEFAULT '' CONSTRAINT trunk_rewrite CHECK (length(rewrite) <= 300),
    ADD COLUMN codecs        text NOT NULL DEFAULT '' CONSTRAINT trunk_codecs CHECK (codecs ~ '^(PCM[AU](,PCM[AU])?)?$'),
    ADD COLUMN caller_id     text NOT NULL DEFAULT 'pass'
        CONSTRAINT trunk_caller_id CHECK (caller_id IN ('pass', 'fixed', 'verified', 'withheld')),
    ADD COLUMN caller_number text NOT NULL DEFAULT ''
        CONSTRAINT trunk_caller_number CHECK (caller_number ~ '^(\+[1-9][0-9]{3,14})?$'),
    ADD COLUMN trusted       boolean NOT NULL DEFAULT false, -- the carrier keeps identities that were withheld to itself
    ADD COLUMN hours         text NOT NULL DEFAULT '' CONSTRAINT trunk_hours CHECK (length(hours) <= 400),
    ADD COLUMN zone          text NOT NULL DEFAULT '', -- of hours; '' only where there are none
    ADD COLUMN minutes_day   integer NOT NULL DEFAULT 0 CONSTRAINT trunk_minutes_day CHECK (minutes_day >= 0),
    ADD COLUMN minutes_month integer NOT NULL DEFAULT 0 CONSTRAINT trunk_minutes_month CHECK (minutes_month >= 0),
    ADD COLUMN spend_day     bigint NOT NULL DEFAULT 0 CONSTRAINT trunk_spend_day CHECK (spend_day >= 0),
    ADD COLUMN spend_month   bigint NOT NULL DEFAULT 0 CONSTRAINT trunk_spend_month CHECK (spend_month >= 0),
    -- What we had with the carrier at an instant; calls that ended since are taken off. NULL: it is paid afterwards.
    ADD COLUMN prepaid_at    timestamptz,
    ADD COLUMN prepaid       bigint NOT NULL DEFAULT 0,
    ADD COLUMN prepaid_floor bigint NOT NULL DEFAULT 0,
    ADD COLUMN failover      text NOT NULL DEFAULT '' CONSTRAINT trunk_failover CHECK (length(failover) <= 1000),
    ADD COLUMN ring_seconds  integer NOT NULL DEFAULT 0 CONSTRAINT trunk_ring CHECK (ring_seconds BETWEEN 0 AND 120),
    ADD COLUMN probe_seconds integer NOT NULL DEFAULT 0 CONSTRAINT trunk_probe CHECK (probe_seconds BETWEEN 0 AND 3600),
    ADD COLUMN deck          text NOT NULL DEFAULT '' CONSTRAINT trunk_deck CHECK (deck ~ '^[A-Za-z0-9_-]{0,32}$'),
    ADD COLUMN asset         code,
    ADD CONSTRAINT trunk_fixed_number CHECK (caller_id <> 'fixed' OR caller_number <> ''),
    ADD CONSTRAINT trunk_hours_have_zone CHECK (hours = '' OR zone <> '');

-- Why an answer looks false (silence, fast, short, with spaces between); '' when it does not.
ALTER TABLE attempt ADD COLUMN suspect text NOT NULL DEFAULT '';

-- What a trunk carried of late, for its limits and its prepaid balance.
CREATE INDEX call_by_trunk ON call (trunk, ended_at) WHERE answered_seconds > 0;

-- +goose Down
DROP INDEX call_by_trunk;
ALTER TABLE attempt DROP COLUMN suspect;
DELETE FROM trunk WHERE transport = 'tls';
ALTER TABLE trunk
    DROP CONSTRAINT trunk_transport,
    ADD CONSTRAINT trunk_transport CHECK (transport IN ('udp', 'tcp')),
    DROP COLUMN tls_ca, DROP COLUMN tls_name, DROP COLUMN rewrite, DROP COLUMN codecs, DROP COLUMN caller_id,
    DROP COLUMN caller_number, DROP COLUMN trusted, DROP COLUMN hours, DROP COLUMN zone, DROP COLUMN minutes_day,
    DROP COLUMN minutes_month, DROP COLUMN spend_day, DROP COLUMN spend_month, DROP COLUMN prepaid_at, DROP COLUMN prepaid,
    DROP COLUMN prepaid_floor, DROP COLUMN failover, DROP COLUMN ring_seconds, DROP COLUMN probe_seconds, DROP COLUMN deck,
    DROP COLUMN asset;
