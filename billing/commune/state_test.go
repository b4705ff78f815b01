package commune

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestJointMachine is section 4 of economics.md line by line: each transition, what does it, and what must be so. Those of
// things that have a table of moves are looked up there; nothing else may be in those tables.
func TestJointMachine(t *testing.T) {
	told := map[string]bool{}
	of := func(states ...State) []State { return states }
	for _, tt := range []struct {
		what   string
		moves  moves
		from   []State
		to     State
		step   Step
		by     string // the operation, or what makes it so
		guard  string
		origin string // where section 4 says it; empty: there
	}{
		{"member", memberMoves, of(Applicant), Active, StepJoin, "Commune.Join: member join", "work in a working enterprise, attested by another active member unless there is none; nobody else decides (R10)", ""},
		{"member", memberMoves, of(Former), Active, StepJoin, "Commune.Join: member join", "new work; a new share", ""},
		{"member", memberMoves, of(Active), Leaving, StepLeave, "Commune.Leave: member leave", "an active member", ""},
		{"member", memberMoves, of(Leaving), Former, StepGone, "the day comes", "the share's last day is over", ""},
		{"member", memberMoves, of(Active), Former, StepLapse, "Commune.Lapse: member lapse", "so many full months without a contribution (P-14)", "Leaving and Former fall on one day"},
		{"member", memberMoves, of(Active, Leaving), Former, StepDie, "Commune.End: member end", "a recorded reason", ""},

		{"enterprise", enterpriseMoves, of(Proposed), Active, StepStart, "Commune.StartEnterprise: enterprise start", "a recorded decision", ""},
		{"enterprise", enterpriseMoves, of(Active), InArrears, StepArrears, "Commune.NoticeArrears: agreement arrears", "a rent of it is overdue for so many days (P-12)", ""},
		{"enterprise", enterpriseMoves, of(InArrears), InArrears, StepArrears, "Commune.NoticeArrears: agreement arrears", "another rent is overdue", "more than one agreement"},
		{"enterprise", enterpriseMoves, of(InArrears), Active, StepPaid, "Commune.PayRent, ApplyDeposit, WriteRentOff", "no rent is open that notice was given of", ""},
		{"enterprise", enterpriseMoves, of(InArrears), Suspended, StepSuspend, "Commune.SuspendEnterprise: enterprise suspend", "all that it rented is returned", ""},
		{"enterprise", enterpriseMoves, of(Suspended), Active, StepResume, "Commune.ResumeEnterprise: enterprise resume", "no rent is open or to be posted", ""},
		{"enterprise", enterpriseMoves, of(Suspended), WoundUp, StepWindUp, "Commune.WindUp: enterprise wind-up", "nothing is owed by it or to it (T-21)", ""},
		{"enterprise", enterpriseMoves, of(Active), Active, StepDistribute, "Commune.Distribute: enterprise distribute", "a vote of its workers, out of what is retained", "P-16"},

		{"asset", assetMoves, of(Unknown, Failed), Requested, StepRequest, "Commune.RequestAsset: asset request", "an active member, a quote, an offered agreement", ""},
		{"asset", assetMoves, of(Requested), Funded, StepBondsClear, "Commune.AuctionBonds: bond auction", "the coverage test (P-09); bids at or below the cap reach the offer", ""},
		{"asset", assetMoves, of(Requested), Failed, StepBondsFail, "Commune.AuctionBonds: bond auction", "they don't; all money goes back", ""},
		{"asset", assetMoves, of(Funded), Let, StepAcquire, "Commune.Acquire: asset acquire", "the bonds' money covers the price, the lessee works", ""},
		{"asset", assetMoves, of(Unknown), Vacant, StepGift, "Commune.AcceptGift: asset gift", "a code that is free", "gift or founders' asset, 7.2"},
		{"asset", assetMoves, of(Let), Let, StepNotice, "Commune.Notice: agreement notice", "no notice was given, the day is not over", ""},
		{"asset", assetMoves, of(Let), Vacant, StepReturn, "the day comes", "the agreement's last day is over", ""},
		{"asset", assetMoves, of(Let), Vacant, StepTakeBack, "Commune.TakeBack: agreement take-back", "in arrears for so many days (P-12)", ""},
		{"asset", assetMoves, of(Vacant, NoDemand), Let, StepRentalBid, "Commune.LetByAuction: asset let", "a bid of an active member reaches the reserve", ""},
		{"asset", assetMoves, of(Vacant, NoDemand), NoDemand, StepNoRentalBid, "Commune.LetByAuction: asset let", "none does", ""},
		{"asset", assetMoves, of(Vacant, NoDemand), Defaulted, StepDefault, "Commune.Default: bond default", "taken back, the bonds lack a coupon, in arrears for so many days (P-12)", "series Servicing, InArrears, Defaulted"},
		{"asset", assetMoves, of(NoDemand, Defaulted), Liquidated, StepLiquidate, "Commune.Liquidate: asset sell", "no rent is open or to be posted (D-22)", ""},

		{"agreement", agreementMoves, of(Running), NoticeGiven, StepNotice, "Commune.Notice: agreement notice", "the day is not over", ""},
		{"agreement", agreementMoves, of(InArrears), InArrears, StepNotice, "Commune.Notice: agreement notice", "who owes rent may go, too", "R16"},
		{"agreement", agreementMoves, of(NoticeGiven, InArrears), Ended, StepEnd, "the day comes", "the notice's day", ""},
		{"agreement", agreementMoves, of(Running, NoticeGiven, InArrears), InArrears, StepArrears, "Commune.NoticeArrears: agreement arrears", "a rent of it is overdue for so many days (P-12)", ""},
		{"agreement", agreementMoves, of(Ended), Ended, StepArrears, "Commune.NoticeArrears: agreement arrears", "its last rents are overdue", "D-22"},
		{"agreement", agreementMoves, of(Terminated), Terminated, StepArrears, "Commune.NoticeArrears: agreement arrears", "its last rents are overdue", "D-22"},
		{"agreement", agreementMoves, of(InArrears), Running, StepPaid, "Commune.PayRent, ApplyDeposit, WriteRentOff", "no rent is open that notice was given of", ""},
		{"agreement", agreementMoves, of(InArrears), Terminated, StepTakeBack, "Commune.TakeBack: agreement take-back", "in arrears for so many days (P-12)", ""},

		// What has no table of moves: one operation makes several steps at once, or the books tell the state.
		{"agreement", nil, nil, "offered, active", "", "Commune.Acquire, AcceptGift, LetByAuction", "executed with the asset (R15)", ""},
		{"agreement", nil, nil, "offered, lapsed", "", "Commune.AuctionBonds", "the auction failed", ""},
		{"series", nil, nil, "draft, open, failed or cleared, issued", "", "Commune.AuctionBonds: bond auction", "all sealed bids are there at once, with their deposits", ""},
		{"series", nil, nil, "servicing, in_arrears, redeemed", "", "Store.Close: period close", "interest and principal paid out of the asset's rent alone (P-08)", ""},
		{"series", nil, nil, "defaulted, collateral realised, closed", "", "Commune.Default, Liquidate", "see the asset", ""},
		{"asset", nil, nil, "encumbered, common", "", "Store.Close: period close", "the last principal is paid (R20, I-09)", ""},
		{"bond auction", nil, nil, "scheduled, open, closed, cleared or failed", "", "Commune.AuctionBonds: bond auction", "one act: bids are sealed outside, and published without names (bond bids)", ""},
		{"rent posting", nil, nil, "metering, posted", "", "Store.Close: period close", "all use is paid for or waived", ""},
		{"rent posting", nil, nil, "paid, part paid", "", "Commune.PayRent: rent pay", "not more than is open, of a bank that has it", ""},
		{"rent posting", nil, nil, "overdue", "", "Commune.NoticeArrears: agreement arrears", "the day it falls due is over (P-12)", ""},
		{"rent posting", nil, nil, "written off", "", "Commune.WriteRentOff: rent write-off", "something is open (T-22)", ""},
		{"period", nil, nil, "open to declared", "", "Store.Close: period close", "one transaction; the month is over and the next to be closed", ""},
		{"period", nil, nil, "paid", "", "Commune.PayDividend: member pay", "each member's own", ""},
		{"dividend", nil, nil, "declared", "", "Store.Close: period close", "the even split", ""},
		{"dividend", nil, nil, "elected, paid or credited", "", "Commune.PayDividend: member pay", "something is payable", ""},
		{"dividend", nil, nil, "unclaimed, the pool's", "", "Commune.Forfeit: member forfeit", "not claimed for so many months", ""},
	} {
		if tt.guard == "" || !exists(tt.by) {
			t.Errorf("%s to %s: nobody does it: %s", tt.what, tt.to, tt.by)
		}
		for _, from := range tt.from {
			if next, err := tt.moves.after(from, tt.step); err != nil || next != tt.to {
				t.Errorf("%s: %s, %s: %s, %v; want %s", tt.what, from, tt.step, next, err, tt.to)
			}
			told[fmt.Sprint(tt.what, from, tt.step)] = true
		}
	}
	for of, m := range map[string]moves{"member": memberMoves, "enterprise": enterpriseMoves, "asset": assetMoves, "agreement": agreementMoves} {
		for from, steps := range m {
			for step := range steps {
				if !told[fmt.Sprint(of, from, step)] {
					t.Errorf("%s: that one that is %s can %s stands nowhere in section 4", of, from, step)
				}
			}
			if _, err := m.after(from, "fly"); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), string(from)) {
				t.Errorf("%s that is %s can fly: %v", of, from, err)
			}
		}
	}
}

// exists tells whether the operations are there that a row names.
func exists(by string) bool {
	if by == "the day comes" {
		return true
	}
	operations, _, _ := strings.Cut(by, ":")
	for name := range strings.SplitSeq(operations, ", ") {
		_, name, named := strings.Cut("."+name, ".")
		if _, after, of := strings.Cut(name, "."); of {
			name = after
		}
		_, does := reflect.TypeFor[*Commune]().MethodByName(name)
		_, stores := reflect.TypeFor[*Store]().MethodByName(name)
		if !named || !does && !stores {
			return false
		}
	}
	return true
}
