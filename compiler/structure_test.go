package compiler

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// TestLinearLayersAreOneMap lowers a chain of layers between two squares.
func TestLinearLayersAreOneMap(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	g, err := model.New("chain", model.Shape{1, 8, 8}).
		Conv(randomTensor(r, 0.3, 4, 1, 3, 3), []float64{1, 0, 0, -1}, model.Window{Stride: []int{2, 2}, Pads: []int{0, 0, 1, 1}}).
		BatchNorm([]float64{1, 2, 1, 1}, []float64{0, 0.5, 0, 0}, make([]float64, 4), []float64{1, 2, 3, 4}, 1e-5).Square().
		AveragePool([]int{2, 2}, model.Window{Stride: []int{2, 2}}).Flatten().
		Dense(randomTensor(r, 0.3, 10, 16), make([]float64, 10)).Dense(randomTensor(r, 0.3, 12, 10), make([]float64, 12)).Square().
		Dense(randomTensor(r, 0.3, 4, 12), nil).Graph()
	if err != nil {
		t.Fatal(err)
	}
	s, err := lower(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps, products := 0, 0
	for _, o := range s.encrypted.ops {
		if o.maps != nil {
			maps++
		}
		if o.product {
			products++
		}
	}
	if maps != 3 || products != 2 || len(s.encrypted.ops) != 5 {
		t.Errorf("%d operations, %d maps and %d products: want 5, 3 and 2", len(s.encrypted.ops), maps, products)
	}
	if len(s.variants) != 2 {
		t.Errorf("%d variants: want one with the pool merged, one with it apart", len(s.variants))
	}
}

// TestWindowsTakeFewDiagonals packs a convolution of four filters over 28 × 28 pixels.
func TestWindowsTakeFewDiagonals(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	g, err := model.New("conv", model.Shape{1, 28, 28}).Conv(randomTensor(r, 0.3, 4, 1, 5, 5), nil, model.Window{Stride: []int{2, 2}}).Square().Flatten().
		Dense(randomTensor(r, 0.1, 10, 576), nil).Graph()
	if err != nil {
		t.Fatal(err)
	}
	s, err := lower(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	fewest := map[string]int{}
	for _, d := range s.encrypted.decisions(13) {
		d.plan, d.outline = plans[0], true
		p, err := d.program.pack(13, d)
		if err != nil {
			t.Fatal(err)
		}
		name, n := openingNames(d), len(p.circuit.Nodes[0].Linear.Diagonals)
		if have, seen := fewest[name]; !seen || n < have {
			fewest[name] = n
		}
	}
	if own, windows := fewest["own order"], fewest["windows, 4 diagonals"]; windows != 4 || own < 10*windows {
		t.Errorf("%d diagonals in windows, %d in the order of pixels: %v", windows, own, fewest)
	}
}

// TestLeavesStandWhereFewDiagonalsAreMet places rows that read columns all over.
func TestLeavesStandWhereFewDiagonalsAreMet(t *testing.T) {
	const rows, cols = 32, 512
	r := rand.New(rand.NewPCG(10, 10))
	var entries []model.Triplet
	for row := range rows {
		for _, c := range r.Perm(cols)[:3] {
			entries = append(entries, model.Triplet{Row: row, Col: c, Value: 1})
		}
	}
	m, err := model.NewSparse(rows, cols, entries)
	if err != nil {
		t.Fatal(err)
	}
	own, err := diagonalise(m, compact(cols).content(), compact(rows), nil)
	if err != nil {
		t.Fatal(err)
	}
	best := math.MaxInt
	for _, o := range placements(m, 4096) {
		placed, err := diagonalise(m, o.content, *o.rows, o.allowed)
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, len(placed.shifts))
	}
	if 2*best > len(own.shifts) {
		t.Errorf("%d diagonals, %d where the leaves stand in their own order", best, len(own.shifts))
	}
}

// TestRescalingWaitsForAWholePrime schedules two maps and a sum on a large prime.
func TestRescalingWaitsForAWholePrime(t *testing.T) {
	p, err := circuit.NewParameters(13, circuit.ConjugateInvariant, []int{35, 49}, nil)
	if err != nil {
		t.Fatal(err)
	}
	one := circuit.Vector{Period: 1, Values: []float64{1}}
	linear := &circuit.Linear{Diagonals: []circuit.Diagonal{{Values: one}}}
	c := &circuit.Circuit{Parameters: p, Packing: circuit.Slots, Inputs: []circuit.Input{{}},
		Nodes:   []circuit.Node{{In: []int{0}, Linear: linear}, {In: []int{1}, Linear: linear}, {In: []int{2}, Combine: &circuit.Combine{Factors: []float64{1}}}},
		Outputs: []circuit.Output{{Value: 3, Period: 1}}}
	f := &profile{rms: make([]float64, 4), max: []float64{1, 1, 1, 1}, means: []float64{1}}
	if !schedule(c, f, scales{input: 25, plaintext: 24, least: 20}) {
		t.Fatal("the schedule does not fit")
	}
	// 2^25 · 2^24 is one prime, of which less than 2^20 would be left; 2^73 leaves 2^24.
	got := []int{c.Nodes[0].Rescale, c.Nodes[1].Rescale, c.Nodes[2].Rescale}
	if want := []int{0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("primes are divided out after each node: %v, want %v", got, want)
	}
}
