package billing

// CountryOf is countryOf.
var CountryOf = countryOf
