package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/internal/postgres"
	"telecommune/pbx"
)

// Config is every setting of the program. Each can be given in a TOML file, in the environment and as a flag, in rising
// order; none has to be.
type Config struct {
	State    string   `toml:"state"`
	DB       string   `toml:"db"`
	SIP      string   `toml:"sip"`
	Public   string   `toml:"public"`
	HTTP     string   `toml:"http"`
	Proxies  []string `toml:"proxies"`
	RTPPorts string   `toml:"rtp_ports"`
	Engine   string   `toml:"engine"`
	Asterisk string   `toml:"asterisk"`
	ARIURL   string   `toml:"ari_url"`
	ARIUser  string   `toml:"ari_user"`
	ARIFile  string   `toml:"ari_password_file"`
	Node     string   `toml:"node"`
	Prompts  []string `toml:"prompts"`

	MaxAttempts int `toml:"max_attempts"`
	MaxCalls    int `toml:"max_calls"`
	MaxCPS      int `toml:"max_cps"`
}

// setting is a key of the configuration: `rtp_ports` in the file, TELECOMMUNE_RTP_PORTS in the environment, and
// --rtp-ports where a command takes it as a flag.
type setting struct {
	key   string
	usage string
	set   func(c *Config, value string)
	get   func(c *Config) string
}

var settings = []setting{
	{
		"state", "`DIR` with everything the program keeps: database, keys, spool",
		func(c *Config, v string) { c.State = v }, func(c *Config) string { return c.State },
	},
	{
		"db", "`DSN` of a PostgreSQL 15 or newer, instead of the private one",
		func(c *Config, v string) { c.DB = v }, func(c *Config) string { return c.DB },
	},
	{
		"sip", "`HOST:PORT` for SIP, UDP and TCP",
		func(c *Config, v string) { c.SIP = v }, func(c *Config) string { return c.SIP },
	},
	{
		"public", "`IP` that others reach SIP and media at, behind a NAT that has one address for this machine alone",
		func(c *Config, v string) { c.Public = v }, func(c *Config) string { return c.Public },
	},
	{
		"http", "`HOST:PORT` for the pages",
		func(c *Config, v string) { c.HTTP = v }, func(c *Config) string { return c.HTTP },
	},
	{
		"proxies", "`ADDRESSES` of the TLS proxies before the pages, separated by commas; cookies are for HTTPS only then",
		func(c *Config, v string) { c.Proxies = strings.FieldsFunc(v, isComma) }, func(c *Config) string { return strings.Join(c.Proxies, ",") },
	},
	{
		"rtp_ports", "`FIRST-LAST` UDP ports for the media",
		func(c *Config, v string) { c.RTPPorts = v }, func(c *Config) string { return c.RTPPorts },
	},
	{
		"engine", "call `ENGINE`: sip (built in) or asterisk",
		func(c *Config, v string) { c.Engine = v }, func(c *Config) string { return c.Engine },
	},
	{
		"asterisk", "`FOLDER` with an Asterisk, as deploy/asterisk/get.sh prints it",
		func(c *Config, v string) { c.Asterisk = v }, func(c *Config) string { return c.Asterisk },
	},
	{
		"ari_url", "`URL` of ARI of an Asterisk that runs elsewhere, such as http://127.0.0.1:8088/ari; see docs/asterisk.md",
		func(c *Config, v string) { c.ARIURL = v }, func(c *Config) string { return c.ARIURL },
	},
	{
		"ari_user", "`USER` of ARI there",
		func(c *Config, v string) { c.ARIUser = v }, func(c *Config) string { return c.ARIUser },
	},
	{
		"ari_password_file", "`FILE` with the password of that user",
		func(c *Config, v string) { c.ARIFile = v }, func(c *Config) string { return c.ARIFile },
	},
	{
		"node", "`NAME` of this node among several",
		func(c *Config, v string) { c.Node = v }, func(c *Config) string { return c.Node },
	},
	{
		"prompts", "`DIRS` with prompts, separated by colons; later ones override earlier ones",
		func(c *Config, v string) { c.Prompts = filepath.SplitList(v) },
		func(c *Config) string { return strings.Join(c.Prompts, string(filepath.ListSeparator)) },
	},
	{
		"max_attempts", "`N` trunks at most that one call is tried over",
		func(c *Config, v string) { c.MaxAttempts = count(v) }, func(c *Config) string { return strconv.Itoa(c.MaxAttempts) },
	},
	{
		"max_calls", "`N` callers at most on the line at once",
		func(c *Config, v string) { c.MaxCalls = count(v) }, func(c *Config) string { return strconv.Itoa(c.MaxCalls) },
	},
	{
		"max_cps", "`N` callers at most let in a second",
		func(c *Config, v string) { c.MaxCPS = count(v) }, func(c *Config) string { return strconv.Itoa(c.MaxCPS) },
	},
}

// count reads a number. What is none is 0, which check refuses.
func count(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func isComma(r rune) bool { return r == ',' || r == ' ' }

func (s setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }
func (s setting) env() string  { return "TELECOMMUNE_" + strings.ToUpper(s.key) }

// ofConfig marks a flag that is a setting.
const ofConfig = "setting"

// addConfigFlags gives a command the named flags; config then takes them up.
func addConfigFlags(flags *pflag.FlagSet, names ...string) {
	defaults := defaultConfig()
	for _, name := range names {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.flag() == name })
		if i < 0 {
			panic("no setting " + name)
		}
		flags.String(name, settings[i].get(&defaults), settings[i].usage)
		flags.Lookup(name).Annotations = map[string][]string{ofConfig: nil} // an account has a --max-calls, too
	}
}

func defaultConfig() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return Config{
		State:    postgres.DefaultState(),
		SIP:      "0.0.0.0:5060",
		HTTP:     "127.0.0.1:8080",
		RTPPorts: "10000-20000",
		Engine:   engineSIP,
		Asterisk: defaultAsterisk(),
		ARIUser:  "telecommune",
		Node:     host,
		Prompts:  defaultPrompts(),

		MaxAttempts: pbx.MaxAttempts,
		MaxCalls:    1000,
		MaxCPS:      30,
	}
}

// defaultPrompts looks for the clips that `make prompts` spoke: below the folder the program is started in, beside a
// built program, or where a package puts them.
func defaultPrompts() []string {
	const built, packaged = "build/prompts", "/usr/share/telecommune/prompts"
	dirs := []string{built, packaged}
	if exe, err := os.Executable(); err == nil {
		dirs = []string{built, filepath.Join(filepath.Dir(exe), "..", built), packaged}
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return []string{dir}
		}
	}
	return []string{built}
}

// config puts the settings together for one command line.
func config(cmd *cobra.Command) (Config, error) {
	c := defaultConfig()
	file := cmd.Flag("config").Value.String()
	if file == "" {
		file = os.Getenv("TELECOMMUNE_CONFIG")
	}
	if file != "" {
		if err := c.readFile(file); err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", file, err)
		}
	}
	for _, s := range settings {
		if v, ok := os.LookupEnv(s.env()); ok {
			s.set(&c, v)
		}
		if f := cmd.Flag(s.flag()); f != nil && f.Changed {
			if _, ours := f.Annotations[ofConfig]; ours {
				s.set(&c, f.Value.String())
			}
		}
	}
	return c, c.check()
}

func (c *Config) readFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	err = toml.NewDecoder(f).DisallowUnknownFields().Decode(c)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var keys []string
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			keys = append(keys, fmt.Sprintf("%s (line %d)", strings.Join(e.Key(), "."), row))
		}
		return fmt.Errorf("unknown key %s", strings.Join(keys, ", "))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, _ := bad.Position()
		return fmt.Errorf("line %d: %w", row, err)
	}
	return err
}

// More than a caller has the patience for, and than a machine can take.
const (
	mostAttempts = 50
	mostCalls    = 100_000
	mostCPS      = 10_000
)

// check refuses what would only fail later, and less clearly.
func (c *Config) check() error {
	if c.Engine != engineSIP && c.Engine != engineAsterisk {
		return fmt.Errorf("engine %q: want sip or asterisk", c.Engine)
	}
	if err := c.checkARI(); err != nil {
		return err
	}
	if c.Node == "" {
		return errors.New("node: a name is needed")
	}
	if _, err := netip.ParseAddr(c.Public); c.Public != "" && err != nil {
		return fmt.Errorf("public %q: want an IP address, such as 192.0.2.1", c.Public)
	}
	if c.MaxAttempts < 1 || c.MaxAttempts > mostAttempts {
		return fmt.Errorf("max_attempts: want 1 to %d", mostAttempts)
	}
	if c.MaxCalls < 1 || c.MaxCalls > mostCalls {
		return fmt.Errorf("max_calls: want 1 to %d", mostCalls)
	}
	if c.MaxCPS < 1 || c.MaxCPS > mostCPS {
		return fmt.Errorf("max_cps: want 1 to %d", mostCPS)
	}
	if c.State == "" {
		return errors.New("state: a folder is needed")
	}
	abs, err := filepath.Abs(c.State)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	c.State = abs
	return nil
}

// public is the address that others are told; none when it is not given. It was checked.
func (c Config) public() netip.Addr {
	addr, _ := netip.ParseAddr(c.Public)
	return addr
}

// checkARI refuses what is no address of an Asterisk elsewhere.
func (c *Config) checkARI() error {
	if c.ARIURL == "" {
		return nil
	}
	u, err := url.Parse(c.ARIURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("ari_url: want an address such as http://127.0.0.1:8088/ari")
	case u.User != nil:
		return errors.New("ari_url: the user goes to ari_user, the password to the file of ari_password_file")
	case c.Engine != engineAsterisk:
		return errors.New("ari_url: only the engine asterisk has one")
	case c.ARIFile == "":
		return errors.New("ari_password_file: the password of ari_url is needed")
	}
	return nil
}

// ariPassword reads the password of an Asterisk that runs elsewhere.
func (c Config) ariPassword() (string, error) {
	content, err := os.ReadFile(c.ARIFile)
	if err != nil {
		return "", fmt.Errorf("password of ari_url: %w", err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", fmt.Errorf("password of ari_url: %s is empty", c.ARIFile)
	}
	return password, nil
}
