package main

import (
	"context"

	"github.com/spf13/cobra"
)

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to what this version of the program needs.",
		Long: `Bring the database to what this version of the program needs.

Every command does so by itself; this one only does that. It takes a role that may change the schema.`,
		Example: "  telecommune migrate --db 'host=db.example.net dbname=telecommune user=telecommune'",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(context.Context, services) error { return nil })
		},
	}
}
