-- +goose Up

-- ---------------------------------------------------------------- a place for scenarios (billing/replay)

-- The same tables again, always empty: a scenario runs in a transaction that looks here first, and is rolled back. So it
-- meets nothing real, and needs no rights to make tables. They have the rules of their originals but for the references
-- between them; whoever changes one of those changes its twin (a test of billing/commune compares them).
CREATE SCHEMA replay;
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['commune', 'enterprise', 'act', 'member', 'contribution', 'share', 'asset', 'asset_request',
        'agreement', 'asset_usage', 'usage_waiver', 'rental_auction', 'rental_bid', 'series', 'bid', 'rent_posting', 'rent_settlement',
        'rent_order', 'mutual_expense', 'levy_vote', 'distribution', 'dividend', 'payout'] LOOP
        EXECUTE format('CREATE TABLE replay.%I (LIKE public.%I INCLUDING ALL)', name, name);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA replay TO telecommune_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA replay TO telecommune_app;

-- +goose Down
DROP SCHEMA replay CASCADE;
