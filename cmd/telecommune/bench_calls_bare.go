package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"telecommune/internal/ports"
	"telecommune/pbx/asterisk"
)

var loopback = net.IPv4(127, 0, 0, 1)

// bareModules are what a call needs that Asterisk answers, dials and joins by its dialplan alone.
var bareModules = strings.Fields(`res_timing_timerfd res_sorcery_config res_sorcery_memory res_sorcery_astdb res_pjproject res_pjsip
	res_pjsip_session res_pjsip_pubsub res_pjsip_sdp_rtp res_pjsip_caller_id res_pjsip_nat res_pjsip_endpoint_identifier_ip
	res_pjsip_rfc3326 res_rtp_asterisk pbx_config chan_pjsip app_dial bridge_simple bridge_native_rtp codec_alaw codec_ulaw
	format_pcm`)

// bareConf are the files of an Asterisk whose dialplan is Dial() to the carrier. What it has in common with that of our
// engine is set as there.
var bareConf = map[string]string{
	"asterisk.conf": `[directories]
astetcdir => {{.State}}
astmoddir => {{.Folder}}/modules
astdatadir => {{.Folder}}/data
astvarlibdir => {{.State}}
astcachedir => {{.State}}
astdbdir => {{.State}}
astkeydir => {{.State}}
astagidir => {{.State}}
astspooldir => {{.State}}
astrundir => {{.State}}
astlogdir => {{.State}}
[options]
nocolor = yes
maxfiles = 100000
hideconnect = yes
`,
	"modules.conf": "[modules]\nautoload = no\n{{range .Modules}}load = {{.}}.so\n{{end}}",
	"logger.conf":  "[logfiles]\nmessages => warning,error\n",
	"cdr.conf":     "[general]\nenable = no\n",
	"cel.conf":     "[general]\nenable = no\n",
	"rtp.conf":     "[general]\nrtpstart = 33000\nrtpend = 60000\nstrictrtp = yes\nicesupport = no\n",
	"pjsip.conf": `[udp]
type = transport
protocol = udp
bind = 127.0.0.1:{{.Port}}

[ours](!)
type = endpoint
disallow = all
allow = alaw,ulaw
direct_media = no
send_connected_line = no
rtp_timeout = 30
rtp_symmetric = yes
rewrite_contact = yes
timers = yes

[phones](ours)
context = bare
aors = phones
trust_id_inbound = yes
identify_by = ip

[phones]
type = aor

[phones]
type = identify
endpoint = phones
match = {{.Phones}}

[carrier](ours)
aors = carrier

[carrier]
type = aor
contact = sip:{{.Carrier}}
`,
	"extensions.conf": "[bare]\nexten => _X.,1,Dial(PJSIP/${EXTEN}@carrier)\n",
}

// startBare starts it and waits until it takes calls.
func (b *callsBench) startBare(ctx context.Context, state string) (*callsWay, error) {
	if version, err := asterisk.Version(b.asterisk); err != nil {
		return nil, fmt.Errorf("%w (%s gets one)", err, getAsterisk)
	} else {
		b.tell("Asterisk %s", version)
	}
	port, err := ports.Free(loopback, 1)
	if err != nil {
		return nil, err
	}
	values := map[string]any{
		"State": state, "Folder": b.asterisk, "Modules": bareModules, "Port": port, "Phones": exchangeIP, "Carrier": b.carrier.Addr(),
	}
	for name, text := range bareConf {
		var file bytes.Buffer
		if err := template.Must(template.New(name).Parse(text)).Execute(&file, values); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(state, name), file.Bytes(), 0o600); err != nil {
			return nil, err
		}
	}
	conf := filepath.Join(state, "asterisk.conf")
	run := filepath.Join(b.asterisk, "run")
	process, err := startChild(exec.Command(run, "-C", conf, "-f"))
	if err != nil {
		return nil, err
	}
	w := &callsWay{name: bareWay, number: benchFriend.Digits(), asterisk: process.cmd.Process.Pid}
	w.end = func() error {
		closePhones(w.phones)
		return process.stop()
	}
	if err = booted(ctx, process, run, conf); err == nil {
		w.phones, err = b.newPhones(ctx, fmt.Sprintf("127.0.0.1:%d", port))
	}
	if err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// booted waits until an Asterisk has loaded all.
func booted(ctx context.Context, p *child, run, conf string) error {
	ctx, cancel := context.WithTimeout(ctx, benchReady)
	defer cancel()
	for {
		if exec.CommandContext(ctx, run, "-C", conf, "-rx", "core waitfullybooted").Run() == nil {
			return nil
		}
		select {
		case <-p.over:
			return fmt.Errorf("it ended; see its messages in %s", filepath.Dir(conf))
		case <-ctx.Done():
			return errors.New("it takes no calls")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
