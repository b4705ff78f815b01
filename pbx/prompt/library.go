// Package prompt is what callers hear from us: short texts spoken into clips beforehand, and the grammar by which a
// language puts clips together into prices and times. The call script names what is to be said, never how.
package prompt

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"telecommune/internal/money"
)

// The texts are data: deploy/prompts.sh speaks them, and Check knows by them which clips there must be.
//
//go:embed texts/*.txt
var texts embed.FS

// Library is the clips found in some folders, by language and name. It does not change; safe for use by many calls.
type Library struct {
	Log    *slog.Logger                 // where a clip that is missing is noted, once; nil: nowhere
	clips  map[string]map[string]string // language, name: path
	missed sync.Map                     // names that were asked for in vain, to log each but once
}

// Open looks for clips in folders that have one folder per language, such as en/welcome.wav. A clip in a later folder
// takes the place of one in an earlier. A folder that is not there has no clips; Check tells what is missing.
func Open(dirs ...string) (*Library, error) {
	l := &Library{clips: map[string]map[string]string{}}
	for language := range grammars {
		l.clips[language] = map[string]string{}
		for _, dir := range dirs {
			if err := l.add(language, filepath.Join(dir, language)); err != nil {
				return nil, fmt.Errorf("open prompts: %w", err)
			}
		}
	}
	return l, nil
}

// Check lists the clips that are missing, as `en/welcome`, in order. An empty list: all is there to be heard.
func (l *Library) Check() []string {
	var missing []string
	for language := range grammars {
		for name := range Texts(language) {
			if l.clips[language][name] == "" {
				missing = append(missing, language+"/"+name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// Texts gives the texts of a language by clip name; none for a language that we don't speak.
func Texts(language string) map[string]string {
	read := map[string]string{}
	file, err := texts.Open("texts/" + language + ".txt")
	if err != nil {
		return read
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, text, ok := strings.Cut(lines.Text(), " = "); ok && !strings.HasPrefix(name, "#") {
			read[name] = text
		}
	}
	return read
}

// Languages lists the languages that we speak, by ISO 639 code.
func Languages() []string { return slices.Sorted(maps.Keys(grammars)) }

// Voice gives the voice of a language; English for one that we don't speak.
func (l *Library) Voice(language string) Voice {
	if _, ok := grammars[language]; !ok {
		language = fallback
	}
	return Voice{library: l, language: language}
}

func (l *Library) add(language, dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".wav"); ok {
			l.clips[language][name] = filepath.Join(dir, file.Name())
		}
	}
	return nil
}

// Voice says things in one language. What it returns is played by a leg.
type Voice struct {
	library  *Library
	language string
}

// Say says phrases one after the other.
func (v Voice) Say(phrases ...Phrase) Audio {
	var audio Audio
	for _, p := range phrases {
		audio = append(audio, v.play(string(p))...)
	}
	return audio
}

// Price tells what a minute costs, and what the connection does when fee is not 0.
func (v Voice) Price(perMinute, fee money.Amount, c money.Currency) Audio {
	return v.play(grammars[v.language].price(perMinute, fee, c)...)
}

// TimeToTalk tells how long a call may last: in whole minutes, and in seconds when it is less than one.
func (v Voice) TimeToTalk(seconds int) Audio {
	return v.play(grammars[v.language].timeToTalk(seconds)...)
}

// play finds the clips. One that is missing is left out: a caller should rather miss a word than a call.
func (v Voice) play(names ...string) Audio {
	var audio Audio
	for _, name := range names {
		if path := v.library.clips[v.language][name]; path != "" {
			audio = append(audio, path)
		} else if _, known := v.library.missed.LoadOrStore(v.language+"/"+name, true); !known && v.library.Log != nil {
			v.library.Log.Warn("a prompt is missing and left out", "clip", v.language+"/"+name)
		}
	}
	return audio
}
