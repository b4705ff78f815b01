package tariff

import (
	"strconv"

	"telecommune/internal/e164"
)

// key is a prefix, or a number, as one number that sorts as they do: its digits filled up with zeros to fifteen, and in the
// lowest four bits how many of them it has. Zero is none.
type key uint64

const lengthBits = 4

// tens are the powers of ten: a prefix of n digits stands for tens[MaxDigits-n] numbers.
var tens = func() (t [e164.MaxDigits + 1]uint64) {
	t[0] = 1
	for i := range e164.MaxDigits {
		t[i+1] = 10 * t[i]
	}
	return t
}()

// keyOf reads digits, at most fifteen, up to whatever is none.
func keyOf(digits string) key {
	value, n := uint64(0), 0
	for n < min(len(digits), e164.MaxDigits) {
		digit := uint64(digits[n]) - '0'
		if digit > 9 {
			break
		}
		value = 10*value + digit
		n++
	}
	return key(value*tens[e164.MaxDigits-n]<<lengthBits | uint64(n))
}

func (k key) length() int { return int(k & (1<<lengthBits - 1)) }

func (k key) value() uint64 { return uint64(k >> lengthBits) }

// begins tells whether a number, or a longer prefix, begins with the prefix.
func (k key) begins(number key) bool {
	return k <= number && k.length() <= number.length() && number.value()-k.value() < tens[e164.MaxDigits-k.length()]
}

// String gives the digits of a prefix, which never begins with 0.
func (k key) String() string {
	return strconv.FormatUint(k.value()/tens[e164.MaxDigits-k.length()], 10)
}
