package asterisktest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fetch is get.sh with an apt of ours: of the mirror's packages, the real dpkg-deb makes and unpacks them.
type fetch struct {
	t             *testing.T
	bin           string // the tools that are not the system's
	mirror, cache string
	asterisk      string // $ASTERISK
}

func newFetch(t *testing.T) *fetch {
	t.Helper()
	dir := t.TempDir()
	f := &fetch{
		t: t, bin: filepath.Join(dir, "bin"), mirror: filepath.Join(dir, "mirror"), cache: filepath.Join(dir, "it's a cache"), asterisk: "/nowhere",
	}
	f.write(filepath.Join(f.bin, "apt-cache"), "#!/bin/sh\n")
	f.write(filepath.Join(f.bin, "apt-get"), `#!/bin/sh
for word; do
	case $word in Dir::Cache=*) archives=${word#*=}/archives ;; esac
done
case "$*" in
*indextargets*) echo 'http://mirror.invalid/debian/ main' ;;
*update) # as apt does: a mirror that is away is an error only if that is said
	case "$(ls -d '`+f.mirror+`' 2>/dev/null) $*" in
	/*) cp '`+f.mirror+`'/version "$archives/../index" ;;
	*Error-Mode=any*) exit 100 ;;
	esac
	;;
*autoclean) for deb in "$archives"/*.deb; do [ -e '`+f.mirror+`'/"${deb##*/}" ] || rm -f "$deb"; done ;;
*--download-only*) cp '`+f.mirror+`'/*.deb "$archives" ;;
*-s*install*) cat "$archives/../index" ;;
esac
`)
	return f
}

func (f *fetch) write(name, content string) {
	f.t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(content), 0o755) //nolint:gosec // programs
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// offer has the mirror offer a version, and gives its package. What is run from it says so when asked for its version.
func (f *fetch) offer(version string) (deb string) {
	f.t.Helper()
	if err := os.RemoveAll(f.mirror); err != nil {
		f.t.Fatal(err)
	}
	f.write(filepath.Join(f.mirror, "version"), "Inst asterisk (1:"+version+"+dfsg Debian:unstable [amd64])\n")
	return f.pack(f.mirror, version)
}

func (f *fetch) pack(folder, version string) (deb string) {
	f.t.Helper()
	tree := f.t.TempDir()
	f.write(filepath.Join(tree, "DEBIAN/control"),
		"Package: asterisk\nVersion: 1:"+version+"\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: none\n")
	f.write(filepath.Join(tree, "usr/lib64/ld-linux-test.so.2"), "#!/bin/sh\nshift 2\nexec sh \"$@\"\n")
	f.write(filepath.Join(tree, "usr/sbin/asterisk"), "echo 'Asterisk "+version+"'\n")
	f.write(filepath.Join(tree, "usr/lib/test-linux-gnu/asterisk/modules/res_ari.so"), "")
	f.write(filepath.Join(tree, "usr/share/asterisk/sounds/en_US_f_Allison/x"), "")
	deb = filepath.Join(folder, "asterisk_"+version+"_all.deb")
	f.write(deb, "")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", tree, deb).CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
	return deb
}

// run gives what get.sh prints, and whether it succeeds.
func (f *fetch) run() (folder string, ok bool) {
	f.t.Helper()
	_, here, _, _ := runtime.Caller(0)
	script := exec.Command(filepath.Join(filepath.Dir(here), "../../../deploy/asterisk/get.sh"), f.cache)
	script.Env = append(os.Environ(), "PATH="+f.bin+":/usr/bin:/bin", "ASTERISK="+f.asterisk)
	var said bytes.Buffer
	script.Stderr = &said
	out, err := script.Output()
	f.t.Logf("%s", said.String())
	return strings.TrimSpace(string(out)), err == nil
}

// want runs get.sh, which has to give an Asterisk of that version; "" is none.
func (f *fetch) want(version string) (folder string) {
	f.t.Helper()
	folder, ok := f.run()
	if !ok && version == "" {
		return ""
	}
	said, err := exec.Command(filepath.Join(folder, "run"), "-V").Output()
	if !ok || err != nil || strings.TrimSpace(string(said)) != "Asterisk "+version {
		f.t.Errorf("%q, %t is an Asterisk that says %q, %v; want version %q", folder, ok, said, err, version)
	}
	return folder
}

// age makes what is in the cache a month old.
func (f *fetch) age(folder string) {
	f.t.Helper()
	then := time.Now().AddDate(0, -1, 0)
	if err := os.Chtimes(filepath.Join(folder, "run"), then, then); err != nil {
		f.t.Fatal(err)
	}
}

// TestCacheAndMirror: what was fetched serves for a week, then the mirror is asked; when that is away it serves on, but is
// not taken for the newest; one with known holes never serves.
func TestCacheAndMirror(t *testing.T) {
	f := newFetch(t)
	f.want("") // neither
	f.offer("22.10.1")
	folder := f.want("22.10.1")
	f.offer("22.11.0")
	f.want("22.10.1")
	f.age(folder)
	if err := os.RemoveAll(f.mirror); err != nil {
		t.Fatal(err)
	}
	f.want("22.10.1")
	f.offer("22.11.0")
	newer := f.want("22.11.0")
	if newer == folder {
		t.Errorf("both are in %s", folder)
	}

	f = newFetch(t)
	f.write(filepath.Join(f.cache, "debian-22.9.0/run"), "#!/bin/sh\necho Asterisk 22.9.0\n")
	f.want("")
	f.offer("22.9.1")
	f.want("")
}

// TestFetchBrokenOff: what a run has left that was ended in the middle, packages of older versions among it, does no harm
// to the next and is cleared away.
func TestFetchBrokenOff(t *testing.T) {
	f := newFetch(t)
	f.offer("22.10.1")
	f.pack(filepath.Join(f.cache, "apt/cache/archives"), "22.9.0") // is unpacked behind the other, by its name
	half := filepath.Join(f.cache, ".root.abcdef")
	f.write(filepath.Join(half, "usr/sbin/asterisk"), "")
	f.want("22.10.1")
	if _, err := os.Stat(half); err == nil {
		t.Errorf("%s is there yet", half)
	}
}

// TestFetchedDoesNotRun: what does not run is not given, nor kept for later.
func TestFetchedDoesNotRun(t *testing.T) {
	f := newFetch(t)
	deb := f.offer("22.10.1")
	f.pack(f.mirror, "0.1")
	if err := os.Rename(filepath.Join(f.mirror, "asterisk_0.1_all.deb"), deb); err != nil {
		t.Fatal(err)
	}
	f.want("")
	f.want("")
}

// TestInstalledElsewhere: the modules are those of the Asterisk that is named; what is given stays as it is while it is
// the same, for somebody may run it.
func TestInstalledElsewhere(t *testing.T) {
	f := newFetch(t)
	prefix := filepath.Join(t.TempDir(), "op't asterisk")
	f.asterisk = filepath.Join(prefix, "sbin/asterisk")
	f.write(f.asterisk, "#!/bin/sh\necho Asterisk 22.10.2\n")
	f.write(filepath.Join(prefix, "lib/asterisk/modules/res_ari.so"), "")
	f.write(filepath.Join(prefix, "var/lib/asterisk/documentation/x"), "")
	folder := f.want("22.10.2")
	if at, err := os.Readlink(filepath.Join(folder, "modules")); err != nil || at != filepath.Join(prefix, "lib/asterisk/modules") {
		t.Errorf("modules of %s, %v", at, err)
	}
	before, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	f.want("22.10.2")
	if after, err := os.Stat(folder); err != nil || !os.SameFile(before, after) {
		t.Errorf("the folder is another, %v", err)
	}
}
