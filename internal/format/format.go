// Package format writes sizes, times, shares and small numbers the way people read them: three significant digits and a
// unit. Everything that the project prints goes through it, so that a figure looks the same in a terminal, a report and
// a benchmark.
package format

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// missing stands for a figure that is not a number.
const missing = "–"

// Bytes writes a size in decimal units: "812 B", "3.21 MB".
func Bytes(n float64) string {
	return scaled(n, []unit{{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}})
}

// Duration writes a time: "24.6 ms", "1.34 s", "3.2 min".
func Duration(d time.Duration) string { return Seconds(d.Seconds()) }

// Seconds writes a time given in seconds.
func Seconds(s float64) string {
	switch {
	case s == 0:
		return "0 s"
	case math.Abs(s) >= 2*3600:
		return scaled(s, []unit{{3600, "h"}})
	case math.Abs(s) >= 120:
		return scaled(s, []unit{{60, "min"}})
	default:
		return scaled(s, []unit{{1e-9, "ns"}, {1e-6, "µs"}, {1e-3, "ms"}, {1, "s"}})
	}
}

// Share writes a fraction as a percentage with two decimals: "98.61 %".
func Share(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return missing
	}
	return strconv.FormatFloat(100*f, 'f', 2, 64) + " %"
}

// Text makes a text from elsewhere safe to show on one line: control characters (terminal escapes among them), bytes
// that are not UTF-8 and marks that reorder text become the replacement character.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0xfffe || r == 0xffff {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Integer writes a whole number with its thousands apart: "3,214,112".
func Integer(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Number writes a real number with three significant digits, as a power of ten where it is very small or large:
// "0.0125", "3.1×10⁻⁵".
func Number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return missing
	}
	if a := math.Abs(x); a == 0 || a >= 1e-3 && a < 1e5 {
		return significant(x)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', 2, 64), "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	n, _ := strconv.Atoi(exponent) // FormatFloat's own digits
	power := Power(10, n)
	switch mantissa {
	case "1":
		return power
	case "-1":
		return "-" + power
	}
	return mantissa + "×" + power
}

// Power writes a power: "2¹³".
func Power(base, exponent int) string {
	return strconv.Itoa(base) + superscript.Replace(strconv.Itoa(exponent))
}

var superscript = strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶",
	"7", "⁷", "8", "⁸", "9", "⁹")

type unit struct {
	size float64
	name string
}

// scaled writes x in the largest unit of which it has at least one after rounding.
func scaled(x float64, units []unit) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return missing
	}
	u := units[0]
	for _, larger := range units[1:] {
		if math.Abs(x) >= 0.9995*larger.size {
			u = larger
		}
	}
	return significant(x/u.size) + " " + u.name
}

// significant writes x with three significant digits, but never fewer than all digits of its whole part.
func significant(x float64) string {
	if x == 0 { // also where it has a sign
		return "0"
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(x)*1.0005)))
	s := strconv.FormatFloat(x, 'f', max(decimals, 0), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
