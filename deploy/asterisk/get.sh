#!/bin/sh
# Gets an Asterisk and prints the folder that it can be run from, in which there are
#   run       starts it:  run -C FILE -f
#   modules   its loadable modules
#   data      its sounds and documentation
# In this order: the one that $ASTERISK names or that is on PATH; the distribution's package; into a prefix, without
# rights, from Debian unstable with the machine's own mirror. What was fetched is kept by its version, and serves when the
# mirror is away.
#
# /etc/asterisk is never touched, and no service is started.
set -eu

# Older versions have known holes (ARI and PJSIP, June 2026).
least_of_line() {
	case $1 in
	20.*) echo 20.20.1 ;;
	21.*) echo 21.12.3 ;;
	22.*) echo 22.10.1 ;;
	*) echo 23.4.1 ;;
	esac
}

say() { echo "$0: $*" >&2; }

# new_enough VERSION
new_enough() {
	least=$(least_of_line "$1")
	[ "$(printf '%s\n%s\n' "$least" "$1" | sort -V | head -n 1)" = "$least" ]
}

# version_of COMMAND...: such as 22.10.1
version_of() { "$@" -V 2>/dev/null | sed -n 's/^Asterisk \(certified[-\/]\)\{0,1\}\([0-9][0-9.]*\).*/\2/p'; }

# offer NAME MODULES DATA COMMAND...: makes the folder NAME, whole or not at all, and prints it.
offer() {
	folder=$cache/$1 modules=$2 data=$3
	shift 3
	new=$(mktemp -d "$cache/.new.XXXXXX")
	chmod 755 "$new"
	ln -s "$modules" "$new/modules"
	ln -s "$data" "$new/data"
	{
		echo '#!/bin/sh'
		printf 'exec'
		for word in "$@"; do printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"; done
		# shellcheck disable=SC2016 # for the script that is written
		echo ' "$@"'
	} >"$new/run"
	chmod 755 "$new/run"
	version=$(version_of "$new/run")
	if [ -z "$version" ] || ! new_enough "$version"; then
		say "what was got does not run, or is version ${version:-unknown}"
		rm -rf "$new"
		return 1
	fi
	if cmp -s "$new/run" "$folder/run" && [ "$(readlink "$folder/modules")" = "$modules" ] && [ "$(readlink "$folder/data")" = "$data" ]; then
		rm -rf "$new" # somebody may run it just now
		touch "$folder/run"
	else
		rm -rf "$folder"
		mv -T "$new" "$folder" 2>/dev/null || rm -rf "$new" # somebody else was faster
	fi
	echo "$folder"
}

# module_folder PREFIX: where the modules are of an Asterisk that was installed there
module_folder() {
	for folder in "$1"/lib/*/asterisk/modules "$1/lib/asterisk/modules" "$1/lib64/asterisk/modules" \
		/usr/lib/*/asterisk/modules /usr/lib/asterisk/modules /usr/lib64/asterisk/modules /usr/local/lib/asterisk/modules; do
		if [ -e "$folder/res_ari.so" ]; then
			echo "$folder"
			return
		fi
	done
	return 1
}

data_folder() {
	for folder in "$1/share/asterisk" "$1/var/lib/asterisk" /usr/share/asterisk /var/lib/asterisk /usr/local/share/asterisk; do
		if [ -d "$folder/documentation" ]; then
			echo "$folder"
			return
		fi
	done
	return 1
}

installed() {
	binary=${ASTERISK:-$(command -v asterisk || echo /usr/sbin/asterisk)}
	[ -x "$binary" ] || return 1
	version=$(version_of "$binary")
	if [ -z "$version" ] || ! new_enough "$version"; then
		say "$binary is version ${version:-unknown}, which has known holes; another one is sought"
		return 1
	fi
	prefix=$(dirname "$(dirname "$binary")")
	modules=$(module_folder "$prefix") && data=$(data_folder "$prefix") || {
		say "$binary has no res_ari among its modules; another one is sought"
		return 1
	}
	offer "installed" "$modules" "$data" "$binary"
}

# Not tried on any machine so far: Debian 12 has no package.
packaged() {
	[ "$(id -u)" = 0 ] || return 1
	candidate=$(apt-cache policy asterisk 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9][0-9.]*\).*/\2/p')
	[ -n "$candidate" ] && new_enough "$candidate" || return 1
	policy=/usr/sbin/policy-rc.d
	ours=
	if [ ! -e "$policy" ]; then # else the package's own service takes the SIP port with its sample configuration
		ours=$policy
		trap 'rm -f "$ours"' EXIT
		trap 'exit 1' HUP INT TERM # else what is to be done at the end is not
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends asterisk >&2
	[ -z "$ours" ] || rm -f "$ours"
	installed
}

# latest: the newest of what was fetched before, whole, unless it has known holes
latest() {
	kept=$(find "$cache" -maxdepth 1 -name 'debian-*' ! -name '*.root' | sort -V | tail -n 1)
	[ -n "$kept" ] && [ -x "$kept/run" ] && new_enough "${kept##*/debian-}"
}

# recent: fetched, or seen to be the newest, within a week; so a test does not ask the mirror each time
recent() {
	latest && [ -n "$(find "$kept/run" -mtime -7)" ] && echo "$kept"
}

# prefixed takes the package and all it needs from Debian unstable apart, and runs it with the libraries and the loader
# that came with it: those of the machine are older.
prefixed() {
	for tool in apt-get dpkg-deb dpkg; do
		command -v $tool >/dev/null || {
			say "this system has no $tool"
			return 1
		}
	done
	apt=$cache/apt
	mkdir -p "$apt/etc/apt.conf.d" "$apt/etc/preferences.d" "$apt/etc/sources.list.d" "$apt/state/lists/partial" \
		"$apt/cache/archives/partial" "$apt/log"
	: >"$apt/status" # nothing is installed there: so apt brings the libraries too
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
		awk '$2 == "main" && $1 ~ /\/debian\/$/ { print $1; exit }')
	[ -n "$mirror" ] || {
		say "apt knows no Debian mirror on this machine"
		return 1
	}
	echo "deb [arch=$(dpkg --print-architecture) signed-by=$keyring] $mirror sid main" >"$apt/etc/sources.list"
	apt_get() {
		apt-get -q -o Dir::Etc="$apt/etc" -o Dir::Etc::Parts="$apt/etc/apt.conf.d" -o Dir::Etc::sourcelist="$apt/etc/sources.list" \
			-o Dir::Etc::sourceparts="$apt/etc/sources.list.d" -o Dir::Etc::preferencesparts="$apt/etc/preferences.d" \
			-o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Dir::Log="$apt/log" \
			-o Debug::NoLocking=1 -o APT::Install-Recommends=0 -o Acquire::Languages=none -o Acquire::Retries=3 \
			-o Acquire::Check-Valid-Until=false -o APT::Sandbox::User= "$@"
	}
	apt_get -o APT::Update::Error-Mode=any update >&2 || return 1 # an old index would be as good as a new one otherwise
	version=$(apt_get -s install asterisk | sed -n 's/^Inst asterisk (\([0-9]*:\)\{0,1\}\([0-9][0-9.]*\).*/\2/p')
	if [ -z "$version" ] || ! new_enough "$version"; then
		say "Debian unstable has version ${version:-none}, which is none that is wanted"
		return 1
	fi
	if [ -x "$cache/debian-$version/run" ]; then
		touch "$cache/debian-$version/run"
		echo "$cache/debian-$version"
		return
	fi
	say "fetching Asterisk $version from Debian unstable, about 82 MB"
	# What a run that was broken off has left: packages may be of other versions by now.
	apt_get autoclean >&2 || return 1
	rm -rf "$cache"/.root.*
	apt_get -y --download-only install asterisk >&2 || return 1
	root=$(mktemp -d "$cache/.root.XXXXXX")
	chmod 755 "$root"
	for package in "$apt"/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$root" || return 1
	done
	rm -rf "$apt/cache/archives" "$cache/debian-$version.root"
	ln -sfn en_US_f_Allison "$root/usr/share/asterisk/sounds/en" # what the package's own script would do
	mv "$root" "$cache/debian-$version.root"
	root=$cache/debian-$version.root
	libraries=$(find "$root/usr/lib" -maxdepth 1 -name '*-linux-gnu*' -type d | head -n 1)
	loader=$(find "$root/usr/lib" "$root/usr/lib64" "$root/lib64" -name 'ld-linux*.so.*' 2>/dev/null | head -n 1)
	[ -n "$loader" ] || {
		say "no loader in what was fetched"
		return 1
	}
	offer "debian-$version" "$libraries/asterisk/modules" "$root/usr/share/asterisk" \
		"$loader" --library-path "$libraries" "$root/usr/sbin/asterisk"
}

cached() {
	latest || return 1
	say "the mirror is away or has nothing new enough; taking $kept"
	echo "$kept"
}

# alone COMMAND: one at a time, so that two runs at once fetch but once; the second finds what the first has left
alone() {
	if command -v flock >/dev/null; then
		exec 9>"$cache/.lock"
		flock 9
		recent && return
	fi
	"$@"
}

[ $# -le 1 ] || {
	echo "usage: $0 [CACHE]" >&2
	exit 2
}
cache=${1:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/telecommune/asterisk}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
found=$(installed || packaged || recent || alone prefixed || cached) || {
	say "no Asterisk could be had: none is installed, the mirror can't be reached, and none was fetched before ($cache)"
	exit 1
}
echo "$found" | tail -n 1
