package circuit

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// example is x ↦ (M·x + b)², folded, with every operation that lives in slots.
func example(t testing.TB) *Circuit {
	t.Helper()
	p, err := NewParameters(12, ConjugateInvariant, []int{30, 24, 24}, []int{27})
	if err != nil {
		t.Fatal(err)
	}
	n := p.Slots()
	ramp := make([]float64, n)
	for j := range ramp {
		ramp[j] = float64(j % 7)
	}
	c := &Circuit{
		Name: "example", Parameters: p, Packing: Slots,
		Inputs: []Input{{Name: "x", Level: 2, Scale: math.Exp2(24)}},
		Nodes: []Node{
			{Name: "dense", In: []int{0}, Level: 2, Rescale: 1, Scale: math.Exp2(22), Linear: &Linear{
				Babies: []Rotation{{1, 0}, {3, 1}}, Giants: []Rotation{{8, 0}},
				Diagonals: []Diagonal{
					{0, 0, NewVector(ramp)},
					{3, 0, Vector{Period: 2, Values: []float64{1, 2}}},
					{1, 8, Vector{Period: n, Index: []uint32{5, 9}, Values: []float64{-1, 4}}},
				},
				Bias: Vector{Period: 1, Values: []float64{0.5}},
			}},
			{Name: "square", In: []int{1, 1}, Level: 1, Multiply: &Multiply{}, Scale: math.Exp2(44)},
			{Name: "square", In: []int{2}, Level: 1, Rescale: 1, Scale: math.Exp2(20), Combine: &Combine{Factors: []float64{2}, Constant: -1}},
			{Name: "sum", In: []int{3}, Level: 0, Scale: math.Exp2(20), Fold: &Fold{Steps: []int{1, -2}}},
		},
		Outputs: []Output{{Name: "score", Value: 4, Period: 4, ModulusBits: 24}},
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRunFollowsTheDefinition(t *testing.T) {
	c := example(t)
	n := c.Parameters.Slots()
	x := make([]float64, n)
	r := rand.New(rand.NewPCG(1, 2))
	for j := range x {
		x[j] = r.NormFloat64()
	}
	at := func(j int) float64 { return x[mod(j, n)] }
	y := make([]float64, n)
	for j := range y {
		y[j] = float64(j%7)*at(j) + []float64{1, 2}[j%2]*at(j+3) + 0.5
		switch mod(j+8, n) { // the giant step moves what was multiplied at slot 5 to slot 5-8
		case 5:
			y[j] -= at(j + 9)
		case 9:
			y[j] += 4 * at(j+9)
		}
		y[j] = 2*y[j]*y[j] - 1
	}
	want := make([]float64, 4)
	for j := range y {
		once := func(j int) float64 { return y[mod(j, n)] + y[mod(j+1, n)] }
		want[j%4] += once(j) + once(j-2)
	}
	got, err := c.Run(x)
	if err != nil {
		t.Fatal(err)
	}
	for r := range want {
		if math.Abs(got[0][r]-want[r]) > 1e-9*math.Abs(want[r]) {
			t.Errorf("class %d: %g, want %g", r, got[0][r], want[r])
		}
	}
}

func TestDotIsANegacyclicProduct(t *testing.T) {
	p, err := NewParameters(12, Standard, []int{40}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := p.Slots()
	c := &Circuit{
		Name: "dot", Parameters: p, Packing: Coefficients,
		Inputs: []Input{{Name: "x", Level: 0, Scale: math.Exp2(15)}},
		Nodes: []Node{{Name: "dot", In: []int{0}, Scale: math.Exp2(30), Dot: &Dot{
			Weights: Vector{Period: n, Index: []uint32{0, 2}, Values: []float64{3, -5}},
			Bias:    Vector{Period: n, Index: []uint32{1}, Values: []float64{7}},
		}}},
		Outputs: []Output{{Value: 1, Coefficients: []int{0, 1, 2}, ModulusBits: 32}},
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	x := make([]float64, n)
	x[0], x[1], x[2], x[n-2], x[n-1] = 1, 10, 100, 1000, 10000
	got, err := c.Run(x)
	if err != nil {
		t.Fatal(err)
	}
	// X^n = -1: the weight at X^2 carries the last two coefficients round with their sign changed.
	if want := []float64{3 + 5000, 30 + 50000 + 7, 300 - 5}; !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %v, want %v", got[0], want)
	}
	if keys := c.Keys(); keys.Count() != 0 {
		t.Errorf("a dot needs %d keys, want none", keys.Count())
	}
}

func TestKeysAreThoseUsedAtTheirHighestLevel(t *testing.T) {
	c := example(t)
	n := c.Parameters.Slots()
	want := KeySet{Relinearisation: 1, Rotations: []RotationKey{{1, 2}, {2, 2}, {8, 2}, {n - 2, 0}}}
	if got := c.Keys(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	c := example(t)
	structure, weights, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(structure, weights)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, c) {
		t.Errorf("decoded circuit differs:\n%s\n%s", back, c)
	}
	for _, bad := range []struct {
		name               string
		structure, weights []byte
	}{
		{"short weights", structure, weights[:len(weights)-1]},
		{"long weights", structure, append(weights[:len(weights):len(weights)], 0)},
		{"unknown field", append([]byte(`{"extra":1,`), structure[1:]...), weights},
		{"text behind", append(structure[:len(structure):len(structure)], 'x'), weights},
	} {
		if _, err := Decode(bad.structure, bad.weights); err == nil {
			t.Errorf("%s: accepted", bad.name)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, test := range []struct {
		want  string
		spoil func(*Circuit)
	}{
		{"security", func(c *Circuit) {
			c.Parameters, _ = NewParameters(12, ConjugateInvariant, []int{30, 24, 24}, []int{49})
		}},
		{"does not go with", func(c *Circuit) { c.Packing = Coefficients }},
		{"at level", func(c *Circuit) { c.Inputs[0].Level = 1 }},
		{"out of range", func(c *Circuit) { c.Inputs[0].Scale = 0 }},
		{"before the node", func(c *Circuit) { c.Nodes[0].In = []int{1} }},
		{"0 operations", func(c *Circuit) { c.Nodes[1].Multiply = nil }},
		{"2 operations", func(c *Circuit) { c.Nodes[1].Combine = &Combine{Factors: []float64{1, 1}} }},
		{"not that of the product", func(c *Circuit) { c.Nodes[1].Scale *= 2 }},
		{"no diagonal", func(c *Circuit) { c.Nodes[0].Linear.Diagonals = nil }},
		{"no rotation", func(c *Circuit) { c.Nodes[0].Linear.Babies = nil }},
		{"out of order", func(c *Circuit) { c.Nodes[0].Linear.Babies[0].From = 5 }},
		{"no rotation", func(c *Circuit) { c.Nodes[3].Fold.Steps[0] = c.Parameters.Slots() }},
		{"keeps its one operand's scale", func(c *Circuit) { c.Nodes[3].Scale *= 2 }},
		{"special prime", func(c *Circuit) { c.Parameters.P = nil }},
		{"does not divide", func(c *Circuit) { c.Outputs[0].Period = 3 }},
		{"at level 1: want 0", func(c *Circuit) { c.Outputs[0].Value = 2 }},
		{"reply modulus", func(c *Circuit) { c.Outputs[0].ModulusBits = 31 }},
		{"not finite", func(c *Circuit) { c.Nodes[2].Combine.Constant = math.Inf(1) }},
	} {
		c := example(t)
		test.spoil(c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("want an error about %q, got %v", test.want, err)
		}
	}
}

func TestParametersStayUnderTheSecurityTable(t *testing.T) {
	if _, err := NewParameters(13, ConjugateInvariant, []int{45, 45, 45}, []int{45, 45}); !errors.Is(err, ErrInsecure) {
		t.Errorf("225 bits at 2^13: %v, want ErrInsecure", err)
	}
	p, err := NewParameters(13, ConjugateInvariant, []int{45, 30, 30}, []int{35, 35, 35})
	if err != nil {
		t.Fatal(err)
	}
	for level, want := range []struct{ special, digits int }{{1, 1}, {2, 1}, {3, 1}} {
		if p.SpecialPrimes(level) != want.special || p.Digits(level) != want.digits {
			t.Errorf("level %d: %d special primes, %d digits, want %+v", level, p.SpecialPrimes(level), p.Digits(level), want)
		}
	}
	p.P = p.P[:2]
	if p.Digits(2) != 2 || p.Digits(1) != 1 {
		t.Errorf("digits with two special primes: %d and %d, want 2 and 1", p.Digits(2), p.Digits(1))
	}
}

func TestNewVectorIsCompact(t *testing.T) {
	full := make([]float64, 64)
	if v := NewVector(full); len(v.Values) != 0 {
		t.Errorf("zero vector takes %d values", len(v.Values))
	}
	full[3], full[60] = 1, 2
	if v := NewVector(full); len(v.Values) != 2 || !reflect.DeepEqual(v.Full(64), full) {
		t.Errorf("sparse vector: %+v", v)
	}
	full[35], full[28] = 1, 2
	if v := NewVector(full); len(v.Values) != 2 || v.Period != 32 || !reflect.DeepEqual(v.Full(64), full) {
		t.Errorf("sparse periodic vector: %+v", v)
	}
	for j := range full {
		full[j] = float64(j%4) + 1
	}
	if v := NewVector(full); len(v.Values) != 4 || v.Index != nil || !reflect.DeepEqual(v.Full(64), full) {
		t.Errorf("periodic vector: %+v", v)
	}
}

func FuzzDecode(f *testing.F) {
	structure, weights, err := example(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(structure, weights)
	c := example(f)
	c.Outputs[0].Period = 1
	c.RingSwitch = &RingSwitch{LogN: 11, P: 40961, Digits: 3}
	switched, weights, err := c.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(switched, weights)
	f.Add([]byte(`{"nodes":[{"linear":{"diagonals":[{"values":{"period":65536}}]}}]}`), []byte{})
	f.Fuzz(func(t *testing.T, structure, weights []byte) {
		c, err := Decode(structure, weights)
		if err != nil {
			return
		}
		if _, _, err := c.Encode(); err != nil {
			t.Errorf("decoded but cannot be encoded: %v", err)
		}
	})
}

func TestRingSwitchIsValidated(t *testing.T) {
	good := func() *Circuit {
		c := example(t)
		c.RingSwitch = &RingSwitch{LogN: 11, P: 2056193, Digits: 2}
		return c
	}
	for name, test := range map[string]struct {
		change func(c *Circuit)
		want   string
	}{
		"good":           {func(*Circuit) {}, ""},
		"wide period":    {func(c *Circuit) { c.Outputs[0].Period = 4096 }, "period 4096 is above"},
		"insecure":       {func(c *Circuit) { c.RingSwitch.P = 16760833 }, ErrInsecure.Error()},
		"larger ring":    {func(c *Circuit) { c.RingSwitch.LogN = 12 }, "ring degree 2^12"},
		"negative":       {func(c *Circuit) { c.RingSwitch.LogN = -1 }, "ring degree 2^-1"},
		"no prime":       {func(c *Circuit) { c.RingSwitch.P = 0 }, "0 bits"},
		"not for slots":  {func(c *Circuit) { c.Packing, c.Parameters.Ring = Coefficients, Standard }, "packing"},
		"too many parts": {func(c *Circuit) { c.RingSwitch.Digits = 100 }, "100 digits"},
	} {
		c := good()
		test.change(c)
		var err error
		if name == "not for slots" {
			err = c.validateRingSwitch()
		} else {
			err = c.Validate()
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if set := good().Keys(); set.RingSwitch == nil || set.Count() != example(t).Keys().Count()+1 {
		t.Errorf("keys %+v", set)
	}
}
