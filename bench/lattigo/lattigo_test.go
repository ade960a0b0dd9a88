package lattigo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/internal/testmodel"
)

func uniform(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 2*rng.Float64() - 1
	}
	return x
}

// everything uses every operation that lives in slots, with linear maps of all shapes.
func everything(t *testing.T, rng *rand.Rand, qBits, pBits []int) *circuit.Circuit {
	t.Helper()
	p, err := circuit.NewParameters(13, circuit.ConjugateInvariant, qBits, pBits)
	if err != nil {
		t.Fatal(err)
	}
	n, top, scale := p.Slots(), p.MaxLevel(), math.Exp2(30)
	small := func(period int) circuit.Vector {
		v := uniform(rng, period)
		for i := range v {
			v[i] *= 0.1
		}
		return circuit.Vector{Period: period, Values: v}
	}
	chains := &circuit.Linear{
		Babies: []circuit.Rotation{{Shift: 1}, {Shift: 2, From: 1}, {Shift: 3, From: 2}}, Giants: []circuit.Rotation{{Shift: 4}, {Shift: 8, From: 4}},
		Bias: small(n),
	}
	for _, giant := range []int{0, 4, 8} {
		for _, baby := range []int{0, 1, 2, 3} {
			chains.Diagonals = append(chains.Diagonals, circuit.Diagonal{Baby: baby, Giant: giant, Values: small(64)})
		}
	}
	meeting := &circuit.Linear{ // two diagonals of the circuit that are one of the matrix, and one that wraps around
		Babies: []circuit.Rotation{{Shift: 5}, {Shift: n - 1}}, Giants: []circuit.Rotation{{Shift: 5}},
		Diagonals: []circuit.Diagonal{{Baby: 5, Values: small(n)}, {Giant: 5, Values: small(n)}, {Baby: n - 1, Giant: 5, Values: small(8)}},
	}
	single := &circuit.Linear{Diagonals: []circuit.Diagonal{{Values: small(32)}}}
	c := &circuit.Circuit{
		Parameters: p, Packing: circuit.Slots,
		Inputs: []circuit.Input{{Level: top, Scale: scale}, {Level: top - 1, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: top, Rescale: 1, Scale: scale, Linear: chains},
			{In: []int{1}, Level: top - 1, Scale: scale, Fold: &circuit.Fold{Steps: []int{1, 16}}},
			{In: []int{2, 3}, Level: top - 1, Scale: scale * scale, Multiply: &circuit.Multiply{}},
			{In: []int{2, 3}, Level: top - 1, Scale: scale * scale, Combine: &circuit.Combine{Factors: []float64{0.5, -0.25}, Constant: 0.125}},
			{In: []int{4, 5}, Level: top - 1, Rescale: 1, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1, 1}, Constant: -0.5}},
			{In: []int{6}, Level: 1, Rescale: 1, Scale: scale, Linear: meeting},
			{In: []int{6}, Level: 1, Rescale: 1, Scale: scale, Linear: single},
			{In: []int{7}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}, Constant: 1}},
		},
		Outputs: []circuit.Output{{Value: 9, Period: n, ModulusBits: 39}, {Value: 8, Period: 16, ModulusBits: 39}},
	}
	return c
}

func dot(t *testing.T, rng *rand.Rand) *circuit.Circuit {
	t.Helper()
	p, err := circuit.NewParameters(12, circuit.Standard, []int{49, 40}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := p.Slots()
	c := &circuit.Circuit{
		Parameters: p, Packing: circuit.Coefficients,
		Inputs: []circuit.Input{{Level: 1, Scale: math.Exp2(30)}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: 1, Rescale: 1, Scale: math.Exp2(25), Dot: &circuit.Dot{
				Weights: circuit.Vector{Period: n, Index: []uint32{0, 3, 900}, Values: []float64{0.5, -0.25, 1}}, Bias: circuit.Vector{Period: n, Values: uniform(rng, n)}}},
			{In: []int{1}, Level: 0, Scale: math.Exp2(25), Combine: &circuit.Combine{Factors: []float64{1}, Constant: 0.75}},
		},
		Outputs: []circuit.Output{{Value: 2, Coefficients: []int{0, 1, 5, n - 1}, ModulusBits: 40}},
	}
	return c
}

// TestAgreesWithTheInterpreter runs circuits on one thread and on three.
func TestAgreesWithTheInterpreter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	network := testmodel.Small(t).Circuit
	for _, test := range []struct {
		name      string
		circuit   *circuit.Circuit
		tolerance float64
	}{
		{"one special prime", everything(t, rng, []int{45, 35, 35, 35}, []int{45}), 1e-3},
		{"two special primes", everything(t, rng, []int{40, 34, 34, 34}, []int{36, 36}), 1e-3},
		{"coefficients", dot(t, rng), 1e-4},
		{"network", network, 1e-2},
	} {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d threads", test.name, threads), func(t *testing.T) {
				program, err := NewProgram(test.circuit, threads)
				if err != nil {
					t.Fatal(err)
				}
				session := program.NewSession()
				vectors := make([][]float64, len(test.circuit.Inputs))
				for i := range vectors {
					vectors[i] = uniform(rng, test.circuit.Parameters.Slots())
				}
				want, err := test.circuit.Run(vectors...)
				if err != nil {
					t.Fatal(err)
				}
				inputs, err := session.Encrypt(vectors)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // the first run must not have changed the inputs
					outputs, err := session.Run(inputs)
					if err != nil {
						t.Fatal(err)
					}
					got, err := session.Decrypt(outputs)
					if err != nil {
						t.Fatal(err)
					}
					worst, largest := 0.0, 0.0
					for i := range want {
						if len(got[i]) != len(want[i]) {
							t.Fatalf("output %d has %d values: want %d", i, len(got[i]), len(want[i]))
						}
						for k := range want[i] {
							worst, largest = max(worst, math.Abs(got[i][k]-want[i][k])), max(largest, math.Abs(want[i][k]))
						}
					}
					if worst > test.tolerance*largest || largest == 0 {
						t.Errorf("off by %g from values up to %g", worst, largest)
					}
				}
			})
		}
	}
}

func TestRefusesWhatIsNotACircuit(t *testing.T) {
	if _, err := NewProgram(&circuit.Circuit{}, 1); err == nil {
		t.Error("accepted a circuit without parameters")
	}
}
