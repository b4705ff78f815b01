package main

import (
	"cmp"
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

// change reads the password, if one is given, and gives what brings the flags that were given into a provider. When it
// makes a password up, that is in madeUp afterwards.
func (f *providerFlags) change(cmd *cobra.Command, madeUp *string) (func(p *pbx.Provider), error) {
	given := cmd.Flags().Changed
	password := ""
	if given("password-file") {
		var err error
		if password, err = readSecret(cmd, f.passwordFile); err != nil {
			return nil, err
		}
	}
	return func(p *pbx.Provider) {
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
		if *madeUp = ""; password == "" && p.User != "" && p.Password == "" {
			*madeUp = pbx.NewPassword()
		}
		p.Password = cmp.Or(password, *madeUp, p.Password)
	}, nil
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
			var madeUp string
			change, err := f.change(cmd, &madeUp)
			if err != nil {
				return err
			}
			p := pbx.Provider{Code: args[0]}
			change(&p)
			return with(cmd, func(ctx context.Context, s services) error {
				if err := s.access.AddProvider(ctx, p); err != nil {
					return err
				}
				return show(cmd, newProvider{p, madeUp})
			})
		},
	}
	f.add(c.Flags())
	c.MarkFlagsOneRequired("address", "user")
	c.MarkFlagsMutuallyExclusive("address", "user")
	c.MarkFlagsMutuallyExclusive("address", "password-file")
	return c
}

func providerSet() *cobra.Command {
	var f providerFlags
	c := &cobra.Command{
		Use:               "set CODE",
		Short:             "Change how a provider is known, its password, or whether its caller IDs are trusted.",
		Example:           "  telecommune provider set pstn --address 192.0.2.32/28",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(providerCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			var madeUp string
			change, err := f.change(cmd, &madeUp)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				p, err := s.access.SetProvider(ctx, args[0], change)
				if err != nil {
					return err
				}
				return show(cmd, newProvider{p, madeUp})
			})
		},
	}
	f.add(c.Flags())
	c.MarkFlagsOneRequired("address", "user", "password-file", "trust-caller-id")
	c.MarkFlagsMutuallyExclusive("address", "user")
	c.MarkFlagsMutuallyExclusive("address", "password-file")
	return c
}

func providerList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the providers.",
		Example: "  telecommune provider list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.access.Providers(ctx))(cmd)
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
				return shows(s.access.Provider(ctx, args[0]))(cmd)
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
