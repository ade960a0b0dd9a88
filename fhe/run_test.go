package fhe_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

var modelID = fhe.ID{1, 2, 3}

// party is a user with keys for a circuit, and a server with the circuit's program.
type party struct {
	circuit *circuit.Circuit
	program *fhe.Program
	pool    *fhe.Pool
	secret  *secret.Key
	keys    *fhe.EvaluationKeys
	crowd   sync.Mutex // for who occupies several workers
}

func newParty(t testing.TB, c *circuit.Circuit) *party {
	t.Helper()
	return newPartyWith(t, c, c.Keys(), fhe.NewPool(runtime.GOMAXPROCS(0)))
}

func newPartyWith(t testing.TB, c *circuit.Circuit, set circuit.KeySet, pool *fhe.Pool) *party {
	t.Helper()
	ctx := context.Background()
	program, err := fhe.NewProgram(ctx, c, pool)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{circuit: c, program: program, pool: pool}
	if p.secret, err = secret.GenerateKey(program.Parameters()); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := p.secret.WriteEvaluationKeys(ctx, &file, set, fhe.ID{9}, pool, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := int64(file.Len()), fhe.KeysSize(c.Parameters, set); got != want {
		t.Fatalf("key file of %d bytes, KeysSize says %d", got, want)
	}
	if p.keys, err = fhe.ReadKeys(&file, program.Parameters(), set, fhe.ID{9}, pool); err != nil {
		t.Fatal(err)
	}
	return p
}

// ask goes the whole way from vectors to answers, all on the wire.
func (p *party) ask(t testing.TB, vectors ...[]float64) [][]float64 {
	t.Helper()
	s := p.program.Signature()
	request, err := p.secret.Encrypt(s, modelID, vectors)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(request)) != s.InputSize() {
		t.Fatalf("request of %d bytes, InputSize says %d", len(request), s.InputSize())
	}
	inputs, err := fhe.ParseInputs(p.program.Parameters(), s, modelID, request)
	if err != nil {
		t.Fatal(err)
	}
	reply := p.run(t, inputs)
	flooded := slices.ContainsFunc(p.circuit.Outputs, func(out circuit.Output) bool { return out.Flood > 0 })
	if !flooded && !bytes.Equal(p.runAlone(t, inputs), reply) {
		t.Fatal("another reply where each worker has a request of its own")
	}
	if int64(len(reply)) != s.ReplySize() {
		t.Fatalf("reply of %d bytes, ReplySize says %d", len(reply), s.ReplySize())
	}
	answers, err := p.secret.Decrypt(s, modelID, reply)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func (p *party) run(t testing.TB, inputs []*fhe.Ciphertext) []byte {
	t.Helper()
	replies, err := p.program.Run(context.Background(), p.keys, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return fhe.MarshalReplies(p.program.Signature(), modelID, replies)
}

// runAlone is run while all other workers are occupied.
func (p *party) runAlone(t testing.TB, inputs []*fhe.Ciphertext) []byte {
	t.Helper()
	p.crowd.Lock()
	defer p.crowd.Unlock()
	for range p.pool.Workers() - 1 {
		if err := p.pool.Enter(context.Background()); err != nil {
			t.Fatal(err)
		}
		defer p.pool.Leave()
	}
	return p.run(t, inputs)
}

// checkAgainstFloat compares encrypted answers with the float interpreter's. The tolerance is for a slot or
// coefficient, or for the mean of a class of slots.
func (p *party) checkAgainstFloat(t testing.TB, tolerance float64, vectors ...[]float64) {
	t.Helper()
	want, err := p.circuit.Run(vectors...)
	if err != nil {
		t.Fatal(err)
	}
	got := p.ask(t, vectors...)
	for i := range want {
		worst := 0.0
		for j := range want[i] {
			worst = max(worst, math.Abs(got[i][j]-want[i][j]))
		}
		if period := p.circuit.Outputs[i].Period; period > 0 {
			worst /= float64(p.circuit.Parameters.N() / period)
		}
		if !(worst <= tolerance) {
			t.Fatalf("output %d: off by %g, tolerance %g (first values %g, want %g)", i, worst, tolerance, got[i][0], want[i][0])
		}
	}
}

func uniform(rng *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 2*rng.Float64() - 1
	}
	return v
}

func parameters(t testing.TB, logN int, ring circuit.Ring, q, p []int) circuit.Parameters {
	t.Helper()
	params, err := circuit.NewParameters(logN, ring, q, p)
	if err != nil {
		t.Fatal(err)
	}
	return params
}

func TestRunAllOperations(t *testing.T) {
	params := parameters(t, 13, circuit.ConjugateInvariant, []int{45, 40, 40, 40}, []int{49})
	n := params.N()
	rng := rand.New(rand.NewPCG(1, 1))
	scale := math.Exp2(40)
	linear := &circuit.Linear{
		Babies: []circuit.Rotation{{Shift: 1}, {Shift: 2}, {Shift: 5, From: 2}},
		Giants: []circuit.Rotation{{Shift: 64}, {Shift: 128, From: 64}, {Shift: 700}},
		Bias:   circuit.NewVector(uniform(rng, n)),
	}
	for _, baby := range []int{0, 1, 2, 5} {
		for _, giant := range []int{0, 64, 128, 700} {
			linear.Diagonals = append(linear.Diagonals, circuit.Diagonal{Baby: baby, Giant: giant, Values: circuit.NewVector(uniform(rng, n))})
		}
	}
	c := &circuit.Circuit{
		Parameters: params, Packing: circuit.Slots,
		Inputs: []circuit.Input{{Level: 3, Scale: scale}},
		Nodes: []circuit.Node{
			{Name: "linear", In: []int{0}, Level: 3, Rescale: 1, Scale: scale, Linear: linear},
			{Name: "fold", In: []int{1}, Level: 2, Scale: scale, Fold: &circuit.Fold{Steps: []int{1, 4096}}},
			{Name: "square", In: []int{2, 2}, Level: 2, Rescale: 1, Scale: scale * scale / float64(params.Q[2]), Multiply: &circuit.Multiply{}},
			{Name: "product", In: []int{3, 0}, Level: 1, Rescale: 1, Scale: scale * scale / float64(params.Q[2]) * scale / float64(params.Q[1]), Multiply: &circuit.Multiply{}},
			{Name: "combine", In: []int{4, 2}, Level: 0, Scale: math.Exp2(41), Combine: &circuit.Combine{Factors: []float64{2, -1}, Constant: 0.25}},
		},
		Outputs: []circuit.Output{{Value: 5, Period: n, ModulusBits: 44}, {Value: 5, Period: 8, ModulusBits: 44}},
	}
	p := newParty(t, c)
	p.checkAgainstFloat(t, 1e-3, uniform(rng, n))
}
