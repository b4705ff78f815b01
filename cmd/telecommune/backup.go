package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"telecommune/internal/postgres"
)

// backupInfo is what `backup` shows.
type backupInfo struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the whole database into a file.",
		Long: `Write the whole database into a file that restore and pg_restore read.

The key in the state folder (` + keyFile + `) is not in it: without that file PINs and vouchers are worth nothing. Keep a
copy of it in another place than the backups.`,
		Example: "  telecommune backup telecommune-$(date +%F).dump",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			if err := postgres.Backup(cmd.Context(), databaseOptions(c), args[0]); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			file, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			return show(cmd, backupInfo{file, info.Size()})
		},
	}
}

func restoreCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put back what backup wrote, all of it or nothing.",
		Long: `Put back what backup wrote, all of it or nothing.

The database must be empty, and nothing else may use it: stop serve first. The key of the state folder (` + keyFile + `)
must be put back beside it, else no PIN and no voucher is known any more.`,
		Example: "  telecommune restore telecommune-2027-06-30.dump --state /var/lib/telecommune-new",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			return postgres.Restore(cmd.Context(), databaseOptions(c), args[0], force)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace what is in the database")
	return c
}
