package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"telecommune/billing/tariff"
)

// deckRef names a version of a deck as it is typed: alpha@3, or alpha for the one in force. Where a trunk and a retail deck
// have the same name it is trunk/alpha@3 or retail/alpha@3.
type deckRef struct {
	kind   tariff.Kind // empty: whichever there is
	name   string
	number int // 0: the one in force
}

var errDeckRef = errors.New("want a deck such as alpha, or one version of it such as alpha@3")

func parseDeckRef(s string) (r deckRef, err error) {
	r.name = s
	if kind, name, ok := strings.Cut(s, "/"); ok {
		r.kind, r.name = tariff.Kind(kind), name
		if r.kind != tariff.Trunk && r.kind != tariff.Retail {
			return deckRef{}, errDeckRef
		}
	}
	name, number, ok := strings.Cut(r.name, "@")
	r.name = name
	if ok {
		r.number, err = strconv.Atoi(number)
	}
	if err != nil || ok && r.number < 1 || r.name == "" {
		return deckRef{}, errDeckRef
	}
	return r, nil
}

// parseDeckVersion reads a reference that has a number.
func parseDeckVersion(s string) (deckRef, error) {
	r, err := parseDeckRef(s)
	if err == nil && r.number == 0 {
		return deckRef{}, errors.New("want one version of a deck, such as alpha@3")
	}
	return r, err
}

// deck finds out whose deck is meant.
func (r deckRef) deck(ctx context.Context, s services) (deckRef, error) {
	if r.kind != "" {
		return r, nil
	}
	versions, err := s.decks.List(ctx)
	if err != nil {
		return r, err
	}
	for _, v := range versions {
		if v.Name != r.name {
			continue
		}
		if r.kind != "" && r.kind != v.Kind {
			return r, fmt.Errorf("there is a trunk and a retail deck %s: write trunk/%[1]s or retail/%[1]s", r.name)
		}
		r.kind = v.Kind
	}
	if r.kind == "" {
		return r, fmt.Errorf("deck %.40q: %w", r.name, tariff.ErrNotFound)
	}
	return r, nil
}

func (r deckRef) version(ctx context.Context, s services) (tariff.Version, error) {
	r, err := r.deck(ctx, s)
	if err != nil {
		return tariff.Version{}, err
	}
	return s.decks.Version(ctx, r.kind, r.name, r.number)
}

// deckVersions lists all versions for completion, as references.
func deckVersions(ctx context.Context, s services) ([]string, error) {
	versions, err := s.decks.List(ctx)
	refs := make([]string, len(versions))
	for i, v := range versions {
		refs[i] = v.String()
	}
	return refs, err
}
