package main

import (
	"context"
	"errors"
	"io/fs"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/statement"
	"telecommune/billing/tariff"
	"telecommune/internal/postgres"
	"telecommune/pbx"
	"telecommune/routing"
)

// explain is the one line that stands for an error, with what to do next where that helps.
func explain(err error) string {
	line := err.Error()
	if dear := (*tariff.TooDear)(nil); errors.As(err, &dear) {
		line += "; look with --dry-run or `telecommune deck diff`, then say --accept"
	}
	for _, h := range hints {
		if errors.Is(err, h.of) {
			line += "; " + h.next
			break
		}
	}
	return oneLine(line)
}

const putBackKey = "put back " + keyFile + " of the state folder that serve uses, or name that folder with --state"

// hints say what to do about errors of the domain; the first that is in the chain counts.
var hints = []struct {
	of   error
	next string
}{
	{context.Canceled, "it was interrupted"},

	{billing.ErrNotOwn, "`telecommune account show CODE` shows balance and held"},
	{billing.ErrInsufficientCredit, "pay in with `telecommune account topup CODE AMOUNT`, or allow it more with --limit"},
	{billing.ErrConflict, "the key was used before for something else: take another --key"},
	{billing.ErrBlocked, "let it again with `telecommune account unblock CODE`"},
	{billing.ErrExists, "the list command shows what there is"},
	{billing.ErrNotFound, "the list command shows what there is"},
	{billing.ErrVoucherSpent, "`telecommune voucher list` shows by whom"},
	{billing.ErrReason, "say why with --text"},
	{billing.ErrFunds, "what is not in the books can't be paid from: book first what is missing"},
	{billing.ErrInvoiced, "`telecommune carrier invoice list` shows it; leave --period out for what an invoice forgot"},
	{billing.ErrVATDue, "`telecommune enterprise vat due CODE` shows it"},
	{billing.ErrFenced, "give each serve on a database a --node of its own"},
	{billing.ErrWrongKey, putBackKey},
	{billing.ErrKey, putBackKey},
	{ledger.ErrPeriodClosed, "`telecommune period list` shows the months that are open"},
	{ledger.ErrPeriodOpen, "`telecommune period list` shows the months"},
	{ledger.ErrPeriodRuns, "close it when it is over; with --early, what still happens in it counts in the next"},
	{ledger.ErrBookClosed, "its enterprise was wound up"},
	{ledger.ErrNoEntry, "`telecommune books journal` shows them"},
	{commune.ErrUnknown, "the list commands show what there is"},
	{commune.ErrPeriodOpen, "close the months before it first, with `telecommune period close PERIOD`"},
	{commune.ErrFunds, "no bank account may go below zero: book what came in, or pay less"},
	{commune.ErrConflict, "the key was used before for something else: take another --key"},
	{commune.ErrUnlet, "let it from that day on with `telecommune asset let CODE`, or take the use back with `telecommune asset waive CODE`"},
	{commune.ErrLet, "`telecommune agreement notice CODE` ends the agreement first"},
	{commune.ErrNoContribution, "another active member says that he saw the work, with --attested-by"},
	{commune.ErrNotSEPA, "pay by another way of your bank's"},
	{commune.ErrUses, "nothing was reported: put the line right and report the whole file again"},
	{commune.ErrEarly, "`telecommune commune policy list` shows the days and months that were voted"},
	{commune.ErrNoIBAN, "`telecommune member set CODE --iban IBAN` tells it"},
	{statement.ErrBooks, "this must not happen: keep a backup and report it"},

	{routing.ErrExists, "change it with `telecommune trunk set CODE`"},
	{routing.ErrNotFound, "`telecommune trunk list` shows what there is"},
	{routing.ErrNoRule, "`telecommune route rule list` shows what there is"},
	{tariff.ErrUnknownTrunk, "add it first with `telecommune trunk add CODE --address HOST:PORT`"},
	{tariff.ErrNotFound, "`telecommune deck list` shows what there is"},
	{tariff.ErrNoFormat, "`telecommune deck format list` shows what there is"},
	{tariff.ErrFormatExists, "take it away first with `telecommune deck format remove NAME`"},
	{tariff.ErrNoChanges, "import the whole deck first"},
	{tariff.ErrActivated, "`telecommune deck rollback` brings the version before back; import the file again for the same prices"},
	{tariff.ErrNotInForce, "`telecommune deck list` shows which is"},
	{tariff.ErrNoneBefore, "import another deck instead"},
	{tariff.ErrCurrency, "convert its prices, or make them with `telecommune deck cost-plus`"},
	{tariff.ErrNoExchangeRate, "set one with `telecommune exchange-rate set CURRENCY RATE`"},

	{pbx.ErrExists, "the list command shows what there is"},
	{pbx.ErrNotFound, "the list command shows what there is"},
	{pbx.ErrNoCall, "`telecommune call list` shows which run"},
	{errNoServe, "start it with `telecommune serve`"},

	{postgres.ErrBackup, "nothing was changed"},
	{fs.ErrPermission, "run it as the user who may: for the state folder, the one that serve runs as"},
}
