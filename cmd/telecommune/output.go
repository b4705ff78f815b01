package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Formats of the -o flag that every command has. statement has a flag of its own in its place.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

func addOutputFlag(flags *pflag.FlagSet) {
	flags.VarP(&choice{formatTable, []string{formatTable, formatJSON, formatCSV}}, "output", "o",
		"`FORMAT` of the output: table, json or csv")
}

func outputFormat(cmd *cobra.Command) string { return cmd.Flag("output").Value.String() }

// show writes one object: all its fields as JSON, a list of names and values, or a CSV of one row.
func show[T any](cmd *cobra.Command, object T) error {
	switch outputFormat(cmd) {
	case formatJSON:
		return writeJSON(cmd.OutOrStdout(), object)
	case formatCSV:
		return writeCSV(cmd.OutOrStdout(), []T{object})
	}
	value := reflect.ValueOf(object)
	columns := slices.DeleteFunc(columnsOf(value.Type()), func(c column) bool {
		return c.optional && value.FieldByIndex(c.index).IsZero()
	})
	return writeTable(cmd.OutOrStdout(), nil, len(columns), func(n, col int) cell {
		if col == 0 {
			return cell{text: columns[n].name}
		}
		return columns[n].in(value)
	})
}

// shows is show of what a store gives as it comes: with the error, which is passed on.
func shows[T any](object T, err error) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		if err != nil {
			return err
		}
		return show(cmd, object)
	}
}

// list writes rows: an array as JSON, never null; a table or CSV with a header. The table has only the named columns,
// or all when none is named; a row type's columns are its exported fields under their JSON names.
func list[T any](cmd *cobra.Command, rows []T, tableColumns ...string) error {
	return listTo(cmd.OutOrStdout(), outputFormat(cmd), rows, tableColumns...)
}

// lists is list of what a store gives as it comes, like shows.
func lists[T any](rows []T, err error) func(*cobra.Command, ...string) error {
	return func(cmd *cobra.Command, tableColumns ...string) error {
		if err != nil {
			return err
		}
		return list(cmd, rows, tableColumns...)
	}
}

// listTo is list in a format of that flag, to whatever is written.
func listTo[T any](w io.Writer, format string, rows []T, tableColumns ...string) error {
	switch format {
	case formatJSON:
		return writeJSON(w, append([]T{}, rows...))
	case formatCSV:
		return writeCSV(w, rows)
	}
	columns := columnsOf(reflect.TypeFor[T]())
	if len(tableColumns) > 0 {
		columns = slices.DeleteFunc(columns, func(c column) bool { return !slices.Contains(tableColumns, c.name) })
	}
	return writeTable(w, columns, len(rows), func(n, col int) cell {
		return columns[col].in(reflect.ValueOf(rows[n]))
	})
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func writeCSV[T any](w io.Writer, rows []T) error {
	out := newCSVWriter[T](w)
	for _, row := range rows {
		if err := out.write(row); err != nil {
			return err
		}
	}
	return out.end()
}

// csvWriter writes rows as they come, under a header.
type csvWriter[T any] struct {
	out     *csv.Writer
	columns []column
	record  []string
	header  error // from writing it
}

func newCSVWriter[T any](w io.Writer) *csvWriter[T] {
	c := &csvWriter[T]{out: csv.NewWriter(w), columns: columnsOf(reflect.TypeFor[T]())}
	for _, column := range c.columns {
		c.record = append(c.record, column.name)
	}
	c.header = c.out.Write(c.record)
	return c
}

func (c *csvWriter[T]) write(row T) error {
	for i, column := range c.columns {
		c.record[i] = column.in(reflect.ValueOf(row)).text
	}
	return c.out.Write(c.record)
}

func (c *csvWriter[T]) end() error {
	c.out.Flush()
	return errors.Join(c.header, c.out.Error())
}

// writeTable writes n rows of cells, under a header when there are columns, else as pairs of name and value. Figures
// are aligned to the right under their header.
func writeTable(w io.Writer, columns []column, n int, at func(n, col int) cell) error {
	width, header := 2, 0
	if columns != nil {
		width, header = len(columns), 1
	}
	lines := make([][]cell, header+n)
	widths := make([]int, width)
	for i := range lines {
		lines[i] = make([]cell, width)
		for col := range lines[i] {
			if i < header {
				lines[i][col] = cell{strings.ToUpper(columns[col].name), columns[col].figure}
			} else {
				lines[i][col] = at(i-header, col)
			}
			lines[i][col].text = printable(lines[i][col].text)
			widths[col] = max(widths[col], utf8.RuneCountInString(lines[i][col].text))
		}
	}
	for _, line := range lines {
		var text strings.Builder
		for col, c := range line {
			space := strings.Repeat(" ", widths[col]-utf8.RuneCountInString(c.text))
			if c.figure && columns != nil {
				text.WriteString(space + c.text + "  ")
			} else {
				text.WriteString(c.text + space + "  ")
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(text.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// column is a field of a row type, by its JSON name.
type column struct {
	name     string
	index    []int
	figure   bool
	optional bool // left out of JSON when empty
}

type cell struct {
	text   string
	figure bool
}

// columnsOf lists the fields of a row type that fit one cell, those of embedded structs included.
func columnsOf(t reflect.Type) []column {
	var columns []column
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "-" || !fitsCell(f.Type) {
			continue
		}
		columns = append(columns, column{
			name: name, index: f.Index, figure: isFigure(f.Type), optional: strings.HasPrefix(options, "omit"),
		})
	}
	return columns
}

func (c column) in(row reflect.Value) cell {
	field := row.FieldByIndex(c.index)
	if c.optional && field.IsZero() {
		return cell{"", c.figure} // no limit is not a limit of 0
	}
	return cell{cellText(field), c.figure}
}

// fitsCell tells whether a value is one word or figure; lists and nested objects are for JSON.
func fitsCell(t reflect.Type) bool {
	if t.Implements(reflect.TypeFor[fmt.Stringer]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Struct, reflect.Interface:
		return false
	case reflect.Pointer:
		return fitsCell(t.Elem())
	}
	return true
}

func isFigure(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64:
		return true
	}
	return false
}

func cellText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct && v.IsZero() {
		return "" // no time, no address
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339)
	case fmt.Stringer:
		return x.String()
	default:
		return fmt.Sprint(x)
	}
}
