package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"telecommune/internal/postgres"
)

// completionTime is how long a shell waits for names; a database that must first be started may take longer, and then
// there are none.
const completionTime = 2 * time.Second

type names func(ctx context.Context, s services) ([]string, error)

// completeFrom completes a command's first argument from the database.
func completeFrom(names names) cobra.CompletionFunc { return completeFirst(1, names) }

// completeFirst completes a command's first n arguments from the database.
func completeFirst(n int, names names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return lookUp(cmd, names)
	}
}

// completeFlag completes a flag's value from the database.
func completeFlag(c *cobra.Command, flag string, names names) {
	must(c.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return lookUp(cmd, names)
	}))
}

func lookUp(cmd *cobra.Command, names names) ([]string, cobra.ShellCompDirective) {
	// TAB makes nothing, least of all a database.
	c, err := config(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	if !postgres.Exists(databaseOptions(c)) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	cmd.SetContext(ctx)
	var found []string
	err = with(cmd, func(ctx context.Context, s services) (err error) {
		found, err = names(ctx, s)
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// require makes flags mandatory.
func require(c *cobra.Command, flags ...string) {
	for _, f := range flags {
		must(c.MarkFlagRequired(f))
	}
}

// must is for what only a mistake in a command's declaration can cause, found by the first start.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
