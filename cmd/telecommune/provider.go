package main

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/pbx"
)

func providerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "provider",
		Short: "Look after who may send calls to the access numbers.",
		Long: `Look after who may send calls to the access numbers.

A provider is known by the address it sends from, or by a user name and password (SIP digest), as a softphone is.`,
	}
	c.AddCommand(providerAdd(), providerList(), providerShow(), providerSet(), providerRemove())
	return c
}

// providerFlags are those of `provider add` and `provider set`.
type providerFlags struct {
	address      netip.Prefix
	user         string
	passwordFile string
	trust        bool
}

func (f *providerFlags) add(flags *pflag.FlagSet) {
	parsedFlag(flags, &f.address, "address", pbx.ParseAddress, "`IP[/N]` it sends from")
	flags.StringVar(&f.user, "user", "", "digest `USER` it sends as, and may register as")
	flags.StringVar(&f.passwordFile, "password-file", "", "`FILE` with the password of the user, - for the input; without it one is made up and shown once")
	flags.BoolVar(&f.trust, "trust-caller-id", false, "take its caller IDs for true, so that they open accounts without PIN; by default true with --address, false with --user")
}

// newProvider is a provider as it is shown once, when its password was made up.
type newProvider struct {
	pbx.Provider
	Password string `json:"password,omitempty"`
}

// apply brings the flags that were given into p. It returns the password when it was made up.
func (f *providerFlags) apply(cmd *cobra.Command, p *pbx.Provider) (madeUp string, err error) {
	given := cmd.Flags().Changed
	if given("address") {
		p.TrustCallerID = p.TrustCallerID || !p.Address.IsValid() // a change of address leaves it as it was
		p.Address, p.User, p.Password = f.address, "", ""
	}
	if given("user") {
		p.TrustCallerID = p.TrustCallerID && !p.Address.IsValid()
		p.Address, p.User = netip.Prefix{}, f.user
	}
	if given("trust-caller-id") {
		p.TrustCallerID = f.trust
	}
	switch {
	case given("password-file") && p.User == "":
		return "", usagef("--password-file goes with --user")
	case given("password-file"):
		p.Password, err = readSecret(cmd, f.passwordFile)
	case p.User != "" && p.Password == "":
		madeUp = pbx.NewPassword()
		p.Password = madeUp
	}
	return madeUp, err
}

func providerAdd() *cobra.Command {
	var f providerFlags
	c := &cobra.Command{
		Use:   "add CODE",
		Short: "Let somebody send calls to access numbers.",
		Example: `  telecommune provider add pstn --address 192.0.2.0/28
  telecommune provider add softphone --user anna`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return saveProvider(cmd, &f, func(ctx context.Context, _ *pbx.Store) (pbx.Provider, error) {
				return pbx.Provider{Code: args[0]}, nil
			}, (*pbx.Store).AddProvider)
		},
	}
	f.add(c.Flags())
	c.MarkFlagsOneRequired("address", "user")
	c.MarkFlagsMutuallyExclusive("address", "user")
	return c
}

func providerSet() *cobra.Command {
	var f providerFlags
	c := &cobra.Command{
		Use:     "set CODE",
		Short:   "Change how a provider is known, its password, or whether its caller IDs are trusted.",
		Example: "  telecommune provider set pstn --address 192.0.2.32/28",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return saveProvider(cmd, &f, func(ctx context.Context, s *pbx.Store) (pbx.Provider, error) {
				return s.Provider(ctx, args[0])
			}, (*pbx.Store).SetProvider)
		},
	}
	f.add(c.Flags())
	c.MarkFlagsOneRequired("address", "user", "password-file", "trust-caller-id")
	c.MarkFlagsMutuallyExclusive("address", "user")
	return c
}

// saveProvider takes a provider from somewhere, brings the flags in, stores and shows it.
func saveProvider(cmd *cobra.Command, f *providerFlags,
	from func(context.Context, *pbx.Store) (pbx.Provider, error),
	save func(*pbx.Store, context.Context, pbx.Provider) error,
) error {
	return with(cmd, func(ctx context.Context, s services) error {
		p, err := from(ctx, s.access)
		if err != nil {
			return err
		}
		madeUp, err := f.apply(cmd, &p)
		if err != nil {
			return err
		}
		if err := save(s.access, ctx, p); err != nil {
			return err
		}
		return show(cmd, newProvider{p, madeUp})
	})
}

func providerList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the providers.",
		Example: "  telecommune provider list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				providers, err := s.access.Providers(ctx)
				if err != nil {
					return err
				}
				return list(cmd, providers)
			})
		},
	}
}

func providerShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show CODE",
		Short:             "Show a provider.",
		Example:           "  telecommune provider show pstn",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(providerCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				p, err := s.access.Provider(ctx, args[0])
				if err != nil {
					return err
				}
				return show(cmd, p)
			})
		},
	}
}

func providerRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove CODE",
		Short:             "Remove a provider that has no access numbers left.",
		Example:           "  telecommune provider remove pstn",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(providerCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return s.access.RemoveProvider(ctx, args[0])
			})
		},
	}
}

func providerCodes(ctx context.Context, s services) ([]string, error) {
	providers, err := s.access.Providers(ctx)
	var codes []string
	for _, p := range providers {
		codes = append(codes, p.Code)
	}
	return codes, err
}
