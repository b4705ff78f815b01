package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"telecommune/internal/money"
)

// object reads the fields of one JSON object strictly: exact names, each once, none missing, none left over. The first
// defect is kept and the reads after it give zero values, so that a reader is a plain list of fields. (Decoding into a
// struct would take names in any case and doubled ones.)
type object struct {
	path   string
	fields map[string]json.RawMessage
	defect error
}

func readObject(path string, raw json.RawMessage) *object {
	o := &object{path: path, fields: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		o.fail(badScenario, "not a JSON object")
		return o
	}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			o.fail(badScenario, "%v", err)
			return o
		}
		key, _ := name.(string)
		if _, twice := o.fields[key]; twice {
			o.fail(badScenario, "field %q stands there twice", key)
		}
		o.fields[key] = value
	}
	if _, err := d.Token(); err != nil {
		o.fail(badScenario, "%v", err)
	} else if d.More() {
		o.fail(badScenario, "something follows the object")
	}
	return o
}

func (o *object) fail(code, format string, args ...any) {
	if o.defect == nil {
		o.defect = refuse(code, "%s: %s", o.path, fmt.Sprintf(format, args...))
	}
}

// done gives the first defect; a field that nobody read is one.
func (o *object) done() error {
	for name := range o.fields {
		o.fail(badScenario, "unknown field %q", name)
	}
	return o.defect
}

// take removes a field and gives its value.
func (o *object) take(name string) json.RawMessage {
	value, ok := o.fields[name]
	if !ok {
		o.fail(badScenario, "field %q is missing", name)
	}
	delete(o.fields, name)
	return value
}

func (o *object) has(name string) bool { _, ok := o.fields[name]; return ok }

func (o *object) text(name string) string {
	value := o.take(name)
	var s *string
	if err := json.Unmarshal(value, &s); value != nil && (err != nil || s == nil) {
		o.fail(badScenario, "%q is not a string", name)
	}
	if s == nil {
		return ""
	}
	return *s
}

// id reads a name that is not empty.
func (o *object) ident(name string) string {
	s := o.text(name)
	if s == "" {
		o.fail(badScenario, "%q is empty", name)
	}
	return s
}

func (o *object) optText(name, otherwise string) string {
	if !o.has(name) {
		return otherwise
	}
	return o.text(name)
}

// integer reads a JSON integer of at least least.
func (o *object) integer(name string, least int) int {
	value := o.take(name)
	n, err := strconv.Atoi(string(value))
	if value != nil && (err != nil || n < least) {
		o.fail(badScenario, "%q is not a whole number of at least %d", name, least)
		return 0
	}
	return n
}

func (o *object) optInteger(name string, least, otherwise int) int {
	if !o.has(name) {
		return otherwise
	}
	return o.integer(name, least)
}

// amount reads an amount of at least least that is a multiple of unit.
func (o *object) amount(name string, least, unit money.Amount) money.Amount {
	value := o.take(name)
	if value == nil {
		return 0
	}
	var a money.Amount
	switch err := a.UnmarshalJSON(value); {
	case err != nil:
		o.fail(amountPrecision, "%q: %v", name, err)
	case a < least:
		o.fail(amountPrecision, "%q is %s, want at least %s", name, a, least)
	case a%unit != 0:
		o.fail(amountPrecision, "%q is %s, want a multiple of %s", name, a, unit)
	}
	return a
}

func (o *object) optAmount(name string, least, unit, otherwise money.Amount) money.Amount {
	if !o.has(name) {
		return otherwise
	}
	return o.amount(name, least, unit)
}

// object reads a field that is an object itself.
func (o *object) object(name string) *object { return readObject(o.path+"."+name, o.take(name)) }

// each reads a field that maps names to values, in the order of the names.
func (o *object) each(name string, fn func(key string, value json.RawMessage, path string)) {
	inner := o.object(name)
	if inner.defect != nil && o.defect == nil {
		o.defect = inner.defect
	}
	keys := make([]string, 0, len(inner.fields))
	for key := range inner.fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fn(key, inner.fields[key], inner.path+"."+key)
	}
}

// list reads a field that is a list, item by item.
func (o *object) list(name string, fn func(item *object)) {
	for i, raw := range o.items(name) {
		item := readObject(fmt.Sprintf("%s.%s[%d]", o.path, name, i), raw)
		fn(item)
		o.keep(item.done())
	}
}

// items reads a field that is a list and leaves its items as they are.
func (o *object) items(name string) []json.RawMessage {
	value := o.take(name)
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); value != nil && (err != nil || items == nil) {
		o.fail(badScenario, "%q is not a list", name)
	}
	return items
}

// keep takes over the defect of a part.
func (o *object) keep(part error) {
	if part != nil && o.defect == nil {
		o.defect = part
	}
}

// asRefusal gives the refusal in an error, or nil.
func asRefusal(err error) *Refusal {
	var r *Refusal
	errors.As(err, &r)
	return r
}
