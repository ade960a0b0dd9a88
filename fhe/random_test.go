package fhe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
)

// randomCircuit returns a circuit of random operations that keep values below about one, from the top level down to 0.
func randomCircuit(rng *rand.Rand, params circuit.Parameters, scale float64, modulusBits int) *circuit.Circuit {
	n, top := params.N(), params.MaxLevel()
	c := &circuit.Circuit{Parameters: params, Packing: circuit.Slots}
	for i := range 1 + rng.IntN(2) {
		c.Inputs = append(c.Inputs, circuit.Input{Name: fmt.Sprint(i), Level: top, Scale: scale})
	}
	last := func() int { return c.Values() - 1 }
	any := func() int { return rng.IntN(c.Values()) }
	vector := func(size float64) circuit.Vector {
		full := make([]float64, n)
		switch rng.IntN(3) {
		case 0: // dense
			for j := range full {
				full[j] = (2*rng.Float64() - 1) * size
			}
		case 1: // periodic
			period := 1 << rng.IntN(8)
			for j := range full {
				if j < period {
					full[j] = (2*rng.Float64() - 1) * size
				} else {
					full[j] = full[j-period]
				}
			}
		default: // sparse
			for range 5 {
				full[rng.IntN(n)] = (2*rng.Float64() - 1) * size
			}
		}
		return circuit.NewVector(full)
	}
	rotations := func(stride int) (list []circuit.Rotation) {
		shifts := []int{0}
		for k := range rng.IntN(4) {
			shift := 1 + (k*stride+rng.IntN(stride))%(n-1)
			list = append(list, circuit.Rotation{Shift: shift, From: shifts[rng.IntN(len(shifts))]})
			shifts = append(shifts, shift)
		}
		return list
	}
	for level := top; level > 0; {
		node := circuit.Node{In: []int{last()}, Level: level, Scale: c.Scale(last())}
		switch rng.IntN(4) {
		case 0:
			l := &circuit.Linear{Babies: rotations(50), Giants: rotations(900), Bias: vector(0.25)}
			for _, baby := range append([]circuit.Rotation{{}}, l.Babies...) {
				for _, giant := range append([]circuit.Rotation{{}}, l.Giants...) {
					if rng.IntN(4) > 0 || len(l.Diagonals) == 0 {
						l.Diagonals = append(l.Diagonals, circuit.Diagonal{Baby: baby.Shift, Giant: giant.Shift, Values: vector(0.05)})
					}
				}
			}
			node.Linear, node.Rescale, node.Scale = l, 1, scale
		case 1:
			if len(c.Nodes) > 0 && c.Nodes[len(c.Nodes)-1].Fold != nil {
				continue
			}
			node.Fold = &circuit.Fold{Steps: []int{1 + rng.IntN(n-1)}}
		case 2:
			node.In = []int{last(), any()}
			node.Rescale = 1
			node.Scale = c.Scale(node.In[0]) * c.Scale(node.In[1]) / float64(params.Q[level])
			node.Multiply = &circuit.Multiply{}
		default:
			node.In = []int{last(), any()}
			node.Rescale = 1
			node.Scale = scale
			node.Combine = &circuit.Combine{Factors: []float64{0.5, -0.25}, Constant: 0.125}
		}
		c.Nodes = append(c.Nodes, node)
		level -= node.Rescale
	}
	c.Nodes = append(c.Nodes, circuit.Node{In: []int{last()}, Level: 0, Scale: c.Scale(last()), Combine: &circuit.Combine{Factors: []float64{1}}})
	c.Outputs = []circuit.Output{
		{Value: last(), Period: n, ModulusBits: modulusBits},
		{Value: last(), Period: 1 << rng.IntN(6), ModulusBits: modulusBits},
	}
	return c
}

func TestRandomCircuits(t *testing.T) {
	for _, test := range []struct {
		q, p []int
	}{
		{[]int{48, 38, 38, 38}, []int{49}},
		{[]int{48, 38, 38}, []int{43, 43}},
	} {
		params := parameters(t, 13, circuit.ConjugateInvariant, test.q, test.p)
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%d special, seed %d", len(test.p), seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 11))
				c := randomCircuit(rng, params, math.Exp2(38), 40)
				p := newParty(t, c)
				vectors := make([][]float64, len(c.Inputs))
				for i := range vectors {
					vectors[i] = uniform(rng, params.N())
				}
				// A handful of operations multiply errors by small factors; the reply is cut to 2^40 of 2^48.
				p.checkAgainstFloat(t, 200*roundingError(params)/math.Exp2(38-8), vectors...)
			})
		}
	}
}

func TestCoefficients(t *testing.T) {
	params := parameters(t, 12, circuit.Standard, []int{40, 30}, nil)
	n := params.N()
	rng := rand.New(rand.NewPCG(13, 1))
	sparse := make([]float64, n)
	for range 30 {
		sparse[rng.IntN(n)] = 2*rng.Float64() - 1
	}
	scale := math.Exp2(30)
	c := &circuit.Circuit{
		Parameters: params, Packing: circuit.Coefficients,
		Inputs: []circuit.Input{{Level: 1, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: 1, Rescale: 1, Scale: scale, Dot: &circuit.Dot{
				Weights: circuit.NewVector(sparse), Bias: circuit.NewVector(uniform(rng, n))}},
			{In: []int{1}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{-2}, Constant: 0.5}},
		},
		Outputs: []circuit.Output{{Value: 2, Coefficients: []int{0, 17, n - 1}, ModulusBits: 38}},
	}
	newParty(t, c).checkAgainstFloat(t, 50*roundingError(params)/math.Sqrt(float64(n))/math.Exp2(28), uniform(rng, n))
}

// TestConcurrentRuns runs one program for several users at once, each on its own keys and values.
func TestConcurrentRuns(t *testing.T) {
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{38})
	c := randomCircuit(rand.New(rand.NewPCG(2, 17)), params, math.Exp2(28), 34)
	p := newPartyWith(t, c, c.Keys(), fhe.NewPool(3))
	var users sync.WaitGroup
	for user := range uint64(6) {
		users.Go(func() {
			rng := rand.New(rand.NewPCG(user, 19))
			vectors := make([][]float64, len(c.Inputs))
			for i := range vectors {
				vectors[i] = uniform(rng, params.N())
			}
			for range 3 {
				p.checkAgainstFloat(t, 1e-1, vectors...)
			}
		})
	}
	users.Wait()
}

// TestResultsDoNotDependOnWorkers compares replies bit by bit.
func TestResultsDoNotDependOnWorkers(t *testing.T) {
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{38})
	rng := rand.New(rand.NewPCG(4, 23))
	c := randomCircuit(rng, params, math.Exp2(28), 34)
	p := newParty(t, c)
	vectors := make([][]float64, len(c.Inputs))
	for i := range vectors {
		vectors[i] = uniform(rng, params.N())
	}
	request, err := p.secret.Encrypt(p.program.Signature(), modelID, vectors)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for workers := range 5 {
		program, err := fhe.NewProgram(context.Background(), c, fhe.NewPool(workers))
		if err != nil {
			t.Fatal(err)
		}
		inputs, err := fhe.ParseInputs(p.program.Parameters(), program.Signature(), modelID, request)
		if err != nil {
			t.Fatal(err)
		}
		replies, err := program.Run(context.Background(), p.keys, inputs)
		if err != nil {
			t.Fatal(err)
		}
		got := fhe.MarshalReplies(program.Signature(), modelID, replies)
		if want == nil {
			want = got
		}
		if string(got) != string(want) {
			t.Fatalf("%d workers give another reply", workers)
		}
	}
}

// TestRunsReuseMemory bounds what a run allocates once another has gone before: the reply and small things.
func TestRunsReuseMemory(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools lose things on purpose")
	}
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{38})
	rng := rand.New(rand.NewPCG(6, 29))
	c := randomCircuit(rng, params, math.Exp2(28), 34)
	p := newPartyWith(t, c, c.Keys(), fhe.NewPool(1))
	vectors := make([][]float64, len(c.Inputs))
	for i := range vectors {
		vectors[i] = uniform(rng, params.N())
	}
	request, err := p.secret.Encrypt(p.program.Signature(), modelID, vectors)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := fhe.ParseInputs(p.program.Parameters(), p.program.Signature(), modelID, request)
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty the pools
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // and each core has its own
	run := func() uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := p.program.Run(context.Background(), p.keys, inputs); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	run()
	replies := uint64(len(c.Outputs) * 2 * params.N() * 8)
	if got := run(); got > replies+64<<10 {
		t.Errorf("the second run allocates %d bytes for replies of %d", got, replies)
	}
}

// TestReadingKeysReusesMemory bounds what ReadKeys allocates: the keys, and room for one digit of one key.
func TestReadingKeysReusesMemory(t *testing.T) {
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{38})
	set := circuit.KeySet{Relinearisation: 1}
	for step := 1; step <= 8; step++ {
		set.Rotations = append(set.Rotations, circuit.RotationKey{Step: step, Level: step % 2})
	}
	p := newPartyWith(t, randomCircuit(rand.New(rand.NewPCG(6, 29)), params, math.Exp2(28), 34), set, fhe.NewPool(1))
	var file bytes.Buffer
	if _, err := p.keys.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	keys, err := fhe.ReadKeys(&file, p.program.Parameters(), set, fhe.ID{9}, fhe.NewPool(1))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	digit := int64(3 * params.N() * (2*8 + 5))                                          // both parts of each limb, and one of them packed
	if got := int64(after.TotalAlloc - before.TotalAlloc); got > keys.Bytes()+4*digit { // with what seeds expand through
		t.Errorf("%d keys of %d bytes take %d to read: want at most %d beside them", set.Count(), keys.Bytes(), got, 4*digit)
	}
}

func TestRunRefuses(t *testing.T) {
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{38})
	scale := math.Exp2(28)
	c := &circuit.Circuit{
		Parameters: params, Packing: circuit.Slots,
		Inputs: []circuit.Input{{Level: 1, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: 1, Scale: scale, Fold: &circuit.Fold{Steps: []int{1, 2}}},
			{In: []int{1, 1}, Level: 1, Rescale: 1, Scale: scale * scale / float64(params.Q[1]), Multiply: &circuit.Multiply{}},
		},
		Outputs: []circuit.Output{{Value: 2, Period: 1, ModulusBits: 30}},
	}
	p := newParty(t, c)
	s := p.program.Signature()
	request, err := p.secret.Encrypt(s, modelID, [][]float64{make([]float64, params.N())})
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := fhe.ParseInputs(p.program.Parameters(), s, modelID, request)
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]circuit.KeySet{
		"no relinearisation key":          {Relinearisation: -1, Rotations: c.Keys().Rotations},
		"relinearisation key at level 0":  {Relinearisation: 0, Rotations: c.Keys().Rotations},
		"rotation key missing":            {Relinearisation: 1, Rotations: c.Keys().Rotations[:1]},
		"rotation key at too low a level": {Relinearisation: 1, Rotations: []circuit.RotationKey{{Step: 1, Level: 1}, {Step: 2, Level: 0}}},
	} {
		keys := newPartyWith(t, c, set, fhe.NewPool(2)).keys
		if _, err := p.program.Run(context.Background(), keys, inputs); !errors.Is(err, fhe.ErrMissingKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := p.program.Run(context.Background(), nil, inputs); !errors.Is(err, fhe.ErrMissingKey) {
		t.Errorf("no keys at all: got %v", err)
	}
	if _, err := p.program.Run(context.Background(), p.keys, nil); err == nil {
		t.Error("no inputs: no error")
	}
	other := *c
	other.Parameters = parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{37})
	foreign := newParty(t, &other).keys
	if _, err := p.program.Run(context.Background(), foreign, inputs); err == nil {
		t.Error("keys of other parameters: no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.program.Run(ctx, p.keys, inputs); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}
