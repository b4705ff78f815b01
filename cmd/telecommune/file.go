package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// fileFlag declares --file for commands that write what is kept.
func fileFlag(flags *pflag.FlagSet) *string {
	return flags.String("file", "", "`FILE` to write instead of the output; one that is there is replaced")
}

// writeOut writes to the output, or to a file when one is named. The file appears whole or not at all.
func writeOut(cmd *cobra.Command, name string, write func(io.Writer) error) (err error) {
	if name == "" {
		return write(cmd.OutOrStdout())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".telecommune-*") // mode 0600: bills and books are nobody else's
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
