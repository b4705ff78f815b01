package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"telecommune/internal/postgres"
	"telecommune/pbx"
	"telecommune/pbx/asterisk"
	"telecommune/pbx/sipua"
	"telecommune/routing"
)

// engine is a call engine.
type engine interface {
	pbx.Switch
	Addr() net.Addr         // where it takes SIP
	Ready() <-chan struct{} // closed when it takes calls, a while after its Run has begun
	tester
}

// The engines that there are, as --engine names them.
const (
	engineSIP      = "sip"
	engineAsterisk = "asterisk"
)

// openEngine makes the engine that c names, for the trunks and providers of a picture. The gate is told of their health.
func openEngine(ctx context.Context, c Config, db *postgres.DB, p *picture, gate *routing.Gate, log *slog.Logger) (engine, error) {
	trunks := func() []routing.Trunk { return p.routes.Load().Trunks() }
	private := filepath.Join(c.State, "asterisk")
	if c.Engine == engineAsterisk {
		conf, err := ariOf(c)
		if err != nil {
			return nil, err
		}
		if conf.URL != "" {
			if err := asterisk.EndLeft(private, log); err != nil {
				return nil, err
			}
		}
		books, err := postgres.Identity(ctx, db.DB)
		if err != nil {
			return nil, err
		}
		return asterisk.New(asterisk.Config{
			URL: conf.URL, User: conf.User, Password: conf.Password, Node: c.Node + "@" + books,
			Folder: c.Asterisk, State: private, Listen: c.SIP, RTPPorts: c.RTPPorts,
			Public: c.public(), UserAgent: "telecommune", Admission: p.admission.Load, Trunks: trunks, Health: gate, MaxCalls: c.MaxCalls,
			MaxCPS: c.MaxCPS, MaxAttempts: c.MaxAttempts, Log: log,
		})
	}
	if err := asterisk.EndLeft(private, log); err != nil {
		return nil, err
	}
	return sipua.New(sipua.Config{
		Listen: c.SIP, RTPPorts: c.RTPPorts, Public: c.public(), UserAgent: "telecommune", Admission: p.admission.Load,
		Trunks: trunks, Health: gate, Now: clockOf(ctx), Log: log,
	})
}

// ariOf is how an Asterisk that runs elsewhere is reached; empty when there is none.
func ariOf(c Config) (asterisk.Config, error) {
	if c.ARIURL == "" {
		return asterisk.Config{}, nil
	}
	password, err := c.ariPassword()
	return asterisk.Config{URL: c.ARIURL, User: c.ARIUser, Password: password}, err
}

// defaultAsterisk is what deploy/asterisk/get.sh has got last, where it puts it by default; "" if nothing.
func defaultAsterisk() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	found, _ := filepath.Glob(filepath.Join(cache, "telecommune", "asterisk", "*", "run"))
	newest := ""
	var at int64
	for _, run := range found {
		if info, err := os.Stat(run); err == nil && info.ModTime().UnixNano() > at {
			newest, at = filepath.Dir(run), info.ModTime().UnixNano()
		}
	}
	return newest
}

const getAsterisk = "deploy/asterisk/get.sh" // what mends a missing one

// checkEngine looks whether the engine that is configured can be run.
func checkEngine(c Config) finding {
	if c.Engine != engineAsterisk {
		return finding{"engine", good, "built in", ""}
	}
	version, err := asterisk.Version(c.Asterisk)
	if err != nil {
		return finding{"engine", fail, oneLine(err.Error()), getAsterisk}
	}
	return finding{"engine", good, "Asterisk " + version + " in " + c.Asterisk, ""}
}
