package prompt

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTextsHaveEveryPhrase(t *testing.T) {
	for _, language := range Languages() {
		texts := Texts(language)
		for _, p := range phrases {
			if texts[string(p)] == "" {
				t.Errorf("%s has no text for %q", language, p)
			}
		}
		for name, text := range texts {
			if strings.ContainsAny(text, "<>\t") || len(text) > 120 || strings.TrimSpace(text) != text {
				t.Errorf("%s/%s: %q is nothing to speak", language, name, text)
			}
		}
	}
}

func TestLaterFolderOverrides(t *testing.T) {
	ours, own := t.TempDir(), t.TempDir()
	put(t, ours, "en/welcome.wav", "en/goodbye.wav", "en/notes.txt")
	put(t, own, "en/goodbye.wav")
	library, err := Open(ours, own, filepath.Join(own, "absent"))
	if err != nil {
		t.Fatal(err)
	}
	got := library.Voice("en").Say(Welcome, Goodbye)
	want := Audio{filepath.Join(ours, "en/welcome.wav"), filepath.Join(own, "en/goodbye.wav")}
	if !slices.Equal(got, want) {
		t.Errorf("Say = %v, want %v", got, want)
	}
}

func TestMissingClipIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "en/you-can-talk-for.wav", "en/minutes.wav")
	library, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Audio{filepath.Join(dir, "en/you-can-talk-for.wav"), filepath.Join(dir, "en/minutes.wav")}
	if got := library.Voice("en").TimeToTalk(720); !slices.Equal(got, want) {
		t.Errorf("TimeToTalk = %v, want %v", got, want)
	}
	if missing := library.Check(); !slices.Contains(missing, "en/12") || slices.Contains(missing, "en/minutes") {
		t.Errorf("Check = %v", missing)
	}
}

func TestUnknownLanguageIsEnglish(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "en/welcome.wav")
	library, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := library.Voice("xx").Say(Welcome); len(got) != 1 {
		t.Errorf("Say = %v, want the English clip", got)
	}
}

// The script of deploy makes every clip that the texts ask for, in the form that engines play, and none is silent.
func TestSpokenPrompts(t *testing.T) {
	for _, tool := range []string{"espeak-ng", "sox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s, which is not installed", tool)
		}
	}
	dir := t.TempDir()
	speak := func() {
		if out, err := exec.Command("../../deploy/prompts.sh", dir).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("prompts.sh: %v\n%s", err, out)
		}
	}
	speak()
	library, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if missing := library.Check(); len(missing) > 0 {
		t.Errorf("missing: %v", missing)
	}
	for name, path := range library.clips["en"] {
		wav, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if problem := listen(wav); problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
	}

	// What did not change is not spoken again; what is damaged or has another text is.
	kept, changed := filepath.Join(dir, "en/0.wav"), filepath.Join(dir, "en/1.wav")
	put(t, dir, "en/0.wav", "en/1.wav", "en/1.txt")
	speak()
	if wav, _ := os.ReadFile(kept); len(wav) > 10 {
		t.Errorf("%s was spoken again", kept)
	}
	if wav, _ := os.ReadFile(changed); len(wav) < 1000 {
		t.Errorf("%s was not spoken again", changed)
	}
}

// listen tells what is wrong with a clip: a canonical WAV header, 8 kHz, mono, 16 bit, is followed by samples.
func listen(wav []byte) string {
	const header = "\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
	if len(wav) < 44 || string(wav[:4]) != "RIFF" || string(wav[20:36]) != header {
		return "not a WAV of 8 kHz, mono, 16 bit"
	}
	loudest := 0
	for i := 44; i+1 < len(wav); i += 2 {
		loudest = max(loudest, int(int16(uint16(wav[i])|uint16(wav[i+1])<<8)))
	}
	switch seconds := float64(len(wav)-44) / 16000; {
	case seconds < 0.2 || seconds > 8:
		return "too short or too long"
	case loudest < 8000:
		return "too quiet"
	}
	return ""
}

func put(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
