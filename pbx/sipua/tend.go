package sipua

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/routing"
)

// nobody is told nothing.
type nobody struct{}

func (nobody) Registered(string, string) {}
func (nobody) Probing(string)            {}
func (nobody) Probed(string, string)     {}

// trunksInterval is how soon a changed trunk is seen.
const trunksInterval = 2 * time.Second

// binding is what a registration, or probes, depend on; what else changes in a trunk leaves them alone.
type binding struct {
	code, address, transport, ca, name, user, password string
	every                                              int
}

func bindingOf(t routing.Trunk) binding {
	return binding{code: t.Code, address: t.Address, transport: t.Transport, ca: t.TLSCA, name: t.TLSName}
}

// tended is one trunk in somebody's care.
type tended struct {
	binding
	stop  context.CancelFunc
	ended chan struct{}
}

// tend keeps one run of care going for each trunk that wants it, until ctx ends. That of a trunk that was changed is over
// before the new one begins: the other way round the end of an old registration would take the new one away.
func (e *Engine) tend(ctx context.Context, wants func(routing.Trunk) (binding, bool), care func(context.Context, routing.Trunk)) {
	running := map[string]*tended{} // by code of the trunk
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		wanted := map[string]routing.Trunk{}
		for _, t := range e.conf.Trunks() {
			if _, ok := wants(t); ok {
				wanted[t.Code] = t
			}
		}
		var ending <-chan struct{} // one is enough: what else is to be done follows
		for code, r := range running {
			t, ok := wanted[code]
			if now, _ := wants(t); ok && now == r.binding {
				continue
			}
			r.stop()
			select {
			case <-r.ended:
				delete(running, code)
			default:
				ending = r.ended
			}
		}
		for code, t := range wanted {
			if running[code] != nil {
				continue
			}
			one, stop := context.WithCancel(ctx)
			b, _ := wants(t)
			r := &tended{b, stop, make(chan struct{})}
			running[code] = r
			wait.Go(func() {
				defer close(r.ended)
				defer func() {
					if cause := recover(); cause != nil {
						e.panicked(nil, cause)
					}
				}()
				care(one, t)
			})
		}
		select {
		case <-time.After(trunksInterval):
		case <-ending:
		case <-ctx.Done():
			for _, r := range running {
				r.stop()
			}
			return
		}
	}
}

// plain is an error of the network without what the library says around it.
func plain(err error) error {
	if network := (*net.OpError)(nil); errors.As(err, &network) {
		return network
	}
	return err
}

// dialogName is what a request outside of a dialog is known by.
type dialogName struct {
	id, tag string
	seq     uint32
}

// request builds a request to a server itself, for a user there.
func (e *Engine) request(ctx context.Context, method sip.RequestMethod, at server, user string, name dialogName) (*sip.Request, error) {
	if err := e.secure(ctx, at); err != nil {
		return nil, err
	}
	ours, err := e.towards(at.addr.Addr())
	if err != nil {
		return nil, err
	}
	target := at.uri("")
	target.UriParams = nil
	req := sip.NewRequest(method, target)
	e.route(req, at.transport, at.addr.String(), ours)
	whom := sip.Uri{Scheme: "sip", User: user, Host: target.Host}
	req.AppendHeader(&sip.FromHeader{Address: whom, Params: sip.HeaderParams{{K: "tag", V: name.tag}}})
	req.AppendHeader(&sip.ToHeader{Address: whom})
	id := sip.CallIDHeader(name.id)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: name.seq, MethodName: method})
	req.AppendHeader(e.contact(at.transport, ours))
	e.sign(req)
	return req, nil
}
