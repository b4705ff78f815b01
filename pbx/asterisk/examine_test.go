package asterisk

import "testing"

func TestSoundVersion(t *testing.T) {
	for text, sound := range map[string]bool{
		"22.10.1+dfsg+~cs6.17.60671434-1": true, "22.10.0": false, "22.11": true, "20.20.1": true, "20.9.9": false, "18.26.1": false,
		"23.4.1": true, "23.4": false, "24.0.0": true, "GIT-master-ab12cd": false, "": false, "certified-20.7-cert2": false,
		"999999999999999999999.1": false,
	} {
		if soundVersion(text) != sound {
			t.Errorf("%q: want %t", text, sound)
		}
	}
}
