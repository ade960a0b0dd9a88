package main

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/pprof/profile"

	"cipherpoint/bench/primitive"
	"cipherpoint/circuit"
	"cipherpoint/internal/testmodel"
)

func TestMeasureCircuit(t *testing.T) {
	m := testmodel.Small(t)
	inputs, err := m.Pipeline.Encode(m.Rows[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := measureCircuit(t.Context(), "small", m.Circuit, inputs, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]comparison{"one core": f.oneCore, "all cores": f.allCores} {
		if c.Ours <= 0 || c.Lattigo <= 0 || c.Ratio <= 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	total := 0.0
	for _, share := range f.shares {
		total += share
	}
	if len(f.shares) > 0 && math.Abs(total-1) > 1e-9 { // a short profile may have no sample
		t.Errorf("shares %v make %g", f.shares, total)
	}
	if f.arithmetic() <= 0 || f.work.bytes() <= 0 {
		t.Errorf("no work: %+v", f.work)
	}
	var out bytes.Buffer
	if err := writeCircuits(&out, []*circuitFigures{f, f}, bandwidth{1e10, 3e10, 1 << 29}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "small"); got != 2*5+2*3+1 {
		t.Errorf("%d lines name the circuit:\n%s", got, out.String())
	}
}

func TestBoundAndDistance(t *testing.T) {
	f := &circuitFigures{work: work{Work: circuit.Work{Forward: 4}, keys: 1e7}, units: units{forward: time.Millisecond}, shares: map[part]float64{transforms: 0.2, products: 0.8},
		oneCore: comparison{Ours: 8 * time.Millisecond}, allCores: comparison{Ours: 2 * time.Millisecond}}
	if least := f.bound(1e10, 1); least != 4*time.Millisecond {
		t.Errorf("arithmetic bounds by %v", least)
	}
	if least := f.bound(5e9, 4); least != 2*time.Millisecond {
		t.Errorf("memory bounds by %v", least)
	}
	f.nodes = []nodeFigures{{name: "fold, 3 steps", level: 2, measured: 6}, {name: "combine", measured: 2}}
	got := f.distance(1e10, 4)
	for _, want := range []string{"8.00 ms on one core, 2.0 times what arithmetic takes (4.00 ms). 80 % are products",
		"75 % one of level 2: fold, 3 steps. Next: fewer or shorter diagonals"} {
		if !strings.Contains(got, want) || strings.Contains(got, "cores") {
			t.Errorf("no %q in %s", want, got)
		}
	}
	f.allCores.Ours = 5 * time.Millisecond
	if got := f.distance(1e9, 4); !strings.Contains(got, "0.8 times what memory takes (10.00 ms)") || !strings.Contains(got, "1.6 times one") {
		t.Errorf("at a tenth of the bandwidth: %s", got)
	}
}

func TestSharesOfAProfile(t *testing.T) {
	stack := func(count int64, names ...string) *profile.Sample { // innermost first
		s := &profile.Sample{Value: []int64{count, count * 1e7}}
		for _, name := range names {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
		}
		return s
	}
	const kernel, own = "cipherpoint/fhe/kernel.", "cipherpoint/fhe."
	got := sharesOf(&profile.Profile{Sample: []*profile.Sample{
		stack(4, kernel+"forwardFirst", kernel+"(*Modulus).Forward", own+"(*evaluator).decompose.func2"),
		stack(2, kernel+"(*Modulus).KeySum", own+"(*evaluator).rotate.func1"),
		stack(1, kernel+"Sum", own+"sumPiece"),
		stack(1, kernel+"lift", kernel+"(*Modulus).Lift"),
		stack(1, kernel+"(*Permutation).Apply"),
		stack(1, "runtime.futex"),
	}})
	for part, want := range map[part]float64{transforms: 0.4, products: 0.3, extensions: 0.1, moves: 0.1, others: 0.1} {
		if math.Abs(got[part]-want) > 1e-9 {
			t.Errorf("share of %s is %g: want %g", part, got[part], want)
		}
	}
}

func TestCompare(t *testing.T) {
	calls := [2]int{}
	side := func(i int, elapsed time.Duration) primitive.Run {
		return func() (time.Duration, error) { calls[i]++; return elapsed, nil }
	}
	c, err := compare(primitive.Operation{Ours: side(0, time.Millisecond), Lattigo: side(1, 4*time.Millisecond)}, 18*8*time.Millisecond)
	if err != nil || c != (comparison{time.Millisecond, 4 * time.Millisecond, 4}) {
		t.Errorf("%+v, %v", c, err)
	}
	if calls != [2]int{2 + 9*8, 2 + 9*2} { // equal time for both
		t.Errorf("%d calls", calls)
	}
	c, err = compare(primitive.Operation{Ours: side(0, time.Second)}, time.Millisecond)
	if err != nil || c != (comparison{Ours: time.Second}) {
		t.Errorf("%+v, %v", c, err)
	}
	broken := func() (time.Duration, error) { return 0, errors.New("broken") }
	if _, err := compare(primitive.Operation{Ours: side(0, 1), Lattigo: broken}, 0); err == nil {
		t.Error("an error got lost")
	}
}

func TestSum(t *testing.T) {
	for n := range 150 {
		words, want := make([]uint64, n), uint64(0)
		for i := range words {
			words[i] = uint64(i*i) << (i % 50)
			want += words[i]
		}
		if got := sum(words); got != want {
			t.Errorf("sum of %d words is %d: want %d", n, got, want)
		}
	}
	if rate := readRate(slices.Repeat([]uint64{1}, 1<<16), 3); rate <= 0 {
		t.Errorf("%g bytes a second", rate)
	}
}

func TestMeasureReplies(t *testing.T) {
	p, err := circuit.NewParameters(12, circuit.ConjugateInvariant, []int{30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &circuit.Circuit{Parameters: p, Packing: circuit.Slots, Inputs: []circuit.Input{{Scale: 1 << 22}},
		Nodes:      []circuit.Node{{In: []int{0}, Scale: 1 << 22, Combine: &circuit.Combine{Factors: []float64{-1}}}},
		Outputs:    []circuit.Output{{Value: 1, Period: 1, ModulusBits: 24}},
		RingSwitch: &circuit.RingSwitch{LogN: 11, P: 2056193, Digits: 2}}
	with, err := primitive.NewCircuit(t.Context(), "negation", c, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := measureReplies(t.Context(), with, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if f.plain.RingSwitch != nil || f.times.Ours == 0 || f.times.Lattigo == 0 {
		t.Errorf("%+v", f)
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	writeReplies(table, []*circuitFigures{{name: "negation", replies: f}, {name: "sum"}})
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"negation 2^11", " 6.17 kB ", " 12.3 kB ", "sum      its own"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	c.RingSwitch = nil
	if with, err = primitive.NewCircuit(t.Context(), "negation", c, nil, 1); err != nil {
		t.Fatal(err)
	}
	if f, err := measureReplies(t.Context(), with, time.Millisecond); err != nil || f != nil {
		t.Errorf("replies that stay: %v, %v", f, err)
	}
}
