package e164

import "strings"

// twoDigitCodes are the country codes of two digits; those of zones 1 and 7 have one, all others three (ITU-T E.164
// Annex, list of assigned country codes).
const twoDigitCodes = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58" +
	" 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 "

// CountryCode gives the country code that digits, without plus sign, begin with; "" when they are too few to tell.
func CountryCode(digits string) string {
	switch {
	case digits == "":
		return ""
	case digits[0] == '1' || digits[0] == '7':
		return digits[:1]
	case len(digits) >= 2 && strings.Contains(twoDigitCodes, " "+digits[:2]+" "):
		return digits[:2]
	case len(digits) >= 3:
		return digits[:3]
	}
	return ""
}
