package asterisk

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// Names in the configuration.
const (
	appName  = "telecommune" // the application that calls are handed to, and the user of ARI
	location = "telecommune" // the context of the dialplan
)

//go:embed conf
var templates embed.FS

// modules are all that Asterisk loads. Those of ARI and PJSIP refuse to load without some that seem to have nothing to do
// with calls: pubsub, websocket_client, recording, snoop.
var modules = strings.Fields(`
	res_timing_timerfd res_sorcery_config res_sorcery_memory res_sorcery_astdb
	res_pjproject res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_sdp_rtp res_pjsip_caller_id res_pjsip_nat
	res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_authenticator_digest
	res_pjsip_outbound_authenticator_digest res_pjsip_outbound_registration res_pjsip_registrar
	res_pjsip_rfc3326 res_pjsip_header_funcs res_pjsip_dtmf_info res_rtp_asterisk
	res_http_websocket res_websocket_client
	res_stasis res_stasis_answer res_stasis_playback res_stasis_recording res_stasis_snoop
	res_ari res_ari_model res_ari_applications res_ari_asterisk res_ari_bridges res_ari_channels res_ari_endpoints
	res_ari_events res_ari_playbacks
	app_stasis app_echo pbx_config chan_pjsip chan_bridge_media
	bridge_simple bridge_softmix bridge_holding bridge_native_rtp
	codec_ulaw codec_alaw codec_a_mu codec_resample format_pcm format_wav format_sln
	func_callerid func_timeout func_channel func_global func_groupcount
	func_talkdetect res_tonedetect
	res_cdrel_custom cel_custom
`)

// empty are files that modules ask for, and complain when they are not there.
var empty = strings.Fields(`acl.conf ccss.conf codecs.conf dnsmgr.conf features.conf pjproject.conf sorcery.conf
	stasis.conf udptl.conf websocket_client.conf`)

// newPrivate makes the folder of an Asterisk that is ours alone, with a complete configuration. Nothing of /etc/asterisk
// is read or written. One that runs on from an earlier run is left alone if its configuration is the very same.
func newPrivate(c Config) (*private, error) {
	if _, err := Version(c.Folder); err != nil {
		return nil, fmt.Errorf("%w; deploy/asterisk/get.sh gets one and prints its folder", err)
	}
	state, err := filepath.Abs(c.State)
	if err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(c.Folder)
	if err != nil {
		return nil, err
	}
	p := &private{conf: c, dir: state, folder: folder, patience: takeTime, up: make(chan struct{})}
	if n := len(filepath.Join(p.dir, "run", "asterisk.ctl")); n > 107 {
		return nil, fmt.Errorf("the path of the state folder %s is too long for a socket", p.dir)
	}
	left, err := running(p.arguments())
	if err != nil {
		return nil, err
	}
	if p.same, err = p.isAsBefore(); err != nil {
		return nil, err
	}
	if len(left) == 0 || !p.same {
		if err := p.makeNew(len(left) > 0); err != nil {
			return nil, err
		}
		p.same = false // whoever is found later was started with what was there before, or with a mixture
	}
	p.recallTransports()
	_, err = p.peers(c.Admission(), c.Trunks())
	return p, err
}

// reachFile is where that is kept, in the folder.
const reachFile = "run/reach.json"

// isAsBefore recalls how the Asterisk of an earlier run is reached, and tells whether all of its configuration but the
// peers would be written the same again.
func (p *private) isAsBefore() (bool, error) {
	kept, err := os.ReadFile(filepath.Join(p.dir, reachFile))
	if err != nil || json.Unmarshal(kept, &p.reach) != nil {
		return false, nil //nolint:nilerr // nothing that could be used is as good as nothing
	}
	want, err := net.ResolveUDPAddr("udp", p.conf.Listen)
	if err != nil {
		return false, fmt.Errorf("listen for SIP on %s: %w", p.conf.Listen, err)
	}
	is, err := netip.ParseAddrPort(p.reach.SIP)
	if err != nil || !is.Addr().IsUnspecified() && is.Addr() != want.AddrPort().Addr().Unmap() ||
		want.Port != 0 && want.Port != int(is.Port()) {
		return false, nil //nolint:nilerr // see above
	}
	files, err := p.files()
	if err != nil {
		return false, nil //nolint:nilerr // see above
	}
	for name, content := range files {
		if there, err := os.ReadFile(filepath.Join(p.dir, "etc", name)); err != nil || !bytes.Equal(there, content) {
			return false, nil //nolint:nilerr // see above
		}
	}
	return true, nil
}

// makeNew writes everything anew. While another Asterisk is there yet, it may have the address that ours will.
func (p *private) makeNew(another bool) error {
	find := freeAddress
	if another {
		find = address
	}
	sip, err := find(p.conf.Listen)
	if err != nil {
		return fmt.Errorf("listen for SIP on %s: %w", p.conf.Listen, err)
	}
	http, err := freeAddress("127.0.0.1:0")
	if err != nil {
		return err
	}
	for _, dir := range []string{"etc", "var", "db", "spool", "run", "log", "keys", "agi", "log/cel-custom"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o700); err != nil {
			return err
		}
	}
	p.reach = reach{HTTP: http.String(), Password: rand.Text(), SIP: sip.String()}
	kept, err := json.Marshal(p.reach)
	if err == nil {
		err = p.write(reachFile, kept)
	}
	files, err2 := p.files()
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	for name, content := range files {
		if err := p.write("etc/"+name, content); err != nil {
			return err
		}
	}
	return nil
}

// files are those of the configuration, but for the peers.
func (p *private) files() (map[string][]byte, error) {
	from, to, ok := strings.Cut(p.conf.RTPPorts, "-")
	if !ok {
		return nil, fmt.Errorf("RTP ports %q: want a range such as 10000-20000", p.conf.RTPPorts)
	}
	http, err := netip.ParseAddrPort(p.reach.HTTP)
	if err != nil {
		return nil, err
	}
	values := map[string]any{
		"App": appName, "Context": location, "Dir": confValue(p.dir), "Folder": confValue(p.folder), "Modules": modules, "Password": p.reach.Password,
		"MaxCalls": overMost(p.conf.MaxCalls), "MaxCPS": p.conf.MaxCPS, "Refused": refusedVariable,
		"HTTP": http, "SIP": p.reach.SIP, "UserAgent": p.conf.UserAgent, "Public": p.conf.Public, "RTPFrom": from, "RTPTo": to,
	}
	all, err := template.ParseFS(templates, "conf/*.conf")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, t := range all.Templates() {
		var b bytes.Buffer
		if err := t.Execute(&b, values); err != nil {
			return nil, err
		}
		files[t.Name()] = b.Bytes()
	}
	for _, name := range empty {
		files[name] = nil
	}
	return files, nil
}

// write puts a file in place, whole. It may bear passwords.
func (p *private) write(name string, content []byte) error {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
