// Package circuit holds what an encrypted model is: a short straight-line program over encrypted vectors, as plain
// data. The compiler writes circuits, the executor in package fhe runs them, and this package prints them, checks
// them, stores them and runs them in float.
//
// A circuit knows no cryptography but the numbers that rule it: the level (how many primes are left) at which each
// operation runs, how many primes are divided out after it, and the scale of its result. It knows no machine learning
// at all.
//
// Danger: levels and scales are contracts. A circuit whose scales do not fit its primes decrypts to noise without any
// error; Validate catches what can be seen statically, the compiler's simulation the rest.
package circuit

import (
	"fmt"
	"math"
	"slices"
)

// Packing says where a vector lives in a plaintext polynomial.
type Packing string

const (
	// Slots: value j is the polynomial's evaluation at the j-th root of unity (times the scale). Products are
	// elementwise, rotations need keys. Conjugate-invariant ring only.
	Slots Packing = "slots"
	// Coefficients: value j is the j-th coefficient (times the scale). Products are negacyclic convolutions, so that
	// one product holds many inner products and needs no key. Standard ring only.
	Coefficients Packing = "coefficients"
)

// Circuit is a program over encrypted vectors of Parameters.Slots() reals. Values are numbered: the inputs first, then
// the nodes in order; a node uses only values before it.
type Circuit struct {
	Name       string     `json:"name"`
	Parameters Parameters `json:"parameters"`
	Packing    Packing    `json:"packing"`
	Inputs     []Input    `json:"inputs"`
	Nodes      []Node     `json:"nodes"`
	Outputs    []Output   `json:"outputs"`

	// RingSwitch is what replies are switched by, nil where they stay in the ring.
	RingSwitch *RingSwitch `json:"ring_switch,omitempty"`
}

// Input is a vector that the client encrypts.
type Input struct {
	Name  string  `json:"name"`
	Level int     `json:"level"`
	Scale float64 `json:"scale"`
	Width int     `json:"width,omitempty"` // ciphertexts, of a batch

	// Dimensions, where not zero, are those of templates, of which users store any number before they ask (Match).
	Dimensions int `json:"dimensions,omitempty"`
}

// Node is one operation. Exactly one of the operations is set. The operands are brought to Level by dropping primes
// (which changes no value), then the operation runs, then Rescale primes are divided out: the result is at
// Level-Rescale with scale Scale. Whatever plaintext an operation multiplies by is encoded at the scale that makes
// that so.
type Node struct {
	Name    string  `json:"name"` // of the layer, as reports group by it
	In      []int   `json:"in"`
	Level   int     `json:"level"`
	Rescale int     `json:"rescale"`
	Scale   float64 `json:"scale"`

	Linear   *Linear   `json:"linear,omitempty"`
	Fold     *Fold     `json:"fold,omitempty"`
	Dot      *Dot      `json:"dot,omitempty"`
	Combine  *Combine  `json:"combine,omitempty"`
	Multiply *Multiply `json:"multiply,omitempty"`
	Mix      *Mix      `json:"mix,omitempty"`
	Match    *Match    `json:"match,omitempty"`

	// Relinearise brings the result of a batch's node back to degree 1 in the secret. Elsewhere every product does.
	Relinearise bool `json:"relinearise,omitempty"`
}

// Linear is y = M·x + b in slots, M given by its diagonals and run baby-step giant-step (Halevi and Shoup, ePrint
// 2018/244, section 4):
//
//	y = Σ_g rot(Σ_b v_{g,b} ⊙ rot(x, b), g) + b
//
// where rot(x, k)_j = x_{j+k mod n}. A diagonal's Values are v_{g,b}, so already rotated by -g.
type Linear struct {
	Babies    []Rotation `json:"babies"` // of x; shift 0 is x itself and is not listed
	Giants    []Rotation `json:"giants"` // of the inner sums; shift 0 is not listed
	Diagonals []Diagonal `json:"diagonals"`
	Bias      Vector     `json:"bias"`
}

// Rotation makes the rotation by Shift from the one by From (0, or a Shift listed before), with the key for the step
// Shift-From. Babies with the same From share one decomposition (hoisting). For giants, the sum that waits at Shift is
// rotated by the step and added to the sum at From: all From 0 is the plain sum, From the giant before is Horner's
// scheme, which needs one key.
type Rotation struct {
	Shift int `json:"shift"`
	From  int `json:"from"`
}

// Diagonal is one plaintext of a Linear. Baby and Giant are shifts.
type Diagonal struct {
	Baby   int    `json:"baby"`
	Giant  int    `json:"giant"`
	Values Vector `json:"values"`
}

// Fold adds rotations of its operand to it, one after the other: y ← y + rot(y, s) for each step s.
type Fold struct {
	Steps []int `json:"steps"`
}

// Dot is the negacyclic product of the operand by the polynomial with these coefficients, plus Bias (one value a
// coefficient). Coefficient packing only.
type Dot struct {
	Weights Vector `json:"weights"`
	Bias    Vector `json:"bias"`
}

// Combine is Σ_k Factors[k]·x_k + Constant. A factor is rounded to an integer multiple of 1/r where r is the ratio of
// the result's scale (before rescaling) to its operand's.
type Combine struct {
	Factors  []float64 `json:"factors"`
	Constant float64   `json:"constant"`
}

// Multiply is the elementwise product of two values (or the square of one), relinearised but in batches.
type Multiply struct{}

// Output is a vector that the client decrypts. Its value must be at level 0; the reply carries it modulo 2^ModulusBits,
// and of its coefficients only those that hold the answer.
//
// In slots, the client learns for each r in [0, Period) the sum of the slots congruent to r modulo Period and nothing
// else: the coefficients at multiples of N/Period hold the means of these classes (the trace to the subring of degree
// Period), so that a last sum over slots costs no rotation and no key. The answer's values must not wrap:
// |mean|·scale < q_0/2.
//
// In coefficients, the client learns the coefficients with the indexes in Coefficients, in this order. Of a batch, it
// learns all slots of the value's ciphertexts, Width of them.
//
// Where Flood is not zero, the reply is re-randomised by a fresh encryption of zero, and normal noise of that standard
// deviation, counted in integers modulo q_0, is added to each coefficient that the client learns: it hides the noise of
// the circuit, which depends on the weights.
type Output struct {
	Name         string `json:"name"`
	Value        int    `json:"value"`
	Period       int    `json:"period,omitempty"`
	Coefficients []int  `json:"coefficients,omitempty"`
	Width        int    `json:"width,omitempty"` // ciphertexts, of a batch
	ModulusBits  int    `json:"modulus_bits"`

	// FirstBits, where not zero, is how many of these bits the first half of the ciphertext has: its rounding is noise as it
	// is, while that of the second is multiplied by the secret. Not of batches.
	FirstBits int `json:"first_bits,omitempty"`

	Flood float64 `json:"flood,omitempty"`
}

// First returns how many bits a coefficient of the first half takes.
func (out *Output) First() int {
	if out.FirstBits != 0 {
		return out.FirstBits
	}
	return out.ModulusBits
}

// MinFlood is the least deviation of an Output's Flood.
const MinFlood = 64

// KeySet names the evaluation keys that a circuit needs, each at the highest level at which it is used.
type KeySet struct {
	Relinearisation int           `json:"relinearisation"` // level, or -1 where there is no product
	Rotations       []RotationKey `json:"rotations"`       // by ascending step
	// Encryption asks for the public encryption key at level 0, with which replies are re-randomised.
	Encryption bool `json:"encryption,omitempty"`
	// RingSwitch is what replies are switched to a smaller ring by.
	RingSwitch *RingSwitch `json:"ring_switch,omitempty"`
}

// RotationKey is the key that rotates by Step slots, 0 < Step < Slots, at Level and below.
type RotationKey struct {
	Step  int `json:"step"`
	Level int `json:"level"`
}

// Count returns the number of keys.
func (k KeySet) Count() int {
	n := len(k.Rotations)
	if k.Relinearisation >= 0 {
		n++
	}
	if k.Encryption {
		n++
	}
	if k.RingSwitch != nil {
		n++
	}
	return n
}

// Switches reports whether there is a switching key in the set, which needs special primes.
func (k KeySet) Switches() bool { return k.Relinearisation >= 0 || len(k.Rotations) > 0 }

// Keys returns the keys that the circuit needs.
func (c *Circuit) Keys() KeySet {
	set := KeySet{Relinearisation: -1, RingSwitch: c.RingSwitch}
	levels := map[int]int{}
	use := func(step, level int) {
		step = mod(step, c.Parameters.Slots())
		if have, ok := levels[step]; !ok || level > have {
			levels[step] = level
		}
	}
	for _, node := range c.Nodes {
		switch {
		case node.Match != nil:
			set.Relinearisation = max(set.Relinearisation, node.Level)
			baby, giant := Stored(c.Inputs).Rotations(c.Parameters.Slots())
			use(baby, node.Level)
			if giant < c.Parameters.Slots() {
				use(giant, node.Level)
			}
		case node.Relinearise || node.Multiply != nil && c.Packing != Batch:
			set.Relinearisation = max(set.Relinearisation, node.Level)
		case node.Linear != nil:
			for _, r := range slices.Concat(node.Linear.Babies, node.Linear.Giants) {
				use(r.Shift-r.From, node.Level)
			}
		case node.Fold != nil:
			for _, s := range node.Fold.Steps {
				use(s, node.Level)
			}
		}
	}
	for _, out := range c.Outputs {
		set.Encryption = set.Encryption || out.Flood > 0
	}
	for step, level := range levels {
		set.Rotations = append(set.Rotations, RotationKey{step, level})
	}
	slices.SortFunc(set.Rotations, func(a, b RotationKey) int { return a.Step - b.Step })
	return set
}

// Values returns the number of values: inputs and nodes.
func (c *Circuit) Values() int { return len(c.Inputs) + len(c.Nodes) }

// Level and scale of a value.
func (c *Circuit) Level(value int) int {
	if value < len(c.Inputs) {
		return c.Inputs[value].Level
	}
	node := c.Nodes[value-len(c.Inputs)]
	return node.Level - node.Rescale
}

// Scale returns the scale of a value.
func (c *Circuit) Scale(value int) float64 {
	if value < len(c.Inputs) {
		return c.Inputs[value].Scale
	}
	return c.Nodes[value-len(c.Inputs)].Scale
}

// Divisor is the product of the primes that a node divides out.
func (c *Circuit) Divisor(node Node) float64 {
	d := 1.0
	for l := node.Level; l > node.Level-node.Rescale; l-- {
		d *= float64(c.Parameters.Q[l])
	}
	return d
}

// PlaintextScale is the scale at which a node encodes what it multiplies operand k by.
func (c *Circuit) PlaintextScale(node Node, k int) float64 {
	return node.Scale * c.Divisor(node) / c.Scale(node.In[k])
}

// Validate checks that the circuit can be run: shapes, order, levels, scales, rotations. It bounds what the executor
// allocates for it.
func (c *Circuit) Validate() error {
	if err := c.Parameters.Validate(); err != nil {
		return err
	}
	want := map[Packing]Ring{Slots: ConjugateInvariant, Coefficients: Standard, Batch: ConjugateInvariant}[c.Packing]
	if want == "" || c.Parameters.Ring != want {
		return fmt.Errorf("packing %q does not go with the %s ring", c.Packing, c.Parameters.Ring)
	}
	if len(c.Inputs) == 0 || len(c.Outputs) == 0 {
		return fmt.Errorf("%d inputs and %d outputs: want at least one of each", len(c.Inputs), len(c.Outputs))
	}
	for i, in := range c.Inputs {
		if in.Level < 0 || in.Level > c.Parameters.MaxLevel() || !validScale(in.Scale) {
			return fmt.Errorf("input %d: level %d or scale %g out of range", i, in.Level, in.Scale)
		}
	}
	if err := firstError(c.validateBatch(), c.validateMatch()); err != nil {
		return err
	}
	for i, node := range c.Nodes {
		if err := c.validateNode(i, node); err != nil {
			return fmt.Errorf("node %d (%s): %w", i, node.Name, err)
		}
	}
	if err := c.validateDegrees(); err != nil {
		return err
	}
	if len(c.Parameters.P) == 0 && c.Keys().Switches() {
		return fmt.Errorf("keys are needed but there is no special prime")
	}
	for i, out := range c.Outputs {
		if err := c.validateOutput(out); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return c.validateRingSwitch()
}

func validScale(s float64) bool { return s >= 1 && s <= math.Exp2(200) }

func (c *Circuit) validateNode(i int, node Node) error {
	for _, v := range node.In {
		if v < 0 || v >= len(c.Inputs)+i {
			return fmt.Errorf("operand %d is not a value before the node", v)
		}
		if c.Level(v) < node.Level {
			return fmt.Errorf("operand %d is at level %d, below %d", v, c.Level(v), node.Level)
		}
	}
	if node.Level < 0 || node.Rescale < 0 || node.Rescale > node.Level || !validScale(node.Scale) {
		return fmt.Errorf("level %d, rescaling by %d primes, scale %g out of range", node.Level, node.Rescale, node.Scale)
	}
	operations, operands := 0, 1
	check := func(set bool, validate func() error) error {
		if !set {
			return nil
		}
		operations++
		return validate()
	}
	n := c.Parameters.Slots()
	slotsOnly := func() error {
		if c.Packing != Slots {
			return fmt.Errorf("operation needs slots")
		}
		return nil
	}
	err := firstError(
		check(node.Linear != nil, func() error { return firstError(slotsOnly(), node.Linear.validate(n)) }),
		check(node.Fold != nil, func() error {
			for _, s := range node.Fold.Steps {
				if mod(s, n) == 0 {
					return fmt.Errorf("fold by %d slots is no rotation", s)
				}
			}
			return firstError(slotsOnly(), c.sameScale(node))
		}),
		check(node.Dot != nil, func() error {
			if c.Packing != Coefficients {
				return fmt.Errorf("operation needs coefficients")
			}
			return firstError(node.Dot.Weights.validate(n), node.Dot.Bias.validate(n))
		}),
		check(node.Combine != nil, func() error {
			operands = len(node.Combine.Factors)
			for _, f := range append([]float64{node.Combine.Constant}, node.Combine.Factors...) {
				if math.IsNaN(f) || math.IsInf(f, 0) {
					return fmt.Errorf("factor or constant is not finite")
				}
			}
			return nil
		}),
		check(node.Multiply != nil, func() error { operands = 2; return nil }),
		check(node.Match != nil, func() error { operands = 2; return nil }), // see validateMatch
		check(node.Mix != nil, func() error { operands = len(node.In); return c.validateMix(node) }),
	)
	switch {
	case err != nil:
		return err
	case operations != 1:
		return fmt.Errorf("%d operations: want one", operations)
	case operands == 0 || len(node.In) != operands:
		return fmt.Errorf("%d operands: want %d", len(node.In), operands)
	case node.Multiply != nil:
		product := c.Scale(node.In[0]) * c.Scale(node.In[1]) / c.Divisor(node)
		if math.Abs(product/node.Scale-1) > 1e-9 {
			return fmt.Errorf("scale 2^%.3f is not that of the product, 2^%.3f", math.Log2(node.Scale), math.Log2(product))
		}
	case node.Linear != nil || node.Dot != nil:
		if c.PlaintextScale(node, 0) < 1 {
			return fmt.Errorf("plaintext scale below one")
		}
	case node.Mix != nil:
		if !c.MixFits(node) {
			return fmt.Errorf("scalars and primes have more than %d bits together", ScalarBits)
		}
	}
	return nil
}

// sameScale holds for operations that cannot change the scale.
func (c *Circuit) sameScale(node Node) error {
	if len(node.In) != 1 || node.Rescale != 0 || node.Scale != c.Scale(node.In[0]) {
		return fmt.Errorf("operation keeps its one operand's scale and level")
	}
	return nil
}

func (l *Linear) validate(n int) error {
	known := func(list []Rotation) (map[int]bool, error) {
		shifts := map[int]bool{0: true}
		for _, r := range list {
			if r.Shift <= 0 || r.Shift >= n || shifts[r.Shift] || !shifts[r.From] {
				return nil, fmt.Errorf("rotation %d from %d out of order or range", r.Shift, r.From)
			}
			shifts[r.Shift] = true
		}
		return shifts, nil
	}
	babies, err := known(l.Babies)
	if err != nil {
		return err
	}
	giants, err := known(l.Giants)
	if err != nil {
		return err
	}
	if len(l.Diagonals) == 0 {
		return fmt.Errorf("no diagonal")
	}
	seen := map[[2]int]bool{}
	for _, d := range l.Diagonals {
		at := [2]int{d.Giant, d.Baby}
		if !babies[d.Baby] || !giants[d.Giant] || seen[at] {
			return fmt.Errorf("diagonal at baby %d, giant %d has no rotation or occurs twice", d.Baby, d.Giant)
		}
		seen[at] = true
		if err := d.Values.validate(n); err != nil {
			return err
		}
	}
	return l.Bias.validate(n)
}

func (c *Circuit) validateOutput(out Output) error {
	if out.Value < 0 || out.Value >= c.Values() {
		return fmt.Errorf("no value %d", out.Value)
	}
	if level := c.Level(out.Value); level != 0 {
		return fmt.Errorf("value at level %d: want 0", level)
	}
	if logQ := c.Parameters.LogQ(0); out.ModulusBits < 8 || float64(out.ModulusBits) > logQ {
		return fmt.Errorf("reply modulus 2^%d: want 2^8 to q_0", out.ModulusBits)
	}
	if out.FirstBits != 0 && (out.FirstBits < 8 || out.FirstBits > out.ModulusBits || c.Packing == Batch) {
		return fmt.Errorf("first half of %d bits: want 8 to those of the modulus", out.FirstBits)
	}
	// The samplers are made for deviations from 2^6, and a sixteenth of the modulus is too much noise to answer anything.
	if out.Flood != 0 && !(out.Flood >= MinFlood && out.Flood <= float64(c.Parameters.Q[0])/16) {
		return fmt.Errorf("flood of deviation %g: want none, or 2^6 to q_0/16", out.Flood)
	}
	n := c.Parameters.Slots()
	if c.Packing == Batch {
		if out.Coefficients != nil || out.Period != 0 || out.Flood != 0 || out.Width != c.Width(out.Value) {
			return fmt.Errorf("of a batch, an output has a width and nothing else")
		}
		if out.Value < len(c.Inputs) && len(c.Nodes) > 0 {
			return fmt.Errorf("of a batch, an output is computed")
		}
		return nil
	}
	if out.Width != 0 {
		return fmt.Errorf("width of no batch")
	}
	if c.Packing == Slots {
		if out.Coefficients != nil || out.Period < 1 || n%out.Period != 0 {
			return fmt.Errorf("period %d does not divide %d slots", out.Period, n)
		}
		return nil
	}
	if out.Period != 0 || len(out.Coefficients) == 0 || len(out.Coefficients) > n {
		return fmt.Errorf("%d coefficients: want 1 to %d", len(out.Coefficients), n)
	}
	for _, k := range out.Coefficients {
		if k < 0 || k >= n {
			return fmt.Errorf("no coefficient %d", k)
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func mod(a, n int) int { return ((a % n) + n) % n }
