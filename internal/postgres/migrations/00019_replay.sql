-- +goose Up

-- ---------------------------------------------------------------- a place for scenarios (billing/replay)

-- The same tables again, always empty: a scenario runs in a transaction that looks here first, and is rolled back. So it
-- meets nothing real, and needs no rights to make tables. They have the rules of their originals but for the references
-- between them; whoever changes one of those makes the place anew (a test of billing/commune compares them). A restore does
-- so too, since a backup has nothing of it.
-- +goose StatementBegin
CREATE FUNCTION make_replay() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    DROP SCHEMA IF EXISTS replay CASCADE;
    CREATE SCHEMA replay;
    FOREACH name IN ARRAY ARRAY['commune', 'enterprise', 'act', 'member', 'contribution', 'share', 'asset', 'asset_request',
        'agreement', 'asset_usage', 'usage_waiver', 'rental_auction', 'rental_bid', 'series', 'bid', 'rent_posting', 'rent_settlement',
        'rent_order', 'mutual_expense', 'levy_vote', 'distribution', 'dividend', 'payout'] LOOP
        EXECUTE format('CREATE TABLE replay.%I (LIKE public.%I INCLUDING ALL)', name, name);
    END LOOP;
    GRANT USAGE ON SCHEMA replay TO telecommune_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA replay TO telecommune_app;
END $$;
-- +goose StatementEnd
SELECT make_replay();

-- +goose Down
DROP SCHEMA replay CASCADE;
DROP FUNCTION make_replay();
