package sipua

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/zaf/g711"
)

// maxWAV bounds one prompt, about 17 minutes.
const maxWAV = 16 << 20

// cacheBytes bounds what a library of prompts keeps in memory, about 2 hours of speech.
const cacheBytes = 64 << 20

var errWAV = errors.New("not a WAV file of 8 kHz, mono, 16 bit")

// sounds keeps prompts as the codecs need them. A file that changed is read again.
type sounds struct {
	mu    sync.Mutex
	bytes int
	kept  map[soundKey]sound
}

type soundKey struct {
	path  string
	codec codec
}

type sound struct {
	data     []byte // whole frames of G.711
	size     int64  // of the file, to see a change
	modified int64
}

// load gives a file as whole 20 ms frames in c.
func (s *sounds) load(path string, c codec) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	key := soundKey{path, c}
	s.mu.Lock()
	kept, ok := s.kept[key]
	s.mu.Unlock()
	if ok && kept.size == info.Size() && kept.modified == info.ModTime().UnixNano() {
		return kept.data, nil
	}
	data, err := readWAV(path, info, c)
	if err != nil {
		return nil, fmt.Errorf("prompt %s: %w", path, err)
	}
	s.keep(key, sound{data, info.Size(), info.ModTime().UnixNano()})
	return data, nil
}

func (s *sounds) keep(key soundKey, fresh sound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += len(fresh.data) - len(s.kept[key].data)
	s.kept[key] = fresh
	for other, old := range s.kept {
		if s.bytes <= cacheBytes {
			return
		}
		if other != key {
			delete(s.kept, other)
			s.bytes -= len(old.data)
		}
	}
}

func readWAV(path string, info fs.FileInfo, c codec) ([]byte, error) {
	if info.Size() > maxWAV || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("larger than %d MiB or no file: %w", maxWAV>>20, errWAV)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	samples, err := parseWAV(file)
	if err != nil {
		return nil, err
	}
	return encode(samples, c), nil
}

// parseWAV finds the samples in a RIFF file.
func parseWAV(file []byte) (samples []byte, err error) {
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		return nil, errWAV
	}
	right := false
	for chunk := file[12:]; len(chunk) >= 8; {
		name, size := string(chunk[:4]), int(binary.LittleEndian.Uint32(chunk[4:]))
		body := chunk[8:]
		// A writer to a pipe does not know the size and claims the most; take what is there.
		body = body[:min(size, len(body))]
		switch name {
		case "fmt ":
			right = len(body) >= 16 && binary.LittleEndian.Uint16(body) == 1 && binary.LittleEndian.Uint16(body[2:]) == 1 &&
				binary.LittleEndian.Uint32(body[4:]) == 8000 && binary.LittleEndian.Uint16(body[14:]) == 16
		case "data":
			if !right {
				return nil, errWAV
			}
			return body[:len(body)&^1], nil
		}
		chunk = chunk[min(8+size+size&1, len(chunk)):]
	}
	return nil, errWAV
}

// encode turns 16-bit samples into whole frames, the last one filled up with silence.
func encode(samples []byte, c codec) []byte {
	data := make([]byte, 0, (len(samples)/2+frameSamples-1)/frameSamples*frameSamples)
	if c == pcma {
		data = append(data, g711.EncodeAlaw(samples)...)
	} else {
		data = append(data, g711.EncodeUlaw(samples)...)
	}
	for len(data) < cap(data) {
		data = append(data, c.silence())
	}
	return data
}

// silence is the byte of no sound.
func (c codec) silence() byte {
	if c == pcma {
		return 0xD5
	}
	return 0xFF
}
