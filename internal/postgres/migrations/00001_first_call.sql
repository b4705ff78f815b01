-- +goose Up

-- Amounts are bigint in millionths of the currency that stands beside them or in the row's book.
-- Codes name things for people and in ledger sub-accounts; they never change.
CREATE DOMAIN code AS text CONSTRAINT code_syntax CHECK (VALUE ~ '^[A-Za-z0-9_-]{1,32}$');
CREATE DOMAIN phone_number AS text CONSTRAINT phone_number_e164 CHECK (VALUE ~ '^\+[1-9][0-9]{3,14}$');
CREATE DOMAIN currency AS text CONSTRAINT currency_iso CHECK (VALUE ~ '^[A-Z]{3}$');

-- ---------------------------------------------------------------- the commune and its enterprises

CREATE TABLE commune (
    one_row  boolean PRIMARY KEY DEFAULT true CONSTRAINT commune_is_one CHECK (one_row),
    currency currency NOT NULL DEFAULT 'EUR',
    zone     text NOT NULL DEFAULT 'UTC',
    -- Of the secret key in the state folder, since it was first used: a program with another one is refused.
    key_fingerprint bytea
);
INSERT INTO commune DEFAULT VALUES;

CREATE TABLE book (
    code     code PRIMARY KEY,
    name     text NOT NULL,
    currency currency NOT NULL
);

CREATE TABLE enterprise (
    code        code PRIMARY KEY REFERENCES book (code),
    name        text NOT NULL,
    vat_percent bigint NOT NULL DEFAULT 0, -- millionths of a percent: 19 % is 19000000
    CONSTRAINT enterprise_vat_range CHECK (vat_percent BETWEEN 0 AND 100000000)
);
INSERT INTO book VALUES ('COM', 'The commune', 'EUR'), ('CALL', 'Long-distance calls', 'EUR');
INSERT INTO enterprise VALUES ('CALL', 'Long-distance calls', 0);

-- ---------------------------------------------------------------- the books (billing/ledger)

CREATE TABLE entry (
    id            uuid PRIMARY KEY,
    key           text NOT NULL CONSTRAINT entry_key_unique UNIQUE,
    content_hash  bytea NOT NULL, -- of what was asked for under this key; another content is a conflict
    kind          code NOT NULL,
    at            timestamptz NOT NULL,
    business_date date NOT NULL,  -- the day in the commune's zone
    text          text NOT NULL,
    actor         text NOT NULL,  -- who posted it
    line_count    integer NOT NULL CONSTRAINT entry_has_lines CHECK (line_count >= 2),
    posted_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT entry_line_count_unique UNIQUE (id, line_count)
);

-- line_count stands in each line so that an entry can't be given further lines later: numbers 1 to line_count are
-- taken when the entry's balance is checked, and no other number is allowed.
CREATE TABLE line (
    entry_id   uuid NOT NULL,
    line_count integer NOT NULL,
    n          integer NOT NULL,
    book       code NOT NULL REFERENCES book (code),
    account    text NOT NULL CONSTRAINT line_account_syntax CHECK (account ~ '^[0-9]{4}(:[A-Za-z0-9_./-]{1,72})?$'),
    amount     bigint NOT NULL CONSTRAINT line_not_zero CHECK (amount <> 0), -- debit positive
    PRIMARY KEY (entry_id, n),
    CONSTRAINT line_number_in_entry CHECK (n BETWEEN 1 AND line_count),
    CONSTRAINT line_of_entry FOREIGN KEY (entry_id, line_count) REFERENCES entry (id, line_count)
);
CREATE INDEX line_by_account ON line (book, account);

-- +goose StatementBegin
CREATE FUNCTION entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM line WHERE entry_id = NEW.id) <> NEW.line_count THEN
        RAISE EXCEPTION 'entry % does not have its % lines', NEW.key, NEW.line_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_complete';
    END IF;
    IF EXISTS (SELECT FROM line WHERE entry_id = NEW.id GROUP BY book HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'entry % does not balance in each of its books', NEW.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_balanced';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER entry_balanced AFTER INSERT ON entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_balances();

-- Only accounts with a limit have a balance row; hot accounts (revenue, carriers) are never locked by a posting.
-- balance is what the holder may spend: credit positive, the ledger balance with its sign turned. Up to 10 billion units
-- (ledger.MaxBalance) the sums of these columns fit a bigint, whatever they are.
CREATE TABLE balance (
    book         code NOT NULL REFERENCES book (code),
    account      text NOT NULL,
    balance      bigint NOT NULL DEFAULT 0
        CONSTRAINT balance_range CHECK (balance BETWEEN -10000000000000000 AND 10000000000000000),
    held         bigint NOT NULL DEFAULT 0 CONSTRAINT balance_held_positive CHECK (held >= 0),
    credit_limit bigint NOT NULL DEFAULT 0 CONSTRAINT balance_limit_positive CHECK (credit_limit >= 0)
        CONSTRAINT balance_limit_range CHECK (credit_limit <= 10000000000000000),
    PRIMARY KEY (book, account),
    CONSTRAINT balance_not_overdrawn CHECK (balance - held >= -credit_limit)
);

-- ---------------------------------------------------------------- rate decks (billing/tariff)

CREATE TABLE deck (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CONSTRAINT deck_kind CHECK (kind IN ('retail', 'trunk')),
    name        code NOT NULL, -- the retail deck's name, or the trunk's code
    version     integer NOT NULL,
    currency    currency NOT NULL,
    zone        text NOT NULL,
    active_from timestamptz NOT NULL,
    source      text NOT NULL DEFAULT '',
    imported_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT deck_version_unique UNIQUE (kind, name, version)
);

CREATE TABLE rate (
    deck_id         uuid NOT NULL REFERENCES deck (id),
    prefix          text NOT NULL CONSTRAINT rate_prefix CHECK (prefix ~ '^[0-9]{1,15}$'),
    destination     text NOT NULL DEFAULT '',
    rate_per_minute bigint NOT NULL CONSTRAINT rate_positive CHECK (rate_per_minute >= 0),
    connect_fee     bigint NOT NULL DEFAULT 0 CONSTRAINT rate_fee_positive CHECK (connect_fee >= 0),
    interval_first  integer NOT NULL DEFAULT 1 CONSTRAINT rate_interval_first CHECK (interval_first > 0),
    interval_next   integer NOT NULL DEFAULT 1 CONSTRAINT rate_interval_next CHECK (interval_next > 0),
    grace_seconds   integer NOT NULL DEFAULT 0 CONSTRAINT rate_grace CHECK (grace_seconds >= 0),
    minimum_charge  bigint NOT NULL DEFAULT 0 CONSTRAINT rate_minimum CHECK (minimum_charge >= 0),
    rounding_unit   bigint NOT NULL CONSTRAINT rate_rounding_unit CHECK (rounding_unit > 0),
    rounding_mode   text NOT NULL CONSTRAINT rate_rounding_mode CHECK (rounding_mode IN ('up', 'half_up')),
    effective_from  timestamptz NOT NULL DEFAULT '-infinity',
    effective_to    timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (deck_id, prefix, effective_from),
    CONSTRAINT rate_effective CHECK (effective_from < effective_to)
);

-- ---------------------------------------------------------------- trunks (routing)

CREATE TABLE trunk (
    code       code PRIMARY KEY,
    carrier    code NOT NULL,          -- sub-account of carrier payable
    address    text NOT NULL,          -- host:port
    transport  text NOT NULL DEFAULT 'udp' CONSTRAINT trunk_transport CHECK (transport IN ('udp', 'tcp')),
    username   text NOT NULL DEFAULT '',
    password   text NOT NULL DEFAULT '',
    register   boolean NOT NULL DEFAULT false,
    channels   integer NOT NULL DEFAULT 0 CONSTRAINT trunk_channels CHECK (channels >= 0), -- 0: no limit
    cps        integer NOT NULL DEFAULT 0 CONSTRAINT trunk_cps CHECK (cps >= 0),           -- 0: no limit
    prefix     text NOT NULL DEFAULT '' CONSTRAINT trunk_prefix CHECK (prefix ~ '^[0-9+*#]{0,16}$'),
    strip      integer NOT NULL DEFAULT 0 CONSTRAINT trunk_strip CHECK (strip BETWEEN 0 AND 15),
    enabled    boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------- who may call in, and on what number (pbx)

CREATE TABLE provider (
    code            code PRIMARY KEY,
    address         cidr CONSTRAINT provider_address_unique UNIQUE,
    username        text CONSTRAINT provider_username_unique UNIQUE,
    password        text NOT NULL DEFAULT '',
    trust_caller_id boolean NOT NULL, -- may its caller ID open an account without PIN?
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT provider_known_by_one CHECK ((address IS NULL) <> (username IS NULL))
);

CREATE TABLE access_number (
    number     phone_number PRIMARY KEY,
    provider   code NOT NULL REFERENCES provider (code),
    country    text NOT NULL CONSTRAINT access_number_country CHECK (country ~ '^[A-Z]{2}$'),
    language   text NOT NULL DEFAULT 'en' CONSTRAINT access_number_language CHECK (language ~ '^[a-z]{2}$'),
    service    text NOT NULL DEFAULT 'gateway'
        CONSTRAINT access_number_service CHECK (service IN ('gateway', 'contact', 'echo')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------- accounts, calls, holds (billing)

CREATE TABLE account (
    id         uuid PRIMARY KEY,
    code       code NOT NULL CONSTRAINT account_code_unique UNIQUE,
    name       text NOT NULL DEFAULT '',
    enterprise code NOT NULL DEFAULT 'CALL' REFERENCES enterprise (code),
    tariff     code NOT NULL DEFAULT 'retail', -- name of the retail deck
    call_limit integer NOT NULL DEFAULT 7200 CONSTRAINT account_call_limit CHECK (call_limit > 0), -- seconds
    blocked    boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE phone (
    number     phone_number PRIMARY KEY,
    account    code NOT NULL REFERENCES account (code),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE pin (
    hmac       bytea PRIMARY KEY, -- HMAC-SHA-256 of the PIN under the key in the state folder
    account    code NOT NULL REFERENCES account (code),
    issued_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- One row a wrong PIN of the last hour, for the limits of design.md 9.6.
CREATE TABLE pin_failure (
    at       timestamptz NOT NULL DEFAULT now(),
    caller   text NOT NULL,
    provider text NOT NULL
);
CREATE INDEX pin_failure_by_caller ON pin_failure (caller, at);
CREATE INDEX pin_failure_by_provider ON pin_failure (provider, at);

CREATE TABLE contact (
    account       code NOT NULL REFERENCES account (code),
    access_number phone_number NOT NULL REFERENCES access_number (number),
    number        phone_number NOT NULL,
    label         text NOT NULL DEFAULT '',
    PRIMARY KEY (account, access_number)
);

CREATE TABLE voucher (
    id          uuid PRIMARY KEY,
    hmac        bytea NOT NULL CONSTRAINT voucher_code_unique UNIQUE,
    enterprise  code NOT NULL REFERENCES enterprise (code),
    amount      bigint NOT NULL CONSTRAINT voucher_positive CHECK (amount > 0),
    issued_by   code NOT NULL REFERENCES account (code),
    issued_at   timestamptz NOT NULL DEFAULT now(),
    redeemed_by code REFERENCES account (code),
    redeemed_at timestamptz,
    CONSTRAINT voucher_redeemed_whole CHECK ((redeemed_by IS NULL) = (redeemed_at IS NULL))
);

-- One row an attempt to reach a far number; an access call that dials twice (##) has two.
CREATE TABLE call (
    id               uuid PRIMARY KEY,
    access_call      uuid NOT NULL,
    node             text NOT NULL,
    provider         text NOT NULL,
    access_number    text NOT NULL,
    caller           text NOT NULL DEFAULT '',
    account          code REFERENCES account (code),
    number           text NOT NULL DEFAULT '',
    trunk            text NOT NULL DEFAULT '',
    carrier          text NOT NULL DEFAULT '',
    retail_rate      jsonb, -- the row that prices the call, stamped when it was authorised
    carrier_rate     jsonb, -- the row that costs it, stamped when it was answered
    vat_percent      bigint NOT NULL DEFAULT 0,
    started_at       timestamptz NOT NULL,
    answered_at      timestamptz,
    ended_at         timestamptz, -- NULL while it runs
    answered_seconds integer NOT NULL DEFAULT 0,
    billed_seconds   integer NOT NULL DEFAULT 0,
    price            bigint NOT NULL DEFAULT 0,
    vat              bigint NOT NULL DEFAULT 0,
    carrier_cost     bigint NOT NULL DEFAULT 0,
    outcome          text NOT NULL DEFAULT '',
    sip              integer NOT NULL DEFAULT 0,
    q850             integer NOT NULL DEFAULT 0,
    entry_id         uuid REFERENCES entry (id),
    content_hash     bytea, -- of what closed it; NULL while it runs
    CONSTRAINT call_vat_in_price CHECK (vat BETWEEN 0 AND price)
);
CREATE INDEX call_by_account ON call (account, started_at);
CREATE INDEX call_by_start ON call (started_at);

CREATE TABLE hold (
    call_id     uuid PRIMARY KEY REFERENCES call (id),
    account     code NOT NULL REFERENCES account (code),
    amount      bigint NOT NULL CONSTRAINT hold_amount CHECK (amount >= 0),
    -- The paid seconds are not stored: they are the most that amount buys at the call's retail_rate, up to call_limit.
    call_limit  integer NOT NULL CONSTRAINT hold_call_limit CHECK (call_limit > 0),
    node        text NOT NULL,
    boot        uuid NOT NULL,                      -- the run of the node that the call lives in
    alive_at    timestamptz NOT NULL DEFAULT now(), -- last sign of life
    answered_ms bigint                              -- answered time up to then; NULL before the answer
);

CREATE TABLE attempt (
    call_id    uuid NOT NULL REFERENCES call (id),
    n          integer NOT NULL,
    trunk      text NOT NULL,
    started_at timestamptz NOT NULL,
    pdd_ms     integer NOT NULL DEFAULT 0, -- post-dial delay: INVITE to the first ringing or answer
    sip        integer NOT NULL DEFAULT 0,
    q850       integer NOT NULL DEFAULT 0,
    outcome    text NOT NULL,
    PRIMARY KEY (call_id, n)
);

-- ---------------------------------------------------------------- what serve keeps in memory, and when to reload it

CREATE TABLE revision (
    one_row boolean PRIMARY KEY DEFAULT true CONSTRAINT revision_is_one CHECK (one_row),
    n       bigint NOT NULL DEFAULT 1
);
INSERT INTO revision DEFAULT VALUES;

-- +goose StatementBegin
CREATE FUNCTION revise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revision SET n = n + 1;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON enterprise FOR EACH STATEMENT EXECUTE FUNCTION revise();
-- An import takes its time. It holds the one row, which all others wait for, only as it commits.
CREATE CONSTRAINT TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON deck
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION revise();
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON trunk FOR EACH STATEMENT EXECUTE FUNCTION revise();
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON provider FOR EACH STATEMENT EXECUTE FUNCTION revise();
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON access_number FOR EACH STATEMENT EXECUTE FUNCTION revise();

-- ---------------------------------------------------------------- the program's own role

-- The program works as telecommune_app; only migrations run as the owner. The books' rows can be added and read, never
-- changed.
-- +goose StatementBegin
DO $$ BEGIN
    CREATE ROLE telecommune_app NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- +goose StatementEnd
GRANT telecommune_app TO CURRENT_USER;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO telecommune_app;
REVOKE UPDATE, DELETE ON entry, line FROM telecommune_app;

-- +goose Down
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
