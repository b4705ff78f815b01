-- +goose Up

-- ---------------------------------------------------------------- what it owns and lets (billing/commune)

-- Only the commune owns (R26). A part of a life stands in none of these rows: whether an asset is let is a matter of days.
CREATE TABLE asset (
    code               code PRIMARY KEY,
    kind               text NOT NULL,
    meter              text NOT NULL CONSTRAINT asset_meter CHECK (meter IN ('seconds', 'quantity', 'none')),
    cost               bigint NOT NULL CONSTRAINT asset_cost CHECK (cost > 0 AND cost % 10000 = 0),
    life_months        integer NOT NULL CONSTRAINT asset_life CHECK (life_months > 0),
    months_depreciated integer NOT NULL DEFAULT 0 CONSTRAINT asset_worn CHECK (months_depreciated >= 0),
    acquired_on        date NOT NULL,
    liquidated_on      date,
    CONSTRAINT asset_days CHECK (liquidated_on >= acquired_on)
);

-- What a member wants the commune to acquire (R11), with the rental agreement that is offered for it (R12). It may be
-- asked for again when the bonds were not wanted.
CREATE TABLE asset_request (
    key         text PRIMARY KEY,
    asset       code NOT NULL,
    member      code NOT NULL REFERENCES member (code),
    day         date NOT NULL,
    kind        text NOT NULL,
    meter       text NOT NULL CONSTRAINT asset_request_meter CHECK (meter IN ('seconds', 'quantity', 'none')),
    price       bigint NOT NULL CONSTRAINT asset_request_price CHECK (price > 0 AND price % 10000 = 0),
    life_months integer NOT NULL CONSTRAINT asset_request_life CHECK (life_months > 0),
    agreement   code NOT NULL,
    lessee      code REFERENCES enterprise (code),
    lessee_member code REFERENCES member (code),
    fixed       bigint NOT NULL CONSTRAINT asset_request_fixed CHECK (fixed >= 0),
    minimum     bigint NOT NULL CONSTRAINT asset_request_minimum CHECK (minimum >= 0),
    rate        bigint NOT NULL CONSTRAINT asset_request_rate CHECK (rate >= 0),
    included    bigint NOT NULL CONSTRAINT asset_request_included CHECK (included >= 0),
    state       text NOT NULL DEFAULT 'requested'
        CONSTRAINT asset_request_state CHECK (state IN ('requested', 'failed', 'funded', 'acquired')),
    CONSTRAINT asset_request_one_lessee CHECK ((lessee IS NULL) <> (lessee_member IS NULL))
);
CREATE UNIQUE INDEX asset_request_asset_once ON asset_request (asset) WHERE state <> 'failed';
CREATE UNIQUE INDEX asset_request_agreement_once ON asset_request (agreement) WHERE state <> 'failed';

-- A rental agreement that was executed. At most one of an asset is without end (I-13).
CREATE TABLE agreement (
    code       code PRIMARY KEY,
    asset      code NOT NULL REFERENCES asset (code),
    enterprise code REFERENCES enterprise (code),
    member     code REFERENCES member (code),
    fixed      bigint NOT NULL CONSTRAINT agreement_fixed CHECK (fixed >= 0),
    minimum    bigint NOT NULL CONSTRAINT agreement_minimum CHECK (minimum >= 0),
    rate       bigint NOT NULL CONSTRAINT agreement_rate CHECK (rate >= 0),   -- a minute or a unit
    included   bigint NOT NULL CONSTRAINT agreement_included CHECK (included >= 0), -- seconds or millionths of a unit
    start_on   date NOT NULL,
    end_on     date, -- the first day that is not the agreement's; none: no notice was given
    CONSTRAINT agreement_one_lessee CHECK ((enterprise IS NULL) <> (member IS NULL)),
    CONSTRAINT agreement_days CHECK (end_on >= start_on)
);
CREATE UNIQUE INDEX agreement_one_without_end ON agreement (asset) WHERE end_on IS NULL;
CREATE INDEX agreement_by_asset ON agreement (asset);

-- Use of an asset: the seconds of a call over it, or a quantity in millionths that its lessee reported. There is no foreign
-- key, which would lock the asset's row once for every call.
CREATE TABLE asset_usage (
    key        text PRIMARY KEY,
    asset      code NOT NULL,
    enterprise code, -- whose call it was
    day        date NOT NULL,
    units      bigint NOT NULL CONSTRAINT asset_usage_units CHECK (units >= 0)
);
CREATE INDEX asset_usage_by_asset ON asset_usage (asset, day);

-- Use of an asset that was not let, for which nobody pays: it was decided so. Without it, or an agreement that covers the
-- day, its month can't be closed.
CREATE TABLE usage_waiver (
    usage text PRIMARY KEY REFERENCES asset_usage (key),
    key   text NOT NULL -- of the act
);

-- A trunk may be one of the assets, known by its code.
ALTER TABLE trunk ADD COLUMN IF NOT EXISTS asset code;

-- An auction of a vacant asset's rent. Without agreement nobody wanted it.
CREATE TABLE rental_auction (
    key       text PRIMARY KEY,
    asset     code NOT NULL REFERENCES asset (code),
    day       date NOT NULL,
    start_on  date NOT NULL,
    reserve   bigint NOT NULL CONSTRAINT rental_auction_reserve CHECK (reserve >= 0),
    agreement code REFERENCES agreement (code)
);
CREATE INDEX rental_auction_by_asset ON rental_auction (asset);

CREATE TABLE rental_bid (
    auction    text NOT NULL REFERENCES rental_auction (key),
    n          integer NOT NULL,
    bidder     code NOT NULL REFERENCES member (code),
    enterprise code NOT NULL REFERENCES enterprise (code),
    amount     bigint NOT NULL CONSTRAINT rental_bid_amount CHECK (amount > 0),
    PRIMARY KEY (auction, n),
    CONSTRAINT rental_bid_once UNIQUE (auction, bidder)
);

GRANT SELECT, INSERT, UPDATE (months_depreciated, liquidated_on) ON asset TO telecommune_app;
GRANT SELECT, INSERT, UPDATE (state) ON asset_request TO telecommune_app;
GRANT SELECT, INSERT, UPDATE (end_on) ON agreement TO telecommune_app;
GRANT SELECT, INSERT ON asset_usage, usage_waiver, rental_auction, rental_bid TO telecommune_app;

-- +goose Down
DROP TABLE rental_bid, rental_auction, usage_waiver, asset_usage, agreement, asset_request, asset;
