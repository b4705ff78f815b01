package main

import (
	"context"

	"telecommune/internal/postgres"
	"telecommune/pbx"
	"telecommune/pbx/asterisk"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// checkJoined looks whether an Asterisk that runs elsewhere is as docs/asterisk.md wants it.
func checkJoined(ctx context.Context, c Config, served bool) []finding {
	conf, err := ariOf(c)
	if err != nil {
		return []finding{{"ari", fail, oneLine(err.Error()), "put the password into a file, for --ari-password-file"}}
	}
	admission, trunks, err := peersOf(ctx, c)
	if err != nil {
		return []finding{{"ari", fail, oneLine(err.Error()), "telecommune migrate"}}
	}
	conf.Admission = func() *pbx.Admission { return admission }
	conf.Trunks = func() []routing.Trunk { return trunks }
	x := asterisk.Examination{Config: conf, Served: served}
	if clips, err := prompt.Open(c.Prompts...); err == nil {
		if goodbye := clips.Voice("en").Say(prompt.Goodbye); len(goodbye) > 0 {
			x.Clip = goodbye[0]
		}
	}
	var findings []finding
	for _, f := range x.Examine(ctx) {
		status := good
		if f.Fix != "" {
			status = fail
		}
		findings = append(findings, finding{f.Check, status, oneLine(f.Detail), f.Fix})
	}
	return findings
}

// checkTLS names the trunks that an Asterisk of our own can't carry.
func checkTLS(ctx context.Context, c Config) finding {
	_, trunks, err := peersOf(ctx, c)
	if err != nil {
		return finding{"trunks over TLS", fail, oneLine(err.Error()), "telecommune migrate"}
	}
	detail, fix := asterisk.BarredTLS(trunks)
	if fix != "" {
		return finding{"trunks over TLS", warn, oneLine(detail), fix}
	}
	return finding{"trunks over TLS", good, detail, ""}
}

// peersOf is what an Asterisk is told of; nothing while there is no database.
func peersOf(ctx context.Context, c Config) (*pbx.Admission, []routing.Trunk, error) {
	if !postgres.Exists(databaseOptions(c)) {
		return &pbx.Admission{}, nil, nil
	}
	db, err := postgres.Open(ctx, databaseOptions(c))
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	admission, err := pbx.LoadAdmission(ctx, db.DB)
	if err != nil {
		return nil, nil, err
	}
	trunks, err := routing.NewStore(db.DB).Trunks(ctx)
	return admission, trunks, err
}
