-- +goose Up

-- ---------------------------------------------------------------- trunks that are let or vacant (routing)

-- Calls go over a trunk that is an asset only for whoever rents it: serve looks again when an agreement begins, ends or is
-- given notice, and when the days of agreements begin at other instants. The midnight on which one ends needs no change.
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON agreement FOR EACH STATEMENT EXECUTE FUNCTION revise();
CREATE TRIGGER revise AFTER UPDATE OF zone ON commune FOR EACH STATEMENT EXECUTE FUNCTION revise();

-- +goose Down
DROP TRIGGER revise ON commune;
DROP TRIGGER revise ON agreement;
