package tariff

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"telecommune/internal/e164"
)

// maxCodes is how many prefixes a cell may stand for: a range of four digits.
const maxCodes = 10_000

// expand gives the prefixes that a cell of codes stands for, after the country code of another cell if there is one.
func (c *Codes) expand(country, cell string) ([]string, error) {
	country, err := c.strip(country)
	if err != nil {
		return nil, err
	}
	if c.CountryFirst {
		country, cell, _ = strings.Cut(cell, " ")
		if country, err = c.strip(country); err != nil {
			return nil, err
		}
	}
	cell = strings.TrimSpace(cell)
	if cell == "" && country != "" {
		return []string{country}, nil
	}
	parts := []string{cell}
	if c.Separator != "" {
		parts = strings.Split(cell, c.Separator)
	}
	var all []string
	for _, part := range parts {
		if all, err = c.add(all, country, strings.TrimSpace(part)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// add takes one code, or one range of them.
func (c *Codes) add(all []string, country, part string) ([]string, error) {
	first, last, several := part, "", false
	if c.Range != "" {
		first, last, several = strings.Cut(part, c.Range)
	}
	var err error
	if first = strings.TrimSpace(first); country == "" {
		if first, err = c.strip(first); err != nil {
			return nil, err
		}
	}
	if err := codeDigits(first); err != nil {
		return nil, err
	}
	if !several {
		return limitCodes(append(all, country+first))
	}
	if last = strings.TrimSpace(last); country == "" { // many write what stands before it only once
		last = strings.TrimSpace(strings.TrimPrefix(last, c.Plus))
	}
	if err := codeDigits(last); err != nil {
		return nil, err
	}
	if len(first) != len(last) || first > last {
		return nil, fmt.Errorf("%q: want a range of codes of the same length, the lower one first", clip(part))
	}
	from, to := number(first), number(last)
	if to-from >= maxCodes {
		return nil, fmt.Errorf("%q: more than %d codes", clip(part), maxCodes)
	}
	for n := from; n <= to; n++ {
		all = append(all, fmt.Sprintf("%s%0*d", country, len(first), n))
	}
	return limitCodes(all)
}

// strip takes away what stands before a country code.
func (c *Codes) strip(code string) (string, error) {
	if c.Plus == "" || code == "" {
		return code, nil
	}
	digits, ok := strings.CutPrefix(code, c.Plus)
	if !ok {
		return "", fmt.Errorf("%q: want %s before it", clip(code), c.Plus)
	}
	return strings.TrimSpace(digits), nil
}

func codeDigits(code string) error {
	switch {
	case code == "":
		return errors.New("a code is missing")
	case strings.Trim(code, "0123456789") != "":
		return fmt.Errorf("%q: want digits", clip(code))
	case len(code) > e164.MaxDigits:
		return fmt.Errorf("%q: more than %d digits", clip(code), e164.MaxDigits)
	}
	return nil
}

// number reads digits that fit.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64) //nolint:errcheck // 15 digits at most, checked
	return n
}

func limitCodes(all []string) ([]string, error) {
	if len(all) > maxCodes {
		return nil, fmt.Errorf("more than %d codes", maxCodes)
	}
	return all, nil
}
