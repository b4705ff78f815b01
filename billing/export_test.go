package billing

import "telecommune/internal/postgres"

// CountryOf is countryOf.
var CountryOf = countryOf

// Hurry lets no end of a call wait for others, so that races meet.
func Hurry(s *Service) {
	s.settlements = postgres.NewGroup(s.db, &s.guard, 0, patience, s.settleAll)
}
