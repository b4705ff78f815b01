package asterisk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"telecommune/pbx"
)

// Whoever connects to an application takes it from the one that has it, calls and all. A newer run of the same node may, and
// the database fences the older one. Another node has no business with these calls: it would hang them up, and
// could not settle them. So who leads writes its name into a global variable of an Asterisk that runs elsewhere, over and
// over; who finds another's name there that is being written keeps away. A name is that of the node and of its books.

const (
	leaderVariable = "TELECOMMUNE_LEADER"
	leads          = 5 * time.Second // that a name is watched; it is written each second
)

var errLed = errors.New("another node leads the calls of this Asterisk")

// mayLead tells why an Asterisk that runs elsewhere is not ours to lead: nil when it is.
func (e *Engine) mayLead(ctx context.Context) error {
	e.mu.Lock()
	led := e.startup != ""
	e.mu.Unlock()
	if e.remote == nil || led {
		return nil
	}
	before, err := e.ari.global(ctx, leaderVariable)
	if err != nil {
		return err
	}
	node := before[:max(strings.LastIndexByte(before, '/'), 0)]
	if node == "" || node == e.conf.Node {
		return nil
	}
	select {
	case <-time.After(leads):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := e.ari.global(ctx, leaderVariable)
	if err != nil || after == before {
		return err
	}
	err = fmt.Errorf("%w: %s", errLed, pbx.Printable(node))
	select {
	case e.led <- err:
	default: // that has been said
	}
	return err
}

// claim writes that we lead.
func (e *Engine) claim(ctx context.Context) error {
	value := e.conf.Node + "/" + strconv.FormatInt(time.Now().UnixMilli(), 10)
	_, err := e.ari.send(ctx, http.MethodPost, "/asterisk/variable?variable="+leaderVariable+"&value="+url.QueryEscape(value), nil, nil)
	return err
}
