package prompt

// Audio is something to be heard: absolute paths of WAV files (8 kHz, mono, 16 bit) played one after the other.
type Audio []string
