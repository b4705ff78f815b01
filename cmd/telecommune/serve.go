package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"telecommune/pbx"
)

// ballastSize is memory that the garbage collector takes for used while no page of it ever is. It lets as much garbage come
// together before it begins; what is truly used is so little that it would begin several times a second.
const ballastSize = 64 << 20

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Take calls, and serve the pages, until a signal ends it.",
		Long: `Take calls, and serve the pages, until a signal ends it.

SIGTERM or Ctrl-C: no new calls are taken, and those in progress may go on for up to five minutes. A second signal hangs
them up, settles them and ends.

With --engine asterisk, calls are carried by an Asterisk of its own, which serve starts and supervises; with --ari-url as
well, by one that runs elsewhere (docs/asterisk.md).`,
		Example: "  telecommune serve --sip 192.0.2.1:5060 --http 127.0.0.1:8080\n  telecommune serve --engine asterisk",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			ballast := make([]byte, ballastSize)
			defer runtime.KeepAlive(ballast)
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			a, err := openApp(cmd.Context(), c, log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			defer context.AfterFunc(cmd.Context(), func() { hangUpOnSignal(a.exchange) })()
			a.ready = func() {
				log.Info("ready", "sip", a.engine.Addr(), "pages", fmt.Sprintf("http://%s/", a.pages.Addr()), "state", c.State)
			}
			return a.Run(cmd.Context())
		},
	}
	addConfigFlags(cmd.Flags(), "sip", "public", "http", "proxies", "rtp-ports", "engine", "asterisk", "ari-url", "ari-user", "ari-password-file", "node", "prompts", "max-attempts", "max-calls", "max-cps")
	return cmd
}

// hangUpOnSignal hangs all calls up at the next signal. The first one has ended the program's context by then.
func hangUpOnSignal(x *pbx.Exchange) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	<-again
	x.HangupAll()
}
