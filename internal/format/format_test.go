package format

import (
	"math"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Number(math.Copysign(0, -1)), "0"},
		{Bytes(0), "0 B"},
		{Bytes(812), "812 B"},
		{Bytes(999.6), "1 kB"},
		{Bytes(1000), "1 kB"},
		{Bytes(3_214_112), "3.21 MB"},
		{Bytes(71_984_000), "72 MB"},
		{Bytes(99_960_000), "100 MB"},
		{Bytes(5e15), "5000 TB"},
		{Duration(0), "0 s"},
		{Duration(24_600 * time.Microsecond), "24.6 ms"},
		{Duration(850 * time.Nanosecond), "850 ns"},
		{Duration(1340 * time.Millisecond), "1.34 s"},
		{Duration(119 * time.Second), "119 s"},
		{Duration(192 * time.Second), "3.2 min"},
		{Duration(3 * time.Hour), "3 h"},
		{Seconds(math.NaN()), "–"},
		{Share(0.98611), "98.61 %"},
		{Share(1), "100.00 %"},
		{Share(math.NaN()), "–"},
		{Integer(0), "0"},
		{Integer(999), "999"},
		{Integer(3_214_112), "3,214,112"},
		{Integer(-1000), "-1,000"},
		{Number(0), "0"},
		{Number(0.0125), "0.0125"},
		{Number(-12.345), "-12.3"},
		{Number(31415.9), "31416"},
		{Number(3.1e-5), "3.1×10⁻⁵"},
		{Number(1e-10), "10⁻¹⁰"},
		{Number(-1e-10), "-10⁻¹⁰"},
		{Number(2.5e12), "2.5×10¹²"},
		{Number(math.Inf(1)), "–"},
		{Power(2, 13), "2¹³"},
		{Text("naïve 8×8 😀"), "naïve 8×8 😀"},
		{Text("a\x1b[31m\n\x00\xff\u202eb"), "a�[31m����b"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
