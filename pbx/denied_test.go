package pbx_test

import (
	"testing"

	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// Each number that may not be called has its own answer and its own outcome; nothing is held and nothing is dialled for
// it, and the caller may dial another, except after an emergency number.
func TestNumbersThatMayNotBeCalled(t *testing.T) {
	rate := money.Unit
	barring := routing.NewBarring(
		routing.Limits{MaxRate: 15_000, Countries: routing.Countries{"DE", "UA"}},
		[]routing.Rule{
			{Prefix: "4930", Action: routing.Block},
			{Prefix: "49302", Action: routing.Allow},
			{Prefix: "49900", Action: routing.Allow, MaxRate: &rate},
		},
	)
	for _, tc := range []struct {
		why, types string
		hears      prompt.Phrase
		row        string
	}{
		{"premium", "01805123456#", prompt.SpecialNumber, "close special_number +491805123456, 403/21"},
		{"satellite", "00870773111234#", prompt.SpecialNumber, "close special_number +870773111234, 403/21"},
		{"not in use", "0049999123456#", prompt.NotInUse, "close not_in_use +49999123456, 404/1"},
		{"short, with its country code", "0049115#", prompt.ShortNumber, "close short_number +49115, 404/1"},
		{"a country that is not in the list", "0043123456789#", prompt.CountryNotCalled, "close country_blocked +43123456789, 403/21"},
		{"blocked by the house", "030123456#", prompt.CannotBeCalled, "close number_blocked +4930123456, 403/21"},
		{"dearer than the cap", kyiv + "#", prompt.PriceNotCalled, "close price_blocked +380441234567, 403/21"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				x.config.Routes = func() *routing.Snapshot { return x.routes().With(routing.Rules{Barring: &barring}) }
				p := x.call(gateway, anna)
				p.types(tc.types)
				p.hears(tc.hears, prompt.AskNextNumber)
				p.hangsUp()
				p.waits()
				x.expect(tc.row)
				if len(x.dialled) > 0 {
					t.Errorf("dialled %+v", x.dialled)
				}
			})
		})
	}
	for why, number := range map[string]string{"the longer rule": "0302345678#", "premium, let by the house": "09001234567#"} {
		t.Run(why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				x.config.Routes = func() *routing.Snapshot { return x.routes().With(routing.Rules{Barring: &barring}) }
				p := x.call(gateway, anna)
				p.types(number)
				p.hears("you-can-talk-for")
				p.hangsUp()
				p.waits()
			})
		})
	}
}

// Who dials an emergency number is told, and the line is free again at once.
func TestEmergencyNumbers(t *testing.T) {
	for why, types := range map[string]string{"as dialled": "112#", "with the country code": "0049110#"} {
		t.Run(why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				p := x.call(gateway, anna)
				p.types(types)
				p.hears(prompt.Emergency, prompt.Goodbye)
				p.waits()
				if p.cause.Q850 != 21 || len(x.bank.closings) != 1 || x.bank.closings[0].Outcome != "emergency" {
					t.Errorf("hung up with %+v, recorded %+v", p.cause, x.bank.closings)
				}
			})
		})
	}
	t.Run("contact", func(t *testing.T) {
		onExchange(t, func(x *exchange) {
			x.bank.contacts = map[string]e164.Number{"anna": "+49112"}
			p := x.call(contact, anna)
			p.hears(prompt.Emergency, prompt.Goodbye)
			p.waits()
			x.expect("close emergency +49112, 403/21")
		})
	})
}
