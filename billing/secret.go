package billing

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
)

const (
	minKey        = 16 // bytes
	pinDigits     = 12
	voucherDigits = 14 // and a check digit
)

// secret is the key in the state folder. A PIN or voucher is a number short enough to try out, so the database keeps
// only HMACs that are worth nothing without the key.
type secret []byte

// mac gives HMAC-SHA-256 of what is known as purpose, so that no PIN is ever a voucher.
func (k secret) mac(purpose, value string) ([]byte, error) {
	if len(k) < minKey {
		return nil, ErrKey
	}
	h := hmac.New(sha256.New, k)
	h.Write([]byte(purpose + "\x00" + value))
	return h.Sum(nil), nil
}

// fingerprint tells keys apart without giving anything of them away.
func (k secret) fingerprint() ([]byte, error) { return k.mac("fingerprint", "") }

// voucher gives the voucher number that belongs to a name: unguessable without the secret, and always the same.
func (k secret) voucher(name string) (string, error) {
	sum, err := k.mac("voucher number", name)
	if err != nil {
		return "", err
	}
	n := new(big.Int).SetBytes(sum)
	n.Mod(n, pow10(voucherDigits))
	digits := fmt.Sprintf("%0*d", voucherDigits, n)
	return digits + string('0'+damm(digits)), nil
}

// numberTries is how many numbers a voucher may have, in turn, should others have them. Of 10^14 numbers there are.
const numberTries = 8

// numbers are those of the vouchers that are issued under an idempotency key: when the issue is repeated they are the
// same, and of each it is known by its HMAC which one was taken.
type numbers struct {
	secret secret
	key    string
}

// candidate gives the number that the voucher of a serial has at a try, and its HMAC.
func (n numbers) candidate(serial, try int) (number string, mac []byte, err error) {
	name := n.key
	if serial > 1 || try > 0 {
		name = fmt.Sprintf("%s\x00%d\x00%d", n.key, serial, try)
	}
	if number, err = n.secret.voucher(name); err != nil {
		return "", nil, err
	}
	mac, err = n.secret.mac("voucher", number)
	return number, mac, err
}

// of gives the number of a voucher, in groups.
func (n numbers) of(serial int, mac []byte) (string, error) {
	for try := range numberTries {
		number, its, err := n.candidate(serial, try)
		if err != nil {
			return "", err
		}
		if hmac.Equal(its, mac) {
			return FormatVoucher(number), nil
		}
	}
	return "", ErrWrongKey
}

// newPIN gives twelve random digits.
func newPIN() (string, error) {
	n, err := rand.Int(rand.Reader, pow10(pinDigits))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*d", pinDigits, n), nil
}

func pow10(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// FormatVoucher writes a voucher number in groups, as people read it.
func FormatVoucher(number string) string {
	var groups []string
	for len(number) > 5 {
		groups, number = append(groups, number[:5]), number[5:]
	}
	return strings.Join(append(groups, number), " ")
}

// parseVoucher reads a voucher number as typed, with or without spaces and dashes, or ErrVoucherNumber.
func parseVoucher(typed string) (string, error) {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(typed)
	if len(digits) != voucherDigits+1 || strings.Trim(digits, "0123456789") != "" || damm(digits) != 0 {
		return "", ErrVoucherNumber
	}
	return digits, nil
}

// damm gives the check digit of a string of digits, or 0 for one that ends with its check digit: the quasigroup of order
// 10 by H. Michael Damm (Total anti-symmetrische Quasigruppen, Marburg 2004). It finds every single wrong digit and
// every swap of neighbours; Luhn's formula misses 09 for 90.
func damm(digits string) byte {
	const quasigroup = "0317598642" + "7092154863" + "4206871359" + "1750983426" + "6123045978" +
		"3674209581" + "5869720134" + "8945362017" + "9438617205" + "2581436790"
	interim := byte(0)
	for _, d := range []byte(digits) {
		interim = quasigroup[10*interim+d-'0'] - '0'
	}
	return interim
}
