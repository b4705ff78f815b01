package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/routing"
)

// trunkFlags are those of `trunk add` and `trunk set`: t has what was given, and each flag that was given is set by its
// name.
type trunkFlags struct {
	t    routing.Trunk
	sets map[string]func(t *routing.Trunk, now time.Time)

	transport, callerID           choice
	passwordFile, caFile, prepaid string
	prepaidAt                     moment
}

// field says which field of a trunk a flag is for, and gives where the flag's value is kept.
func field[T any](f *trunkFlags, flag string, of func(*routing.Trunk) *T) *T {
	f.sets[flag] = func(t *routing.Trunk, _ time.Time) { *of(t) = *of(&f.t) }
	return of(&f.t)
}

func (f *trunkFlags) add(flags *pflag.FlagSet) {
	f.sets = map[string]func(*routing.Trunk, time.Time){}
	f.addWay(flags)
	f.addCall(flags)
	f.addLimits(flags)
}

// addWay declares the flags on the way to the carrier.
func (f *trunkFlags) addWay(flags *pflag.FlagSet) {
	flags.StringVar(field(f, "address", func(t *routing.Trunk) *string { return &t.Address }), "address", "",
		"`HOST:PORT` of the carrier, or a domain with SRV records")
	f.transport = choice{"udp", []string{"udp", "tcp", "tls"}}
	flags.Var(&f.transport, "transport", "`PROTOCOL` for SIP: udp, tcp or tls")
	f.sets["transport"] = func(t *routing.Trunk, _ time.Time) { t.Transport = f.transport.value }
	flags.StringVar(&f.caFile, "tls-ca", "", "`FILE` with the certificates (PEM) that vouch for the carrier's; \"\": those of the system")
	f.sets["tls-ca"] = func(t *routing.Trunk, _ time.Time) { t.TLSCA = f.t.TLSCA }
	flags.StringVar(field(f, "tls-name", func(t *routing.Trunk) *string { return &t.TLSName }), "tls-name", "",
		"`HOST` that the carrier's certificate must bear; \"\": that of the address")
	flags.StringVar(field(f, "user", func(t *routing.Trunk) *string { return &t.User }), "user", "", "digest `USER`")
	flags.StringVar(&f.passwordFile, "password-file", "", "`FILE` with the password of the user, - for the input, \"\" for none")
	f.sets["password-file"] = func(t *routing.Trunk, _ time.Time) { t.Password = f.t.Password }
	flags.BoolVar(field(f, "register", func(t *routing.Trunk) *bool { return &t.Register }), "register", false,
		"register with the carrier, to be reached by it")
	flags.IntVar(field(f, "probe", func(t *routing.Trunk) *int { return &t.Probe }), "probe", 30,
		"`SECONDS` between probes by OPTIONS; 0: none")
	flags.StringVar(field(f, "carrier", func(t *routing.Trunk) *string { return &t.Carrier }), "carrier", "",
		"`CODE` of the carrier in the books; \"\": the trunk's own")
	flags.StringVar(field(f, "deck", func(t *routing.Trunk) *string { return &t.Deck }), "deck", "",
		"`CODE` of the trunk whose rate deck costs the calls of this one too; \"\": its own")
	flags.StringVar(field(f, "asset", func(t *routing.Trunk) *string { return &t.Asset }), "asset", "", "`CODE` of the asset that it belongs to")
}

// addCall declares the flags on how a call is handed over.
func (f *trunkFlags) addCall(flags *pflag.FlagSet) {
	flags.IntVar(field(f, "strip", func(t *routing.Trunk) *int { return &t.Strip }), "strip", 0,
		"`N` leading digits taken off the number, which comes without its +")
	flags.StringVar(field(f, "prefix", func(t *routing.Trunk) *string { return &t.Prefix }), "prefix", "",
		"`DIGITS` put before the number, after --strip, such as + or 00")
	flags.StringVar((*string)(field(f, "rewrite", func(t *routing.Trunk) *routing.Rewrite { return &t.Rewrite })), "rewrite", "",
		"`PATTERN=>REPLACEMENT` applied to that, a regular expression and digits with $1 for its first group")
	parsedFlag(flags, field(f, "codecs", func(t *routing.Trunk) *string { return &t.Codecs }), "codecs", parseCodecs,
		"`CODECS` offered, the better one first, such as PCMA,PCMU; \"\": the caller's alone")
	f.callerID = choice{string(routing.PassCaller), []string{"pass", "fixed", "verified", "withheld"}}
	flags.Var(&f.callerID, "caller-id", "`WHOSE` number is presented: pass (the caller's, if vouched for), fixed, verified (a phone of the account), withheld")
	f.sets["caller-id"] = func(t *routing.Trunk, _ time.Time) { t.CallerID = routing.CallerID(f.callerID.value) }
	parsedFlag(flags, field(f, "caller-number", func(t *routing.Trunk) *e164.Number { return &t.CallerNumber }), "caller-number", optional(e164.Parse),
		"`NUMBER` of ours: for --caller-id fixed, and in the place of one that may not be presented")
	flags.BoolVar(field(f, "trusted", func(t *routing.Trunk) *bool { return &t.Trusted }), "trusted", false,
		"tell the carrier numbers that are withheld, which it keeps to itself (RFC 3325)")
	parsedFlag(flags, field(f, "failover", func(t *routing.Trunk) *routing.Failover { return &t.Failover }), "failover", routing.ParseFailover,
		"`RULES` of its own, such as \"503=stop; q34=next,count; timeout=next\"")
	flags.IntVar(field(f, "ring", func(t *routing.Trunk) *int { return &t.RingSeconds }), "ring", 0,
		fmt.Sprintf("`SECONDS` from dialling to the answer; 0: %d", routing.UsualRing))
}

// addLimits declares the flags on its share, on how much it carries, and when.
func (f *trunkFlags) addLimits(flags *pflag.FlagSet) {
	parsedFlag(flags, field(f, "priority", func(t *routing.Trunk) *int { return &t.Priority }), "priority", parsePositive,
		"`N` from 1 to 1000: lower ones are tried first, where the route policy is priority (default 100)")
	parsedFlag(flags, field(f, "weight", func(t *routing.Trunk) *int { return &t.Weight }), "weight", parsePositive,
		"`N` from 1 to 1000: its share of the calls, where the route policy is weighted (default 100)")
	count := func(name, usage string, of func(*routing.Trunk) *int) {
		flags.IntVar(field(f, name, of), name, 0, usage+"; 0: no limit")
	}
	amount := func(name, usage string, of func(*routing.Trunk) *money.Amount) {
		parsedFlag(flags, field(f, name, of), name, money.Parse, usage)
	}
	count("channels", "most calls at once, `N`", func(t *routing.Trunk) *int { return &t.Channels })
	count("cps", "most new calls a second, `N`", func(t *routing.Trunk) *int { return &t.CPS })
	count("minutes-day", "most `MINUTES` a day", func(t *routing.Trunk) *int { return &t.MinutesDay })
	count("minutes-month", "most `MINUTES` a month", func(t *routing.Trunk) *int { return &t.MinutesMonth })
	amount("spend-day", "most `AMOUNT` that its calls may cost a day; 0: no limit", func(t *routing.Trunk) *money.Amount { return &t.SpendDay })
	amount("spend-month", "most `AMOUNT` that its calls may cost a month; 0: no limit", func(t *routing.Trunk) *money.Amount { return &t.SpendMonth })
	parsedFlag(flags, &f.prepaid, "prepaid-balance", parsePrepaid, "`AMOUNT` that is left with a carrier that is paid beforehand; \"\": it is not")
	parsedFlag(flags, &f.prepaidAt, "prepaid-at", parseMoment, "`TIME` that the balance is of; calls that ended since are taken off it (default: now)")
	f.sets["prepaid-balance"] = f.setPrepaid
	amount("prepaid-floor", "`AMOUNT` that calls may not take the balance below", func(t *routing.Trunk) *money.Amount { return &t.PrepaidFloor })
	parsedFlag(flags, field(f, "hours", func(t *routing.Trunk) *tariff.Window { return &t.Hours }), "hours", optional(tariff.ParseWindow),
		"`HOURS` at which it takes calls, such as \"mon-fri 08:00-18:00; sat\"; \"\": always")
	flags.StringVar(field(f, "zone", func(t *routing.Trunk) *string { return &t.Zone }), "zone", "",
		"time `ZONE` of the hours, such as Europe/Berlin (default: the commune's)")
}

func (f *trunkFlags) setPrepaid(t *routing.Trunk, at time.Time) {
	t.Prepaid, t.PrepaidAt = 0, nil
	if f.prepaid == "" {
		t.PrepaidFloor = 0
		return
	}
	at = at.UTC().Truncate(time.Microsecond) // as it is stored
	t.Prepaid, _ = money.Parse(f.prepaid)    // parsePrepaid let it through
	t.PrepaidAt = &at
}

// change gives what the given flags do to a trunk. Files are read now, the trunk changed later.
func (f *trunkFlags) change(cmd *cobra.Command) (func(context.Context, services) (func(*routing.Trunk), error), error) {
	given := cmd.Flags().Changed
	var err error
	if given("password-file") && f.passwordFile != "" {
		if f.t.Password, err = readSecret(cmd, f.passwordFile); err != nil {
			return nil, err
		}
	}
	if given("tls-ca") && f.caFile != "" {
		if f.t.TLSCA, err = readCertificates(f.caFile); err != nil {
			return nil, err
		}
	}
	if given("prepaid-at") && !given("prepaid-balance") {
		return nil, usagef("--prepaid-at is the time of a --prepaid-balance, which is missing")
	}
	return func(ctx context.Context, s services) (func(*routing.Trunk), error) {
		at, err := instant(ctx, s, f.prepaidAt)
		return func(t *routing.Trunk) {
			// The balance goes first: with none there is no floor, with one there may be.
			for _, first := range []bool{true, false} {
				for flag, set := range f.sets {
					if given(flag) && (flag == "prepaid-balance") == first {
						set(t, at)
					}
				}
			}
		}, err
	}, nil
}

// optional lets a flag be emptied.
func optional[T ~string](parse func(string) (T, error)) func(string) (T, error) {
	return func(s string) (T, error) {
		if s == "" {
			return "", nil
		}
		return parse(s)
	}
}

func parseCodecs(s string) (string, error) {
	return strings.ToUpper(strings.ReplaceAll(s, " ", "")), nil // the trunk's own check knows them
}

func parsePrepaid(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	_, err := money.Parse(s)
	return s, err
}

const maxCertificates = 64 << 10 // bytes

func readCertificates(file string) (string, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxCertificates {
		err = errors.New("larger than 64 KiB")
	}
	if err != nil {
		return "", fmt.Errorf("certificates: %w", err)
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("certificates: %w", err)
	}
	return string(pem), nil
}
