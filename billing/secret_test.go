package billing

import (
	"errors"
	"strings"
	"testing"
)

var testKey = secret("a secret of thirty-two bytes ....")

// Damm's check digit finds every single wrong digit and every swap of neighbours.
func TestCheckDigit(t *testing.T) {
	if got := damm("572"); got != 4 { // the example that is commonly given
		t.Errorf("check digit of 572 is %d", got)
	}
	for _, key := range []string{"a", "b", "c"} {
		number, err := testKey.voucher(key)
		if err != nil || len(number) != 15 {
			t.Fatalf("%q, %v", number, err)
		}
		if got, err := parseVoucher(FormatVoucher(number)); err != nil || got != number {
			t.Errorf("%q, %v; want %q", got, err, number)
		}
		for i := range len(number) {
			for d := byte('0'); d <= '9'; d++ {
				wrong := number[:i] + string(d) + number[i+1:]
				if _, err := parseVoucher(wrong); (err == nil) != (wrong == number) {
					t.Errorf("%s for %s: %v", wrong, number, err)
				}
			}
			if i > 0 {
				swapped := number[:i-1] + number[i:i+1] + number[i-1:i] + number[i+1:]
				if _, err := parseVoucher(swapped); (err == nil) != (swapped == number) {
					t.Errorf("%s for %s: %v", swapped, number, err)
				}
			}
		}
	}
}

func TestParseVoucher(t *testing.T) {
	number, err := testKey.voucher("k")
	if err != nil {
		t.Fatal(err)
	}
	for typed, ok := range map[string]bool{
		number: true, FormatVoucher(number): true, strings.ReplaceAll(FormatVoucher(number), " ", "-"): true,
		"": false, number + "0": false, number[1:]: false, "x" + number[1:]: false, strings.Repeat("9", 10_000): false,
	} {
		if _, err := parseVoucher(typed); (err == nil) != ok || !ok && !errors.Is(err, ErrVoucherNumber) {
			t.Errorf("%.40q: %v", typed, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	one, _ := testKey.mac("PIN", "123456789012")
	other, _ := testKey.mac("voucher", "123456789012")
	if string(one) == string(other) {
		t.Error("a PIN and a voucher of the same digits have one HMAC")
	}
	again, _ := testKey.voucher("k")
	if number, _ := testKey.voucher("k"); number != again {
		t.Error("a repeated key gives another voucher")
	}
	if number, _ := secret("another secret of 32 bytes ......").voucher("k"); number == again {
		t.Error("the voucher number does not depend on the secret")
	}
	if _, err := secret("short").mac("PIN", "1"); !errors.Is(err, ErrKey) {
		t.Errorf("a short key: %v", err)
	}
	seen := map[string]bool{}
	for range 100 {
		pin, err := newPIN()
		if err != nil || len(pin) != 12 || strings.Trim(pin, "0123456789") != "" || seen[pin] {
			t.Fatalf("PIN %q, %v", pin, err)
		}
		seen[pin] = true
	}
}
