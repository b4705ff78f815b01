package asterisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

var (
	errNotAnswered = errors.New("the leg is not answered")
	errPlayback    = errors.New("not played by Asterisk")
	errLost        = errors.New("the connection to Asterisk was lost meanwhile")
	errBridged     = errors.New("the leg is bridged already")
	errForeign     = errors.New("a leg of another engine")
)

// play plays audio to its end, or to the first digit that comes from until, which it then returns.
func (l *leg) play(ctx context.Context, audio prompt.Audio, until <-chan byte) (digit byte, pressed bool, err error) {
	select {
	case l.stage <- struct{}{}:
		defer func() { <-l.stage }()
	case <-ctx.Done():
		return 0, false, l.ended(ctx)
	case <-l.done:
		return 0, false, pbx.ErrEnded
	}
	if err := l.alive(ctx); err != nil {
		return 0, false, err
	}
	if l.AnsweredAt().IsZero() {
		return 0, false, errNotAnswered
	}
	select {
	case d := <-until:
		return d, true, nil
	default:
	}
	if len(audio) == 0 {
		return 0, false, nil
	}
	media, err := sounds(audio)
	if err != nil {
		return 0, false, err
	}
	id := uuid.NewString()
	over, restored := l.playing(id)
	defer l.forgetPlay(id)
	if err := l.asked(ctx, l.e.ari.play(ctx, l.id, id, media)); err != nil {
		return 0, false, err
	}
	select {
	case err := <-over:
		return 0, false, err
	case d := <-until:
		l.stop(id)
		return d, true, nil
	case <-restored:
		return 0, false, errLost
	case <-ctx.Done():
		l.stop(id)
		return 0, false, l.ended(ctx)
	case <-l.done:
		return 0, false, pbx.ErrEnded
	}
}

// stop ends a playback, which may have come to its end by itself meanwhile.
func (l *leg) stop(id string) {
	ctx, cancel := context.WithTimeout(l.ctx, answerTime)
	defer cancel()
	if err := l.e.ari.stopPlay(ctx, id); err != nil {
		l.e.log.Debug("playback not stopped", "leg", l.id, "err", err)
	}
}

// playing notes a playback that begins.
func (l *leg) playing(id string) (over <-chan error, restored <-chan struct{}) {
	finished := make(chan error, 1)
	l.mu.Lock()
	l.plays[id] = finished
	l.mu.Unlock()
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	return finished, l.e.restored
}

func (l *leg) forgetPlay(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.plays, id)
}

// played takes the end of a playback.
func (l *leg) played(p playback) {
	l.mu.Lock()
	defer l.mu.Unlock()
	over, ok := l.plays[p.ID]
	if !ok {
		return
	}
	delete(l.plays, p.ID)
	if p.State == "failed" {
		over <- errPlayback
		return
	}
	over <- nil
}

// sounds names clips as Asterisk wants them: without the ending, by which it chooses the format.
func sounds(audio prompt.Audio) ([]string, error) {
	media := make([]string, 0, len(audio))
	for _, path := range audio {
		name, ok := strings.CutSuffix(path, ".wav")
		if !ok || !filepath.IsAbs(path) {
			return nil, fmt.Errorf("prompt %s: not the absolute path of a WAV file", path)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("prompt: %w", err)
		}
		media = append(media, "sound:"+name)
	}
	return media, nil
}

// Echo implements pbx.Leg. Asterisk's echo is a place of its dialplan: the leg is joined with a channel that waits there.
func (l *leg) Echo(ctx context.Context) error {
	if err := l.alive(ctx); err != nil {
		return err
	}
	echo := newLeg(l.e, uuid.NewString())
	echo.out = true
	mirror := "Local/echo@" + location + "-echo/n"
	if err := l.place(ctx, echo, mirror, nil); err != nil {
		return l.asked(ctx, err)
	}
	defer echo.Hangup(pbx.NormalClearing)
	if err := l.e.ari.dial(ctx, echo.id, answerTime); err != nil {
		return l.asked(ctx, err)
	}
	select {
	case <-ctx.Done():
		return l.ended(ctx)
	case <-l.done:
		return pbx.ErrEnded
	case <-echo.done:
		return errPlayback
	}
}
