package pbx_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"telecommune/internal/e164"
	"telecommune/internal/postgres/pgtest"
	"telecommune/pbx"
)

func TestAdmissionIsWhatWasStored(t *testing.T) {
	db := pgtest.New(t)
	s := pbx.NewStore(db)
	ctx := t.Context()
	pstn := pbx.Provider{Code: "pstn", Address: netip.MustParsePrefix("192.0.2.0/28"), TrustCallerID: true}
	phone := pbx.Provider{Code: "softphone", User: "anna.a", Password: "correct horse"}
	for _, p := range []pbx.Provider{pstn, phone} {
		if err := s.AddProvider(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	number, err := s.AddAccessNumber(ctx, pbx.AccessNumber{Number: "+49305550100", Provider: "pstn", Country: "DE"})
	if err != nil {
		t.Fatal(err)
	}
	want := pbx.AccessNumber{
		Number: "+49305550100", Provider: "pstn", Country: "DE", Language: "en", Service: pbx.Gateway,
		Cost: pbx.Cost{IntervalFirst: 1, IntervalNext: 1},
	}
	if number != want {
		t.Errorf("added %+v, want %+v", number, want)
	}

	a, err := pbx.LoadAdmission(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	wantAll := &pbx.Admission{
		Providers: []pbx.Provider{pstn, phone},
		Numbers:   map[e164.Number]pbx.AccessNumber{"+49305550100": want},
	}
	if !reflect.DeepEqual(a, wantAll) {
		t.Errorf("loaded %+v, want %+v", a, wantAll)
	}

	// Whoever changes its way of being known changes it whole: no address stays beside a user.
	changed, err := s.SetProvider(ctx, "pstn", func(p *pbx.Provider) {
		p.Code, p.Address, p.User, p.Password = "other", netip.Prefix{}, "pstn", "eight by eight"
	})
	if err != nil {
		t.Fatal(err)
	}
	pstn.Address, pstn.User, pstn.Password = netip.Prefix{}, "pstn", "eight by eight"
	if changed != pstn {
		t.Errorf("changed to %+v, want %+v", changed, pstn)
	}
	if got, err := s.Provider(ctx, "pstn"); err != nil || got != pstn {
		t.Errorf("after set: %+v, %v; want %+v", got, err, pstn)
	}
}

// A change made while another waits is not undone by it.
func TestProviderChangesAtOnce(t *testing.T) {
	db := pgtest.New(t)
	s := pbx.NewStore(db)
	ctx := t.Context()
	if err := s.AddProvider(ctx, pbx.Provider{Code: "a", User: "a", Password: "long enough"}); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	_, err := s.SetProvider(ctx, "a", func(p *pbx.Provider) {
		p.TrustCallerID = true
		go func() {
			_, err := s.SetProvider(ctx, "a", func(p *pbx.Provider) { p.Password = "quite another" })
			second <- err
		}()
		for waits := false; !waits && len(second) == 0; {
			if err := db.Get(&waits, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)`); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if err := errors.Join(err, <-second); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Provider(ctx, "a"); err != nil || !p.TrustCallerID || p.Password != "quite another" {
		t.Errorf("%+v, %v: one of two changes was lost", p, err)
	}
}

func TestStoreOfNothing(t *testing.T) {
	db := pgtest.New(t)
	s := pbx.NewStore(db)
	ctx := t.Context()
	if p, err := s.Providers(ctx); err != nil || p == nil || len(p) != 0 {
		t.Errorf("providers: %v, %v", p, err)
	}
	if n, err := s.AccessNumbers(ctx); err != nil || n == nil || len(n) != 0 {
		t.Errorf("access numbers: %v, %v", n, err)
	}
	_, err := s.Provider(ctx, "nobody")
	_, errSet := s.SetProvider(ctx, "nobody", func(*pbx.Provider) {})
	_, errNumber := s.AccessNumber(ctx, "+4930555")
	_, errNoProvider := s.AddAccessNumber(ctx, pbx.AccessNumber{Number: "+4930555", Provider: "nobody", Country: "DE"})
	for what, err := range map[string]error{
		"provider":                      err,
		"access number":                 errNumber,
		"access number of no provider":  errNoProvider,
		"set":                           errSet,
		"remove provider":               s.RemoveProvider(ctx, "nobody"),
		"remove access number":          s.RemoveAccessNumber(ctx, "+4930555"),
		"remove a code that can't be":   s.RemoveProvider(ctx, "no body"),
		"remove a number that can't be": s.RemoveAccessNumber(ctx, "x"),
	} {
		if !errors.Is(err, pbx.ErrNotFound) {
			t.Errorf("%s: %v, want %v", what, err, pbx.ErrNotFound)
		}
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	db := pgtest.New(t)
	s := pbx.NewStore(db)
	ctx := t.Context()
	net := netip.MustParsePrefix("192.0.2.0/28")
	for _, p := range []pbx.Provider{
		{Code: "a", Address: net}, {Code: "b", User: "b", Password: "long enough"}, {Code: "c", User: "c", Password: "long enough"},
	} {
		if err := s.AddProvider(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	n := pbx.AccessNumber{Number: "+49305550100", Provider: "a", Country: "DE"}
	if _, err := s.AddAccessNumber(ctx, n); err != nil {
		t.Fatal(err)
	}
	_, errNumber := s.AddAccessNumber(ctx, n)
	_, errSet := s.SetProvider(ctx, "c", func(p *pbx.Provider) { p.User = "b" })
	for what, err := range map[string]error{
		"code":             s.AddProvider(ctx, pbx.Provider{Code: "a", User: "x", Password: "long enough"}),
		"address":          s.AddProvider(ctx, pbx.Provider{Code: "x", Address: net}),
		"user":             s.AddProvider(ctx, pbx.Provider{Code: "x", User: "b", Password: "long enough"}),
		"user of a change": errSet,
		"access number":    errNumber,
	} {
		if !errors.Is(err, pbx.ErrExists) {
			t.Errorf("%s: %v, want %v", what, err, pbx.ErrExists)
		}
	}

	if err := s.RemoveProvider(ctx, "a"); !errors.Is(err, pbx.ErrInUse) {
		t.Errorf("provider with a number removed: %v", err)
	}
	db.MustExec(`INSERT INTO account (id, code) VALUES (gen_random_uuid(), 'anna')`)
	db.MustExec(`INSERT INTO contact (account, access_number, number) VALUES ('anna', '+49305550100', '+380441234567')`)
	if err := s.RemoveAccessNumber(ctx, n.Number); !errors.Is(err, pbx.ErrInUse) {
		t.Errorf("access number with a contact removed: %v", err)
	}
	db.MustExec(`DELETE FROM contact`)
	if err := s.RemoveAccessNumber(ctx, n.Number); err != nil {
		t.Error(err)
	}
	if err := s.RemoveProvider(ctx, "a"); err != nil {
		t.Error(err)
	}
}

func TestInvalidProvidersAndNumbers(t *testing.T) {
	s := pbx.NewStore(nil) // the rules are asked before the database
	one := netip.MustParsePrefix("192.0.2.1/32")
	for what, p := range map[string]pbx.Provider{
		"no code":                {Address: one},
		"code with a space":      {Code: "a b", Address: one},
		"code of 33 letters":     {Code: strings.Repeat("a", 33), Address: one},
		"neither way":            {Code: "a"},
		"address and password":   {Code: "a", Address: one, Password: "long enough"},
		"both ways":              {Code: "a", Address: one, User: "u", Password: "long enough"},
		"everybody":              {Code: "a", Address: netip.MustParsePrefix("0.0.0.0/0")},
		"host bits":              {Code: "a", Address: netip.MustParsePrefix("192.0.2.1/24")},
		"user with an at":        {Code: "a", User: "u@h", Password: "long enough"},
		"user with a quote":      {Code: "a", User: `u"`, Password: "long enough"},
		"user without password":  {Code: "a", User: "u"},
		"short password":         {Code: "a", User: "u", Password: "seven77"},
		"password of two lines":  {Code: "a", User: "u", Password: "long\nenough"},
		"IPv4 in IPv6's clothes": {Code: "a", Address: netip.MustParsePrefix("::ffff:192.0.2.1/128")},
	} {
		if err := s.AddProvider(t.Context(), p); !errors.Is(err, pbx.ErrInvalid) {
			t.Errorf("%s: %v, want %v", what, err, pbx.ErrInvalid)
		}
	}
	for what, n := range map[string]pbx.AccessNumber{
		"country that is none": {Number: "+49305550100", Provider: "a", Country: "UK"},
		"country in lower":     {Number: "+49305550100", Provider: "a", Country: "de"},
		"foreign tongue":       {Number: "+49305550100", Provider: "a", Country: "DE", Language: "tlh"},
		"service":              {Number: "+49305550100", Provider: "a", Country: "DE", Service: "fax"},
	} {
		if _, err := s.AddAccessNumber(t.Context(), n); !errors.Is(err, pbx.ErrInvalid) {
			t.Errorf("%s: %v, want %v", what, err, pbx.ErrInvalid)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.10": "192.0.2.10/32", "192.0.2.0/28": "192.0.2.0/28", "2001:db8::1": "2001:db8::1/128",
		"::ffff:192.0.2.1": "192.0.2.1/32",
	} {
		if got, err := pbx.ParseAddress(in); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "example.net", "192.0.2.1/24", "192.0.2.300", "0.0.0.0/0", "::/0", "fe80::1%eth0", "192.0.2.0/33"} {
		if got, err := pbx.ParseAddress(in); !errors.Is(err, pbx.ErrInvalid) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, pbx.ErrInvalid)
		}
	}
}

func TestAccessNumberIsSet(t *testing.T) {
	s := pbx.NewStore(pgtest.New(t))
	ctx := t.Context()
	if err := s.AddProvider(ctx, pbx.Provider{Code: "a", Address: netip.MustParsePrefix("192.0.2.0/28")}); err != nil {
		t.Fatal(err)
	}
	before, err := s.AddAccessNumber(ctx, pbx.AccessNumber{Number: "+49305550100", Provider: "a", Country: "DE", Service: pbx.Contact})
	if err != nil {
		t.Fatal(err)
	}
	cost := pbx.Cost{PerMinute: 8_000, ConnectFee: 10_000, IntervalFirst: 60, IntervalNext: 1}
	after, err := s.SetAccessNumber(ctx, before.Number, func(n *pbx.AccessNumber) { // number, provider and service stay
		*n = pbx.AccessNumber{Number: "+4930", Provider: "x", Country: "AT", Language: "en", Service: pbx.Echo, Cost: cost}
	})
	want := before
	want.Country, want.Cost = "AT", cost
	if err != nil || after != want {
		t.Errorf("%+v, %v; want %+v", after, err, want)
	}
	for proves, cost := range map[string]pbx.Cost{
		"negative":     {PerMinute: -1, IntervalFirst: 1, IntervalNext: 1},
		"too dear":     {ConnectFee: 1001_000_000, IntervalFirst: 1, IntervalNext: 1},
		"no interval":  {PerMinute: 1, IntervalNext: 1},
		"too long one": {PerMinute: 1, IntervalFirst: 1, IntervalNext: 3601},
	} {
		if _, err := s.SetAccessNumber(ctx, before.Number, func(n *pbx.AccessNumber) { n.Cost = cost }); !errors.Is(err, pbx.ErrInvalid) {
			t.Errorf("%s: %v", proves, err)
		}
	}
	if kept, err := s.AccessNumber(ctx, before.Number); err != nil || kept != want {
		t.Errorf("a refused change left %+v, %v", kept, err)
	}
	if _, err := s.SetAccessNumber(ctx, "+4930999", func(*pbx.AccessNumber) {}); !errors.Is(err, pbx.ErrNotFound) {
		t.Errorf("another number: %v", err)
	}
}
