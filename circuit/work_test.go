package circuit

import (
	"math"
	"testing"
)

// planOf returns a circuit of three nodes: a fold, a square and a linear map of one baby and one giant step.
func planOf(t *testing.T) *Circuit {
	t.Helper()
	p, err := NewParameters(13, ConjugateInvariant, []int{40, 34, 34}, []int{40, 40})
	if err != nil {
		t.Fatal(err)
	}
	one, full, scale := Vector{Period: 1, Values: []float64{1}}, Vector{Period: 8192, Index: []uint32{1}, Values: []float64{1}}, math.Exp2(30)
	return &Circuit{
		Parameters: p, Packing: Slots, Inputs: []Input{{Level: 2, Scale: scale}},
		Nodes: []Node{
			{In: []int{0}, Level: 2, Scale: scale, Fold: &Fold{Steps: []int{1}}},
			{In: []int{1, 1}, Level: 2, Rescale: 1, Scale: scale * scale / float64(p.Q[2]), Multiply: &Multiply{}},
			{In: []int{2}, Level: 1, Rescale: 1, Scale: scale, Linear: &Linear{
				Babies: []Rotation{{Shift: 4}}, Giants: []Rotation{{Shift: 2}},
				Diagonals: []Diagonal{{Values: one}, {Baby: 4, Values: one}, {Giant: 2, Values: full}}}},
		},
		Outputs: []Output{{Value: 3, Period: 1, ModulusBits: 30}},
	}
}

func workOf(c *Circuit) (total Work) {
	NewPlan(c).Work(c, func(_ int, w Work) { total.Add(1, w) })
	return total
}

func TestWork(t *testing.T) {
	c := planOf(t)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	// At level 2, three limbs and two special primes: two digits, of two primes and of one, on five limbs.
	const others2, switch2 = 3 + 4, 2 * 5
	// At level 1, two limbs and two special primes: one digit on four limbs.
	const others1, switch1 = 2, 4
	want := Work{
		// Fold; square, whose rescaling's prime is divided out with the special ones; baby and giant.
		Forward:     others2 + 2*3 + others2 + 2*2 + others1 + 2*2 + others1 + 2*1,
		Inverse:     3 + 2*2 + 3 + 2*3 + 2 + 2*2 + 2 + 2*3,
		KeyProducts: switch2 + switch2 + switch1 + switch1,
		Products:    2,
		Runs:        2 * 2,
		Lifts:       4 + 4, // of the digits of one prime
		Conversions: 2*3 + 2*3*2 + 2*3 + 2*2*3 + 2*2 + 2*2*2 + 2*2 + 2*1*3,
		// With keys, in divisions and in sums; the tensor; two sums at giant steps, one of which is brought to the special primes.
		Moves: 3 + 2*3 + 2*3 + 3 + 2*2 + 5*3 + 2 + 2*2 + 2*2*2 + 2*2 + 2 + 2*1,
	}
	if got := workOf(c); got != want {
		t.Errorf("work is\n%+v, want\n%+v", got, want)
	}
	// Where the fold's key is used by the map as well, this has the special primes of the fold's level.
	c.Parameters.P = append(c.Parameters.P, c.Parameters.Q[2]) // the value of the prime does not count
	before := workOf(c)
	c.Nodes[2].Linear.Babies[0].Shift, c.Nodes[2].Linear.Diagonals[1].Baby = 1, 1
	after := workOf(c)
	if more := after.KeyProducts - before.KeyProducts; more != 5-4 {
		t.Errorf("a key for three special primes takes %d products more than one for two", more)
	}
}

func TestMapsOfOneValueShareBabies(t *testing.T) {
	c := planOf(t)
	c.Nodes = append(c.Nodes, c.Nodes[2])
	alone := *c
	alone.Nodes = alone.Nodes[:3]
	// All but the baby: a decomposition, a product with a key, a division.
	want := workOf(&alone).KeyProducts + 4
	if got := workOf(c).KeyProducts; got != want {
		t.Errorf("two maps: %d products with keys, want %d", got, want)
	}
}

func TestHoistsTwice(t *testing.T) {
	c := planOf(t)
	l := &Linear{}
	for shift := 1; shift < 16; shift++ {
		l.Babies = append(l.Babies, Rotation{Shift: shift})
		l.Diagonals = append(l.Diagonals, Diagonal{Baby: shift, Values: Vector{Period: 1, Values: []float64{1}}})
	}
	l.Giants = []Rotation{{Shift: 16}}
	c.Nodes[2].Linear = l
	c.Nodes[0].Fold.Steps[0] = 32
	check := func(what string, want int) {
		t.Helper()
		if got := NewPlan(c).HoistsTwice(c, 2); got != want {
			t.Errorf("%s: babies stay times %d special primes, want %d", what, got, want)
		}
	}
	check("many babies of one value", 2)
	c.Nodes = append(c.Nodes, c.Nodes[2])
	check("another map wants them", 0)
	c.Nodes[3].Level--
	check("another map wants them at another level", 2)
	c.Nodes = c.Nodes[:3]
	c.Nodes[0].Fold.Steps[0] = 1
	c.Parameters.P = append(c.Parameters.P, 0)
	check("a key of another kind", 0)
	c.Nodes[0].Fold.Steps[0] = 32
	check("keys of one kind again", 2)
	l.Babies[1].From = 1
	check("babies of babies", 0)
	l.Babies[1].From = 0
	l.Babies = l.Babies[:2]
	check("few babies", 0)
}
