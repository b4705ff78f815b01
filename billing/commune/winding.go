package commune

import (
	"fmt"
	"maps"
	"slices"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// retained is the account of an enterprise's results of closed months, capital that of the commune's share in it.
const (
	retained = "3900"
	capital  = "3000"
)

// WindingUp is the end of an enterprise.
type WindingUp struct {
	Enterprise string
	Book       string                  // the commune's
	Balances   map[string]money.Amount // of the enterprise's book
	Share      money.Amount            // what the commune has in it (1300)
}

// entries works out the end: the result so far goes to the retained one, then all money to the commune, which gives up its
// share for it; what it gets beyond that is the pool's, what it lacks is borne by all, at most the share (T-21). ErrState
// when anything but money and equity is left in the book.
func (w WindingUp) entries() ([]Draft, money.Amount, error) {
	h := &sheet{book: w.Enterprise, balances: w.Balances}
	var lines []ledger.Line
	var result money.Amount
	for _, account := range slices.Sorted(maps.Keys(w.Balances)) {
		switch balance := w.Balances[account]; {
		case balance == 0, account == bank, account == capital, account == retained:
		case account[0] == '4' || account[0] == '5':
			line, amount := h.clear(account)
			lines, result = append(lines, line), h.add(result, amount)
		default:
			return nil, 0, fmt.Errorf("%s has %s on %s (%s), which is to be settled first: %w",
				w.Enterprise, balance, account, ledger.NameOf(w.Enterprise, account), ErrState)
		}
	}
	h.post("result", "close", "Result of "+w.Enterprise+" until it is wound up", append(lines, h.debit(retained, result))...)
	net := h.balances[bank]
	excess := h.add(net, -w.Share)
	h.post("winding-up", "enterprise-winding-up", w.Enterprise+" wound up",
		h.debit(capital, h.owed(capital)), h.debit(retained, h.owed(retained)), h.credit(bank, net),
		ledger.Debit(w.Book, bank, net), ledger.Credit(w.Book, sub("1300", w.Enterprise), w.Share),
		ledger.Credit(w.Book, sub("4300", w.Enterprise), max(0, excess)), ledger.Debit(w.Book, "5400", max(0, -excess)))
	return h.drafts, net, h.err
}
