package ports

import (
	"net"
	"testing"
)

func TestFree(t *testing.T) {
	ip := net.IPv4(127, 0, 0, 1)
	given := map[int]bool{}
	for range 300 {
		at, err := Free(ip, 4)
		if err != nil {
			t.Fatal(err)
		}
		for port := at; port < at+4; port++ {
			if given[port] {
				t.Fatalf("port %d is given twice", port)
			}
			given[port] = true
		}
	}
}

// A port that is taken for one transport is passed over, alone or in a row.
func TestTakenPortsArePassedOver(t *testing.T) {
	ip := net.IPv4(127, 0, 0, 1)
	at, err := Free(ip, 3)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: at + 1})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	next.Store(uint32(at - first))
	if got, err := Free(ip, 3); err != nil || got <= at {
		t.Errorf("%d %v, though %d is taken", got, err, at+1)
	}
	next.Store(uint32(at + 1 - first))
	if got, err := Free(ip, 1); err != nil || got == at+1 {
		t.Errorf("%d %v, which is taken", got, err)
	}
}
