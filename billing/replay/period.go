package replay

import (
	"context"
	"time"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

// closePeriod closes the next period; one that is closed stays as it is.
func (r *run) closePeriod(ctx context.Context, e *event) error {
	p := e.period("period")
	switch err := e.done(); {
	case err != nil:
		return err
	case p < r.next:
		return nil
	case p > r.next:
		return refuse(periodOpen, "%s: the next period to close is %s", e.path, r.next)
	}
	last, err := time.ParseInLocation(time.DateOnly, string(p.Last()), r.world.zone)
	if err != nil {
		return err
	}
	figures, err := r.closeBooks(ctx, p, r.key(e.n)+":", last)
	if err != nil {
		return refused(e, err)
	}
	r.next = p.Next()
	r.periods[p] = r.named(figures)
	return r.openNext(ctx)
}

// named gives figures with the ids of the scenario.
func (r *run) named(f commune.Figures) Period {
	for _, amounts := range []*map[string]money.Amount{
		&f.Rents, &f.Interest, &f.InterestPaid, &f.Redeemed, &f.Remainder, &f.Dividends,
	} {
		*amounts = r.ids(*amounts)
	}
	return f
}

// ids gives amounts by the ids that the names stand for.
func (r *run) ids(amounts map[string]money.Amount) map[string]money.Amount {
	named := make(map[string]money.Amount, len(amounts))
	for name, amount := range amounts {
		named[r.subs.original(name)] = amount
	}
	return named
}

// opening gives the world as the commune takes it over.
func (r *run) opening() commune.Opening {
	o := commune.Opening{Period: r.next, Balances: map[string]map[string]money.Amount{}}
	for _, id := range r.world.enterprises {
		o.Enterprises = append(o.Enterprises, r.book(id))
	}
	for id, m := range r.world.members {
		o.Members = append(o.Members, commune.Membership{Member: r.name(id), Joined: m.joined, Left: m.left})
	}
	for _, a := range r.world.assets {
		a.Code, a.Kind = r.name(a.Code), plain(a.Kind)
		o.Assets = append(o.Assets, a)
	}
	for _, g := range r.world.agreements {
		g.Code, g.Asset, g.Lessee = r.name(g.Code), r.name(g.Asset), r.lessee(g.Lessee)
		o.Agreements = append(o.Agreements, g)
	}
	for book, balances := range r.world.opening {
		named := map[string]money.Amount{}
		for account, balance := range balances {
			named[r.account(book, account)] = balance
		}
		o.Balances[r.book(book)] = named
	}
	return o
}

// lessee gives a lessee by his name in the books.
func (r *run) lessee(l commune.Lessee) commune.Lessee {
	return commune.Lessee{Enterprise: r.books.name(l.Enterprise), Member: r.name(l.Member)}
}

// auctions gives what all auctions came to.
func (r *run) auctions(ctx context.Context) (map[string]Auction, error) {
	all := map[string]Auction{}
	for id, a := range r.lettings {
		all[id] = a
	}
	for _, id := range r.series {
		a, err := r.commune.Auctioned(ctx, r.name(id))
		if err != nil {
			return nil, err
		}
		out := Auction{Status: a.Status, Refunds: r.ids(a.Refunds), Shortfall: a.Shortfall}
		if a.Status == "cleared" {
			out.RateBPS, out.Allotments = &a.RateBPS, r.ids(a.Allotted)
		}
		all[id] = out
	}
	return all, nil
}
