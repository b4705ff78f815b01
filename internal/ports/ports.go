// Package ports finds ports for programs that bind them by themselves, a moment later.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// The ports that are given lie above those of media and below those that Linux hands out to whoever asks for none
// (net.ipv4.ip_local_port_range). So nobody who does not name one takes it in between.
const (
	first = 20_001
	last  = 32_767
)

// next counts what was given: one after the other, from anywhere, so that none is given again soon, and other processes
// are elsewhere.
var next atomic.Uint32

func init() { next.Store(rand.Uint32N(last - first)) }

// ErrNone is returned by Free when there are not so many.
var ErrNone = errors.New("no port is free")

// Free gives the first of n ports in a row that are free on ip for both UDP and TCP.
func Free(ip net.IP, n int) (int, error) {
	for range last - first {
		at := first + int((next.Add(uint32(n))-uint32(n))%(last-first))
		if at+n > last {
			continue
		}
		free := true
		for port := at; port < at+n && free; port++ {
			free = Try(ip, port) == nil
		}
		if free {
			return at, nil
		}
	}
	return 0, ErrNone
}

// Try binds a port for both UDP and TCP, and lets go of it. The error is why that can't be done.
func Try(ip net.IP, port int) error {
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port})
	if err != nil {
		return err
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err == nil {
		err = udp.Close()
	}
	return errors.Join(err, tcp.Close())
}
