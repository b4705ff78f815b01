package postgres

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"telecommune/internal/postgres/cluster"
)

// toolbox runs PostgreSQL's own programs against a database.
type toolbox struct {
	install cluster.Installation
	env     []string
}

// tools finds programs that suit the server: of its own major version, or a newer one.
func (d *DB) tools(ctx context.Context) (toolbox, error) {
	var number int // such as 150018
	if err := d.GetContext(ctx, &number, `SELECT current_setting('server_version_num')::integer`); err != nil {
		return toolbox{}, fmt.Errorf("version of the server: %w", err)
	}
	major := number / 10000
	install, err := cluster.Find(major)
	if err != nil {
		newest, findErr := cluster.Find(0)
		if findErr != nil || newest.Major < major {
			return toolbox{}, fmt.Errorf("the server's backup tools: %w", err)
		}
		install = newest
	}
	return toolbox{install, environment(d.config)}, nil
}

// environment hands the connection to libpq in variables: in the arguments everybody could read the password.
func environment(c pq.Config) []string {
	env := []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	add := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	hosts, ports := []string{c.Host}, []string{strconv.Itoa(int(c.Port))}
	for _, m := range c.Multi {
		hosts, ports = append(hosts, m.Host), append(ports, strconv.Itoa(int(m.Port)))
	}
	add("PGHOST", strings.Join(hosts, ","))
	add("PGPORT", strings.Join(ports, ","))
	if c.Hostaddr != (netip.Addr{}) {
		add("PGHOSTADDR", c.Hostaddr.String())
	}
	add("PGUSER", c.User)
	add("PGPASSWORD", c.Password)
	add("PGPASSFILE", c.Passfile)
	add("PGDATABASE", c.Database)
	add("PGSSLMODE", string(c.SSLMode))
	add("PGSSLCERT", c.SSLCert)
	add("PGSSLKEY", c.SSLKey)
	add("PGSSLROOTCERT", c.SSLRootCert)
	add("PGCONNECT_TIMEOUT", strconv.Itoa(int(c.ConnectTimeout.Seconds())))
	return env
}

func (t toolbox) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.install.Tool(name), args...)
	cmd.Env = t.env
	return cmd
}

// run runs a program; its error has what the program said.
func run(cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, strings.Join(strings.Split(strings.TrimSpace(said.String()), "\n"), "; "))
	}
	return nil
}
