-- +goose Up

-- ---------------------------------------------------------------- who the commune is (billing/commune)

-- Whatever is done in the commune is done once, under a key, and stays here as it was asked for: its minute book.
CREATE TABLE act (
    key     text PRIMARY KEY,
    n       bigint GENERATED ALWAYS AS IDENTITY, -- in this order
    kind    code NOT NULL,
    day     date NOT NULL,                       -- on which it counts, of the commune's zone
    at      timestamptz NOT NULL,
    actor   text NOT NULL,
    content jsonb NOT NULL
);

-- A natural person who works, or worked, in one of the enterprises (economics.md R7).
CREATE TABLE member (
    code       code PRIMARY KEY,
    name       text NOT NULL DEFAULT '',
    iban       text NOT NULL DEFAULT '' CONSTRAINT member_iban CHECK (iban ~ '^([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30})?$'),
    account    code REFERENCES account (code), -- that takes dividends as call credit
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The one way to a share (R8). founding: work from before the books began.
CREATE TABLE contribution (
    key         text PRIMARY KEY,
    member      code NOT NULL REFERENCES member (code),
    day         date NOT NULL,
    enterprise  code REFERENCES enterprise (code),
    kind        text NOT NULL CONSTRAINT contribution_kind CHECK (kind IN ('work', 'founding')),
    text        text NOT NULL DEFAULT '',
    attested_by code REFERENCES member (code),
    CONSTRAINT contribution_of_work CHECK ((kind = 'work') = (enterprise IS NOT NULL)),
    CONSTRAINT contribution_not_self_attested CHECK (attested_by <> member)
);
CREATE INDEX contribution_by_member ON contribution (member, day);

-- One share a member, from a day on until another, which does not count (R6). A share is cancelled, never passed on: the
-- program's role can set cancelled_on and nothing else (R9, I-04).
CREATE TABLE share (
    member       code NOT NULL REFERENCES member (code),
    issued_on    date NOT NULL,
    cancelled_on date,
    contribution text NOT NULL REFERENCES contribution (key) CONSTRAINT share_contribution_unique UNIQUE,
    PRIMARY KEY (member, contribution),
    CONSTRAINT share_days CHECK (cancelled_on >= issued_on)
);
CREATE UNIQUE INDEX share_one_live ON share (member) WHERE cancelled_on IS NULL;

-- Owned whole by the commune, always (R5, I-06).
ALTER TABLE enterprise
    ADD COLUMN owned_bp integer NOT NULL DEFAULT 10000 CONSTRAINT enterprise_owned_whole CHECK (owned_bp = 10000);

GRANT SELECT, INSERT ON act, contribution TO telecommune_app;
GRANT SELECT, INSERT, UPDATE (name, iban, account) ON member TO telecommune_app;
GRANT SELECT, INSERT, UPDATE (cancelled_on) ON share TO telecommune_app;

-- +goose Down
ALTER TABLE enterprise DROP COLUMN owned_bp;
DROP TABLE share, contribution, member, act;
