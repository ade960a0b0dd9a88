package approximation

import (
	"math"
	"testing"
)

// TestMinimaxMeetsKnownErrors compares with errors that are known: for |x| those of Varga and Carpenter (Constructive
// Approximation 1, 1985, table 1.1), for x^n those of Chebyshev's theorem, 2^(1-n), and for eˣ a property: the error
// takes its largest value degree+2 times.
func TestMinimaxMeetsKnownErrors(t *testing.T) {
	for _, test := range []struct {
		name      string
		f         func(float64) float64
		low, high float64
		degree    int
		want      float64
	}{
		{"|x|", math.Abs, -1, 1, 2, 0.125},
		{"|x|", math.Abs, -1, 1, 4, 0.0676209},
		{"|x|", math.Abs, -3, 3, 4, 3 * 0.0676209},
		{"|x|", math.Abs, -1, 1, 20, 0.01398},
		{"x^5", func(x float64) float64 { return math.Pow(x, 5) }, -1, 1, 4, 1. / 16},
		{"x^8", func(x float64) float64 { return math.Pow(x, 8) }, -2, 2, 7, 2},
		{"sqrt", math.Sqrt, 0, 1, 1, 0.125},
		{"relu", func(x float64) float64 { return max(x, 0) }, -1, 1, 4, 0.0676209 / 2},
	} {
		s, largest, err := minimax(test.f, test.low, test.high, test.degree)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(largest/test.want-1) > 1e-3 {
			t.Errorf("%s on [%g, %g], degree %d: error %.6g, want %.6g", test.name, test.low, test.high, test.degree, largest, test.want)
		}
		measured := 0.0
		for i := range 10001 {
			x := test.low + (test.high-test.low)*float64(i)/10000
			measured = max(measured, math.Abs(s.At(x)-test.f(x)))
		}
		if math.Abs(measured/largest-1) > 1e-3 {
			t.Errorf("%s, degree %d: the series is off by %.6g, said to be %.6g", test.name, test.degree, measured, largest)
		}
	}
}

func TestMinimaxEquioscillates(t *testing.T) {
	for degree := 1; degree <= 9; degree++ {
		s, largest, err := minimax(math.Exp, -1, 2, degree)
		if err != nil {
			t.Fatal(err)
		}
		alternations, sign := 0, 0
		for i := range 200001 {
			x := -1 + 3*float64(i)/200000
			d := math.Exp(x) - s.At(x)
			if math.Abs(d) > 0.9999*largest {
				if now := 1 - 2*btoi(d < 0); now != sign {
					alternations, sign = alternations+1, now
				}
			}
		}
		if alternations != degree+2 {
			t.Errorf("degree %d: the error alternates %d times, want %d", degree, alternations, degree+2)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestHighDegreesStaySmall(t *testing.T) {
	for _, degree := range []int{31, 63, 127} {
		s, largest, err := minimax(func(x float64) float64 { return max(x, 0) }, -1, 1, degree)
		if err != nil {
			t.Fatal(err)
		}
		// Bernstein's constant: the error of |x| times the degree tends to 0.2801694990.
		if got := 2 * largest * float64(degree-1); math.Abs(got-0.28) > 0.003 {
			t.Errorf("degree %d: error times degree is %.4f", degree, got)
		}
		for k, c := range s.Coefficients {
			if math.Abs(c) > 0.6 {
				t.Errorf("degree %d: coefficient %d is %g", degree, k, c)
			}
		}
	}
}

func TestSignStages(t *testing.T) {
	for _, test := range []struct {
		degrees []int
		gap     float64
	}{{[]int{7, 7}, 0.05}, {[]int{3, 3, 3}, 0.1}, {[]int{15, 15, 15}, 1. / 256}} {
		stages, largest, err := signStages(test.degrees, test.gap)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2001 {
			x := test.gap + (1-test.gap)*float64(i)/2000
			y, z := x, -x
			for k, s := range stages {
				if math.Abs(y) > 1+1e-9 {
					t.Fatalf("%v: stage %d gets %g", test.degrees, k, y)
				}
				y, z = s.At(y), s.At(z)
			}
			if math.Abs(y-1) > largest*1.0001+1e-12 || math.Abs(y+z) > 1e-12 {
				t.Fatalf("%v at %g: %g and %g, error said to be %g", test.degrees, x, y, z, largest)
			}
		}
		if largest > 0.1 {
			t.Errorf("%v with a gap of %g leaves %g", test.degrees, test.gap, largest)
		}
	}
}
