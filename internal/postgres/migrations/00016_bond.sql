-- +goose Up

-- ---------------------------------------------------------------- bonds (billing/commune)

-- An auction of bonds, and the series that came of it. One series buys one asset (P-08).
CREATE TABLE series (
    code        code PRIMARY KEY,
    request     text NOT NULL REFERENCES asset_request (key) CONSTRAINT series_of_one_request UNIQUE,
    asset       code NOT NULL,
    issued_on   date NOT NULL, -- the day of the auction
    offer       bigint NOT NULL CONSTRAINT series_offer CHECK (offer > 0 AND offer % unit = 0),
    unit        bigint NOT NULL CONSTRAINT series_unit CHECK (unit > 0 AND unit % 10000 = 0),
    cap_bps     integer NOT NULL CONSTRAINT series_cap CHECK (cap_bps >= 0),
    term_months integer NOT NULL CONSTRAINT series_term CHECK (term_months > 0),
    cleared     boolean NOT NULL,
    rate_bps    integer NOT NULL DEFAULT 0 CONSTRAINT series_rate CHECK (rate_bps BETWEEN 0 AND cap_bps),
    principal   bigint NOT NULL CONSTRAINT series_principal CHECK (principal BETWEEN 0 AND offer), -- after the purchase
    shortfall   bigint CONSTRAINT series_shortfall CHECK (shortfall >= 0), -- what its holders did not get when the asset was sold
    CONSTRAINT series_failed_whole CHECK (cleared OR principal = 0)
);

-- The sealed bids, in their order, and what each was allotted. The register of holders is those with an allotment; what
-- is outstanding stands in the books (2100).
CREATE TABLE bid (
    series   code NOT NULL REFERENCES series (code),
    n        integer NOT NULL,
    bidder   code NOT NULL,
    rate_bps integer NOT NULL CONSTRAINT bid_rate CHECK (rate_bps >= 0),
    amount   bigint NOT NULL CONSTRAINT bid_amount CHECK (amount > 0),
    allotted bigint NOT NULL CONSTRAINT bid_allotted CHECK (allotted BETWEEN 0 AND amount),
    PRIMARY KEY (series, n),
    CONSTRAINT bid_once UNIQUE (series, bidder)
);
CREATE INDEX bid_of_holders ON bid (series, n) WHERE allotted > 0;

GRANT SELECT, INSERT, UPDATE (principal, shortfall) ON series TO telecommune_app;
GRANT SELECT, INSERT ON bid TO telecommune_app;

-- +goose Down
DROP TABLE bid, series;
