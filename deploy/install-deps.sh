#!/bin/sh
# Installs from Debian what the program needs to run and the machine lacks; with --test also what the tests need.
# With nothing missing it does nothing and needs no rights. --dry-run only tells what is missing.
set -eu

# need PACKAGES TEST: packages (with , between them) are missing when the test fails.
run_needs() {
	need postgresql has_postgres
	need espeak-ng command -v espeak-ng
	need sox command -v sox
}
test_needs() {
	need sip-tester command -v sipp
	need hledger command -v hledger       # what books export writes, other programs must take
	need beancount has_beancount
	need poppler-utils command -v pdftotext # reads the bills
	need gcc,libc6-dev has_c_compiler # go test -race links with it
}

# The program runs PostgreSQL's programs itself, from where Debian puts them or pg_config points to.
has_postgres() {
	for initdb in "$(pg_config --bindir 2>/dev/null || true)"/initdb /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$initdb" ] || continue
		major=$("$initdb" --version | sed 's/.*(PostgreSQL) \([0-9]*\).*/\1/')
		[ "$major" -ge 15 ] && return 0
	done
	return 1
}

has_beancount() { command -v bean-check && command -v bean-query; }

has_c_compiler() { echo '#include <stdlib.h>' | "${CC:-gcc}" -E - ; }

need() {
	packages=$(echo "$1" | tr , ' ')
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $packages"
}

find_missing() {
	missing=
	run_needs
	[ -z "$with_tests" ] || test_needs
	missing=${missing# }
}

give_up() {
	echo "$0: $1" >&2
	echo "Needed: $missing" >&2
	echo "As root: apt-get update && apt-get install --no-install-recommends $missing" >&2
	exit 1
}

# Debian starts services as it installs them and makes a PostgreSQL cluster that would start at each boot. The program
# has its own; so for as long as this takes, no service is started and no cluster made. What the administrator has set
# stays as it is.
quietly() {
	policy=/usr/sbin/policy-rc.d
	cluster=/etc/postgresql-common/createcluster.d/telecommune.conf
	ours=
	trap 'rm -f $ours' EXIT
	trap 'exit 1' HUP INT TERM
	if [ ! -e "$policy" ]; then
		ours="$policy"
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	mkdir -p "${cluster%/*}"
	ours="$ours $cluster"
	echo 'create_main_cluster = false' >"$cluster"
	"$@"
}

install_missing() {
	apt-get -q update || echo "$0: the package lists could not be brought up to date; trying with those that are here" >&2
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing
}

with_tests='' dry_run=''
for arg in "$@"; do
	case $arg in
	--test) with_tests=yes ;;
	--dry-run) dry_run=yes ;;
	*)
		echo "usage: $0 [--test] [--dry-run]" >&2
		exit 2
		;;
	esac
done

find_missing
if [ -z "$missing" ]; then
	exit 0
fi
if [ -n "$dry_run" ]; then
	echo "missing: $missing"
	exit 1
fi
command -v apt-get >/dev/null || give_up "this system has no apt-get; install these packages, or what they are called here"
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || give_up "packages are missing, and only root can install them (there is no sudo)"
	sudo -n true 2>/dev/null || [ -t 0 ] || give_up "packages are missing, and sudo asks for a password but there is no terminal"
	echo "installing with sudo: $missing"
	exec sudo -- "$0" "$@"
fi
echo "installing: $missing"
quietly install_missing </dev/null || give_up "apt-get could not install what is missing"
wanted=$missing
find_missing
[ -z "$missing" ] || give_up "installed $wanted, but not all of it is new enough (PostgreSQL must be 15 or newer)"
