package cluster

import (
	"context"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 10 * time.Second
)

// Run watches over the started server until ctx ends or Stop is called, and starts it again when it dies. Pauses grow
// from 100 ms to 10 s, so that a full disk is tried again and again until there is room.
func (c *Cluster) Run(ctx context.Context) error {
	pause := firstPause
	for {
		c.mu.Lock()
		s := c.server
		c.mu.Unlock()
		since := time.Now()
		if s == nil {
			return errStopped
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.done:
		}
		if c.isStopped() {
			return nil
		}
		c.config.Log.Error("PostgreSQL died; starting it again", "error", s.err, "log", s.log.last())
		if time.Since(since) > longPause {
			pause = firstPause
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			pause = min(2*pause, longPause)
			err := c.Start(ctx)
			if err == nil {
				c.config.Log.Info("PostgreSQL is back")
				break
			}
			if ctx.Err() != nil || c.isStopped() {
				return nil
			}
			c.config.Log.Error("PostgreSQL does not start; trying again", "error", err, "pause", pause)
		}
	}
}

func (c *Cluster) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}
