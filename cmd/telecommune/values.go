package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("want one of %s", strings.Join(c.of, ", "))
	}
	c.value = s
	return nil
}

// parsed is a flag whose value is read by a parser of the domain, so that a bad one is wrong usage.
type parsed[T fmt.Stringer] struct {
	to    *T
	given bool
	parse func(string) (T, error)
}

func (p *parsed[T]) Type() string { return "string" }

func (p *parsed[T]) String() string {
	if p.to == nil || !p.given {
		return ""
	}
	return (*p.to).String()
}

func (p *parsed[T]) Set(s string) error {
	v, err := p.parse(s)
	if err != nil {
		return err
	}
	*p.to, p.given = v, true
	return nil
}

// parsedFlag declares a flag that a parser of the domain reads.
func parsedFlag[T fmt.Stringer](flags *pflag.FlagSet, to *T, name string, parse func(string) (T, error), usage string) {
	flags.Var(&parsed[T]{to: to, parse: parse}, name, usage)
}
