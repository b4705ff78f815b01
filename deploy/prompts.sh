#!/bin/sh
# Speaks the texts of pbx/prompt/texts into clips for the telephone: OUTDIR/LANGUAGE/NAME.wav, 8 kHz, mono, 16 bit.
# Only texts that changed since the last time are spoken again. Two runs at once do no harm.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTDIR" >&2
	exit 2
fi
for tool in espeak-ng sox; do
	if ! command -v "$tool" >/dev/null; then
		echo "$0: $tool is missing. On Debian: apt-get install espeak-ng sox" >&2
		exit 1
	fi
done
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../pbx/prompt/texts"

# The worker takes a folder and pairs of NAME and TEXT. A clip has hardly any silence at its ends, so that clips in a
# row sound like a sentence; it is a little slower than talk, as loud as it may be, and has only what a telephone
# carries. Beside it lies what it was made of. It is put in place whole, before that, so that a run cut short is made
# good by the next.
speak='
set -eu
folder=$1 language=${1##*/}
shift
while [ $# -ge 2 ]; do
	clip=$folder/$1 new=$folder/.$1.$$ recipe="v1 $2"
	if [ ! -s "$clip.wav" ] || [ "$(cat "$clip.txt" 2>/dev/null)" != "$recipe" ]; then
		case $2 in *[.?!]) pause=0.3 ;; *) pause=0.06 ;; esac
		espeak-ng -v "$language" -s 150 -w "$new.raw.wav" -- "$2"
		sox -q -D --norm=-3 "$new.raw.wav" -r 8000 -c 1 -b 16 "$new.wav" highpass 200 lowpass 3400 \
			silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse pad 0 $pause
		printf "%s\n" "$recipe" >"$new.txt"
		mv "$new.wav" "$clip.wav"
		mv "$new.txt" "$clip.txt"
		rm "$new.raw.wav"
	fi
	shift 2
done'

for texts in *.txt; do
	folder=$out/${texts%.txt}
	mkdir -p "$folder"
	sed -n 's/^\([a-z0-9-][a-z0-9-]*\) = \(.*\)$/\1\n\2/p' "$texts" |
		xargs -d '\n' -n 16 -P "$(nproc)" sh -c "$speak" speak "$folder"
done
