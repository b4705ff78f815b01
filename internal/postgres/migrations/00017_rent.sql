-- +goose Up

-- ---------------------------------------------------------------- rent, the split, dividends (billing/commune)

CREATE DOMAIN month AS text CONSTRAINT month_syntax CHECK (VALUE ~ '^[0-9]{4}-(0[1-9]|1[0-2])$');

-- The rent of an agreement for a month, posted once by the month's close.
CREATE TABLE rent_posting (
    agreement code NOT NULL REFERENCES agreement (code),
    month     month NOT NULL,
    days      integer NOT NULL CONSTRAINT rent_posting_days CHECK (days BETWEEN 1 AND 31),
    units     bigint NOT NULL CONSTRAINT rent_posting_units CHECK (units >= 0),
    amount    bigint NOT NULL CONSTRAINT rent_posting_amount CHECK (amount >= 0 AND amount % 10000 = 0),
    PRIMARY KEY (agreement, month)
);

-- What settled it. Rent paid by the bank, netted, or out of a deposit was collected; what was written off was not.
CREATE TABLE rent_settlement (
    key       text NOT NULL,
    agreement code NOT NULL,
    month     month NOT NULL,
    day       date NOT NULL,
    amount    bigint NOT NULL CONSTRAINT rent_settlement_amount CHECK (amount > 0),
    way       text NOT NULL CONSTRAINT rent_settlement_way CHECK (way IN ('paid', 'deposit', 'written_off')),
    PRIMARY KEY (key, agreement, month),
    CONSTRAINT rent_settlement_of_posting FOREIGN KEY (agreement, month) REFERENCES rent_posting (agreement, month)
);
CREATE INDEX rent_settlement_by_posting ON rent_settlement (agreement, month);
CREATE INDEX rent_settlement_by_day ON rent_settlement (day);

-- Orders to the close to pay the rent that it posts. They go with it, or are taken back.
CREATE TABLE rent_order (
    agreement code NOT NULL REFERENCES agreement (code),
    month     month NOT NULL,
    amount    bigint NOT NULL CONSTRAINT rent_order_amount CHECK (amount >= 0), -- at most; 0: all
    netted    bigint NOT NULL CONSTRAINT rent_order_netted CHECK (netted >= 0), -- of it
    PRIMARY KEY (agreement, month)
);

-- Expenses that all bear, paid by the next close.
CREATE TABLE mutual_expense (
    key    text PRIMARY KEY,
    day    date NOT NULL,
    amount bigint NOT NULL CONSTRAINT mutual_expense_amount CHECK (amount > 0 AND amount % 10000 = 0),
    text   text NOT NULL DEFAULT ''
);

-- Votes on the renewal levy of a month (P-15); the last one counts.
CREATE TABLE levy_vote (
    n      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key    text NOT NULL,
    month  month NOT NULL,
    amount bigint NOT NULL CONSTRAINT levy_vote_amount CHECK (amount >= 0 AND amount % 10000 = 0),
    bps    integer NOT NULL CONSTRAINT levy_vote_bps CHECK (bps BETWEEN 0 AND 10000),
    CONSTRAINT levy_vote_one_of CHECK (amount = 0 OR bps = 0)
);

-- What a month came to, for good.
CREATE TABLE distribution (
    month   month PRIMARY KEY,
    figures jsonb NOT NULL
);
CREATE TABLE dividend (
    month  month NOT NULL REFERENCES distribution (month),
    member code NOT NULL REFERENCES member (code),
    days   integer NOT NULL CONSTRAINT dividend_days CHECK (days > 0),
    amount bigint NOT NULL CONSTRAINT dividend_amount CHECK (amount >= 0 AND amount % 10000 = 0),
    PRIMARY KEY (month, member)
);

-- Dividends that were paid out, as the member chose (D-37).
CREATE TABLE payout (
    key        text PRIMARY KEY,
    member     code NOT NULL REFERENCES member (code),
    day        date NOT NULL,
    amount     bigint NOT NULL CONSTRAINT payout_amount CHECK (amount > 0),
    way        text NOT NULL CONSTRAINT payout_way CHECK (way IN ('bank', 'credit')),
    enterprise code REFERENCES enterprise (code), -- in whose calls the credit is
    account    text,
    CONSTRAINT payout_credit_whole CHECK ((way = 'credit') = (enterprise IS NOT NULL) AND (way = 'credit') = (account IS NOT NULL))
);
CREATE INDEX payout_by_day ON payout (day);

GRANT SELECT, INSERT ON rent_posting, rent_settlement, mutual_expense, levy_vote, distribution, dividend, payout TO telecommune_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON rent_order TO telecommune_app;

-- +goose Down
DROP TABLE payout, dividend, distribution, levy_vote, mutual_expense, rent_order, rent_settlement, rent_posting;
DROP DOMAIN month;
