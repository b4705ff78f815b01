// Package prompttest makes clips for tests, so that no speech is needed.
package prompttest

import (
	"os"
	"path/filepath"
	"testing"

	"telecommune/pbx/prompt"
)

// Folder makes a folder in which each text of every language is this clip.
func Folder(t testing.TB, wav []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, language := range prompt.Languages() {
		if err := os.Mkdir(filepath.Join(dir, language), 0o700); err != nil {
			t.Fatal(err)
		}
		for name := range prompt.Texts(language) {
			if err := os.WriteFile(filepath.Join(dir, language, name+".wav"), wav, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// Library is one in which there is every clip, though none can be played.
func Library(t testing.TB) *prompt.Library {
	t.Helper()
	library, err := prompt.Open(Folder(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	return library
}
