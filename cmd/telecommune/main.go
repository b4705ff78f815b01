// Command telecommune runs a calling commune: the controller that takes and routes calls, the database it keeps its
// books in, and every command that looks after both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes besides 0.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(asProcess(os.Args[1:])) }

// asProcess executes a command line that ends in order when the process is asked to.
func asProcess(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal is the command's own to take, or ends the program
	return run(ctx, args, streams{os.Stdin, os.Stdout, os.Stderr})
}

type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run executes one command line and gives the exit code. What went wrong is one line on the error stream.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)

	// Whatever fails before a command's own code runs is wrong usage: unknown commands, flags and flag values, missing
	// flags, the wrong number of arguments.
	begun := false
	eachCommand(root, func(c *cobra.Command) {
		if do := c.RunE; do != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				begun = true
				return do(c, args)
			}
		}
	})
	failed, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if usage := (usageError{}); !begun || errors.As(err, &usage) {
		fmt.Fprintf(s.err, "telecommune: %s; see %q\n", oneLine(err.Error()), failed.CommandPath()+" --help")
		return exitUsage
	}
	fmt.Fprintf(s.err, "telecommune: %s\n", explain(err))
	return exitFailed
}

// usageError marks wrong usage that only a command's own code can see.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "telecommune",
		Short: "Long-distance calls run and owned by a commune of those who do the work.",
		Long: `Long-distance calls run and owned by a commune of those who do the work.

Start with "telecommune demo": it needs no configuration. "telecommune serve" is the controller; every other command
works beside it or without it. Numbers are international, written +380441234567 or 00380441234567; amounts are plain
decimals such as 12.50; instants are RFC 3339.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	addConfigFlags(root.PersistentFlags(), "state", "db")
	root.PersistentFlags().String("config", "", "`FILE` with settings in TOML (also TELECOMMUNE_CONFIG)")
	addOutputFlag(root.PersistentFlags())
	root.AddCommand(
		demoCommand(), serveCommand(),
		doctorCommand(), migrateCommand(), backupCommand(), restoreCommand(),
		providerCommand(), accessNumberCommand(), trunkCommand(), deckCommand(), tariffCommand(), exchangeRateCommand(),
		rateCommand(), routeCommand(),
		accountCommand(), phoneCommand(), pinCommand(), contactCommand(), voucherCommand(), carrierCommand(),
		callCommand(), statementCommand(), booksCommand(), periodCommand(), communeCommand(),
		memberCommand(), enterpriseCommand(), assetCommand(), agreementCommand(), bondCommand(), rentCommand(),
		benchCommand(), versionCommand(),
	)
	eachCommand(root, func(c *cobra.Command) {
		if c.HasParent() && c.HasSubCommands() && c.RunE == nil {
			group(c)
		}
	})
	return root
}

// group makes a command that only has subcommands say so, instead of taking anything and printing its help.
func group(c *cobra.Command) {
	c.DisableFlagsInUseLine = true
	c.RunE = func(c *cobra.Command, args []string) error {
		var names []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		if len(args) > 0 {
			return usagef("%s has no command %q, only %s", c.CommandPath(), args[0], strings.Join(names, ", "))
		}
		return usagef("%s needs one of its commands: %s", c.CommandPath(), strings.Join(names, ", "))
	}
}

// takes refuses any other number of arguments, and says what they are.
func takes(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return fmt.Errorf("wrong arguments, want: %s", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
}

func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, do)
	}
}

// oneLine joins the lines of a text, and takes out what a terminal would act on.
func oneLine(s string) string {
	return printable(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

// printable puts a dot in the place of each control character: names and numbers of callers are foreign.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '·'
		}
		return r
	}, s)
}
