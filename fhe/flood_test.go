package fhe_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// flooder runs a circuit that multiplies slots by weights encoded at a scale: a low one makes errors that tell of it.
type flooder struct {
	program   *fhe.Program
	signature *fhe.Signature
	keys      *fhe.EvaluationKeys
	key       *secret.Key
}

const floodModulusBits = 44

func newFlooder(t *testing.T, key *secret.Key, params *fhe.Parameters, weights []float64, plaintext, flood float64, by *circuit.RingSwitch) *flooder {
	c := &circuit.Circuit{Parameters: params.Literal(), Packing: circuit.Slots,
		Inputs: []circuit.Input{{Name: "x", Level: 0, Scale: 1 << 20}},
		Nodes: []circuit.Node{{Name: "weights", In: []int{0}, Scale: plaintext * (1 << 20), Linear: &circuit.Linear{
			Diagonals: []circuit.Diagonal{{Values: circuit.NewVector(weights)}}, Bias: circuit.NewVector([]float64{0})}}},
		Outputs: []circuit.Output{{Name: "y", Value: 1, Period: len(weights), ModulusBits: floodModulusBits, Flood: flood}}, RingSwitch: by,
	}
	f := &flooder{signature: fhe.SignatureOf(c), key: key}
	var err error
	if f.program, err = fhe.NewProgram(t.Context(), c, fhe.NewPool(1)); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(t.Context(), &file, c.Keys(), fhe.ID{}, fhe.NewPool(1), nil); err != nil {
		t.Fatal(err)
	}
	if int64(file.Len()) != fhe.KeysSize(c.Parameters, c.Keys()) {
		t.Fatalf("%d bytes of keys where %d are announced", file.Len(), fhe.KeysSize(c.Parameters, c.Keys()))
	}
	if f.keys, err = fhe.ReadKeys(&file, params, c.Keys(), fhe.ID{}, fhe.NewPool(1)); err != nil {
		t.Fatal(err)
	}
	return f
}

// ask returns a reply to a request, and what it decrypts to.
func (f *flooder) ask(t *testing.T, request []byte) (*fhe.Reply, []float64) {
	inputs, err := fhe.ParseInputs(f.program.Parameters(), f.signature, fhe.ID{}, request)
	if err != nil {
		t.Fatal(err)
	}
	replies, err := f.program.Run(context.Background(), f.keys, inputs)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.key.Decrypt(f.signature, fhe.ID{}, fhe.MarshalReplies(f.signature, fhe.ID{}, replies))
	if err != nil {
		t.Fatal(err)
	}
	return replies[0], out[0]
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func difference(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}

// TestFloodingHidesTheCircuit compares two circuits that compute the same with other errors, as seen by a user who knows
// both and looks at the best statistic there is, the projection of the answer on the difference of their errors.
func TestFloodingHidesTheCircuit(t *testing.T) {
	t.Run("own ring", func(t *testing.T) { testFlooding(t, 12, nil) })
	t.Run("smaller ring", func(t *testing.T) { testFlooding(t, 13, &circuit.RingSwitch{LogN: 12, P: 562949952847873, Digits: 1}) })
}

func testFlooding(t *testing.T, logN int, by *circuit.RingSwitch) {
	const n, runs, flood = 1 << 12, 24, 1 << 28 // n slots are seen
	literal := parameters(t, logN, circuit.ConjugateInvariant, []int{46}, nil)
	params, err := fhe.NewParameters(literal)
	if err != nil {
		t.Fatal(err)
	}
	key, err := secret.GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	weights, x := make([]float64, n), make([]float64, literal.N())
	for i := range weights {
		weights[i] = r.Float64()
	}
	for i := range x {
		x[i] = r.Float64()
	}
	exact, coarse := newFlooder(t, key, params, weights, 1<<16, 0, by), newFlooder(t, key, params, weights, 1<<14, 0, by)
	request, err := key.Encrypt(exact.signature, fhe.ID{}, [][]float64{x})
	if err != nil {
		t.Fatal(err)
	}
	first, plain := exact.ask(t, request)
	again, _ := exact.ask(t, request)
	if !bytes.Equal(words(first.Second), words(again.Second)) {
		t.Fatal("without flooding, two replies to one request differ")
	}
	_, other := coarse.ask(t, request)
	direction := difference(other, plain)
	length := math.Sqrt(dot(direction, direction))

	// A coefficient's deviation, in sums over slots of the circuit with plaintexts at 2^16.
	deviation := flood * math.Sqrt(2*n) / math.Exp2(36) * float64(literal.N()/n)
	statistic := func(scale float64) (projections []float64, seconds [][]uint64) {
		// At the lower scale the same noise takes a lower deviation.
		f := newFlooder(t, key, params, weights, scale, flood*scale/(1<<16), by)
		squares := 0.0
		for range runs {
			reply, y := f.ask(t, request)
			e := difference(y, plain)
			squares += dot(e, e)
			projections = append(projections, dot(e, direction)/length)
			seconds = append(seconds, reply.Second)
		}
		if got := math.Sqrt(squares / (runs * n)); math.Abs(got/deviation-1) > 0.02 {
			t.Errorf("plaintext scale %g: noise of deviation %.4g, want %.4g", scale, got, deviation)
		}
		return projections, seconds
	}
	a, seconds := statistic(1 << 16)
	b, _ := statistic(1 << 14)
	// The projections are normal with that deviation; their means are apart by the length of the direction, far below.
	if length > deviation/4 {
		t.Fatalf("the circuits' errors are %g apart, which noise of %g on each coefficient cannot hide", length, deviation)
	}
	mean := func(list []float64) float64 { return dot(list, ones(len(list))) / float64(len(list)) }
	if apart := math.Abs(mean(a) - mean(b)); apart > length+6*deviation*math.Sqrt(2./runs) {
		t.Errorf("the best statistic tells the circuits apart: means differ by %g, deviation %g", apart, deviation)
	}
	// Without the noise one look is enough.
	if unflooded := dot(difference(other, plain), direction) / length; unflooded < 0.99*length || length == 0 {
		t.Errorf("the statistic sees nothing even without noise: %g of %g", unflooded, length)
	}
	// Second halves of replies to one request are as if drawn anew: their differences are uniform.
	counts, total := make([]float64, 64), 0.0
	for i := 1; i < len(seconds); i++ {
		for k := range seconds[i] {
			counts[(seconds[i][k]-seconds[i-1][k])&(1<<floodModulusBits-1)>>(floodModulusBits-6)]++
			total++
		}
	}
	chi := 0.0
	for _, c := range counts {
		chi += (c - total/64) * (c - total/64) / (total / 64)
	}
	if chi > 63+8*math.Sqrt(2*63) {
		t.Errorf("differences of second halves are not uniform: χ² = %.0f with 63 degrees of freedom", chi)
	}
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func words(v []uint64) []byte {
	b := make([]byte, 0, 8*len(v))
	for _, x := range v {
		b = append(b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
	}
	return b
}
