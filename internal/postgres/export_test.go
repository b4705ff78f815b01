package postgres

var ParseDSN = parseDSN
