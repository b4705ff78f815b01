package billing

import (
	"time"

	"telecommune/internal/postgres"
)

// CountryOf is countryOf.
var CountryOf = countryOf

// Linger has ends of calls wait for others for an hour.
func Linger(s *Service) {
	s.settlements = postgres.NewGroup(s.db, &s.guard, time.Hour, patience, s.settleAll)
}

// Hurry lets no end of a call wait for others, so that races meet.
func Hurry(s *Service) {
	s.settlements = postgres.NewGroup(s.db, &s.guard, 0, patience, s.settleAll)
}
