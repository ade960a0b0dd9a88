package compiler

import (
	"math"
	"math/rand/v2"
	"slices"

	"cipherpoint/circuit"
)

// Standard deviations of the error distribution and of the uniform ternary secret's coefficients.
const errorStd = 3.2

var secretStd = math.Sqrt(2. / 3)

// noise computes standard deviations of errors in a ring. Errors are followed in the canonical embedding, where
// products of polynomials are products of independent slots (Costache et al., ePrint 2019/493, section 3).
type noise struct {
	parameters circuit.Parameters
	// embedding is the ratio of a slot's deviation to a coefficient's: √N in the standard ring, √2N in the
	// conjugate-invariant one, whose basis X^k + X^-k evaluates to 2·cos.
	embedding float64
	keyless   bool // key switching is taken for exact
}

func newNoise(p circuit.Parameters) noise {
	n := float64(p.N())
	if p.Ring == circuit.ConjugateInvariant {
		n *= 2
	}
	return noise{parameters: p, embedding: math.Sqrt(n)}
}

// fresh is a slot's error after secret-key encryption.
func (e noise) fresh() float64 { return e.embedding * errorStd }

// rounding is a slot's error after both halves of a ciphertext were rounded: by rescaling, by the end of key switching.
func (e noise) rounding() float64 {
	return e.embedding * math.Sqrt((1+e.embedding*e.embedding*secretStd*secretStd)/12)
}

// keySwitch is a slot's error after key switching at a level: Σ_i digit_i·e_i / P, digits uniform in ±D_i/2, and the
// final rounding.
func (e noise) keySwitch(level int) float64 {
	if e.keyless {
		return 0
	}
	p := e.parameters
	s := p.SpecialPrimes(level)
	special := 1.0
	for _, q := range p.P[:s] {
		special *= float64(q)
	}
	variance := e.rounding() * e.rounding()
	for from := 0; from <= level; from += s {
		digit := 1.0
		for _, q := range p.Q[from:min(from+s, level+1)] {
			digit *= float64(q)
		}
		std := e.embedding * e.embedding * errorStd * digit / math.Sqrt(12) / special
		variance += std * std
	}
	return math.Sqrt(variance)
}

// encoding is a slot's error of a plaintext with this many coefficients, relative to its scale.
func (e noise) encoding(coefficients int) float64 {
	return e.embedding * math.Sqrt(float64(coefficients)/float64(e.parameters.N())/12)
}

// profile is what the noise of a circuit's values depends on besides levels and scales, measured once on calibration
// rows.
type profile struct {
	rms, max []float64 // of each value, over slots and rows
	means    []float64 // of each output: the largest mean over a class of slots
	// transfer[v] is the deviation of the worst answer for noise of deviation one on value v: white noise or, where v is
	// a fold, noise of each of its steps, which the steps after it copy. repeated[v] is the same for noise that repeats
	// with the period of the linear map that makes v: copies do not average out. weighted[v] is that for noise of the map's
	// baby rotations, which its diagonals have multiplied: where weights are large in a few slots, these make all of it.
	transfer, repeated, weighted []float64
	linear                       map[int]linearProfile // by node
	mixes                        map[int][]mixProfile  // by node, for each operand
	scores                       [][]float64           // of each row
	spread                       float64               // of the scores
}

type linearProfile struct {
	encoding float64 // Σ over diagonals of the share of non-zero coefficients, N=1
	// babies is Σ over diagonals of mean square value × number of rotations behind it, and shape the root of each slot's
	// share of that: one in the root mean square.
	babies float64
	shape  []float64
	giants float64 // number of giant rotations
}

// varied is how many rows are run again with noise on each value.
const varied = 6

// measure profiles a packing on a few rows; largest are the outputs' largest scores on more.
func measure(p *packing, rows [][][]float64, largest []float64) (*profile, error) {
	c := p.circuit
	values, n := c.Values(), float64(c.Parameters.Slots())
	batch := c.Packing == circuit.Batch
	f := &profile{mixes: profileMixes(c), rms: make([]float64, values), max: make([]float64, values),
		means: make([]float64, len(c.Outputs)), linear: map[int]linearProfile{}}
	for _, row := range rows {
		out, err := c.RunObserved(func(v int, x []float64) {
			for _, xj := range x {
				f.rms[v] += xj * xj
				f.max[v] = max(f.max[v], math.Abs(xj))
			}
		}, row...)
		if err != nil {
			return nil, err
		}
		for o, sums := range out {
			for _, s := range sums {
				if batch {
					f.means[o] = max(f.means[o], math.Abs(s))
				} else {
					f.means[o] = max(f.means[o], math.Abs(s)*float64(len(sums))/n)
				}
			}
		}
		f.scores = append(f.scores, p.scores(out))
	}
	for o := range c.Outputs {
		f.means[o] = max(f.means[o], largest[o]/p.outputs[o].Factor*float64(period(c, o))/n)
	}
	for v := range f.rms {
		f.rms[v] = math.Sqrt(f.rms[v] / float64(c.Width(v)*len(rows)))
	}
	f.spread = spread(f.scores)
	p.profileLinears(f)
	return f, p.transfers(f, rows[:min(varied, len(rows))])
}

// linearPeriod is the longest period of the diagonals of the linear map that makes a value, or 0 for other values.
func (p *packing) linearPeriod(value int) int {
	period := 0
	if i := value - len(p.circuit.Inputs); i >= 0 && p.circuit.Nodes[i].Linear != nil {
		for _, d := range p.circuit.Nodes[i].Linear.Diagonals {
			period = max(period, d.Values.Period)
		}
	}
	return period
}

// foldSteps returns the steps of the fold that makes a value, or nothing for other values.
func (p *packing) foldSteps(value int) []int {
	if i := value - len(p.circuit.Inputs); i >= 0 && p.circuit.Nodes[i].Fold != nil {
		return p.circuit.Nodes[i].Fold.Steps
	}
	return nil
}

// transfers measures how far noise of deviation one on each value moves the worst score.
func (p *packing) transfers(f *profile, rows [][][]float64) error {
	c, random := p.circuit, rand.New(rand.NewPCG(1, 1))
	values := make([][]float64, c.Values())
	white, repeated, weighted := make([][]float64, len(values)), make([][]float64, len(values)), make([][]float64, len(values)) // squares, of each score
	add := func(to *[]float64, clean []float64, v int, noise deviation) {
		std := 1e-4 * max(f.rms[v], 1e-6)
		noise.white *= std
		noise.repeated *= std
		noise.weighted *= std
		x := slices.Clone(values[v])
		noise.addTo(x, nil, random)
		if *to == nil {
			*to = make([]float64, len(clean))
		}
		for k, s := range p.scores(c.Vary(values, v, x)) {
			(*to)[k] += (s - clean[k]) * (s - clean[k]) / (std * std * float64(len(rows)))
		}
	}
	for i, row := range rows {
		if _, err := c.RunObserved(func(v int, x []float64) { values[v] = x }, row...); err != nil {
			return err
		}
		for v := range values {
			add(&white[v], f.scores[i], v, deviation{white: 1, steps: p.foldSteps(v)})
			if period := p.linearPeriod(v); period > 0 {
				add(&repeated[v], f.scores[i], v, deviation{repeated: 1, period: period})
			}
			if l := f.linear[v-len(c.Inputs)]; l.babies > 0 {
				add(&weighted[v], f.scores[i], v, deviation{weighted: 1, shape: l.shape})
			}
		}
	}
	worst := func(squares [][]float64) []float64 {
		list := make([]float64, len(values))
		for v, of := range squares {
			if of != nil {
				list[v] = math.Sqrt(slices.Max(of))
			}
		}
		return list
	}
	f.transfer, f.repeated, f.weighted = worst(white), worst(repeated), worst(weighted)
	return nil
}

// deviation is the noise that a value introduces. What a ciphertext's second part brings, when it is rounded or its digits
// are multiplied by a key, is in each slot a product with a value that the user's secrets have there: under one key it is
// normal with that value's size, over all keys its tails are long.
type deviation struct {
	white    float64   // of each slot
	keyed    float64   // of each slot, times the key's value there
	weighted float64   // the same, times the shape
	shape    []float64 // of each slot
	steps    []int     // of a fold: white and keyed are the noise of each step
	repeated float64   // noise that repeats with a period
	period   int
}

// addTo adds the noise under a key, which is given by its values in the slots; nil are values of one, which have the same
// root mean square.
func (d deviation) addTo(x, key []float64, random *rand.Rand) {
	if d.repeated > 0 {
		for j := range d.period {
			e := d.repeated * random.NormFloat64()
			for ; j < len(x); j += d.period {
				x[j] += e
			}
		}
	}
	if d.white == 0 && d.keyed == 0 && d.weighted == 0 {
		return
	}
	slot := func(j int) float64 {
		keyed, white := d.keyed, d.white
		if d.weighted > 0 {
			keyed = math.Hypot(keyed, d.weighted*d.shape[j])
		}
		if key != nil {
			keyed *= key[j]
		}
		return math.Sqrt(white*white+keyed*keyed) * random.NormFloat64()
	}
	if len(d.steps) == 0 {
		for j := range x {
			x[j] += slot(j)
		}
		return
	}
	e, rotated := make([]float64, len(x)), make([]float64, len(x))
	for _, step := range d.steps {
		copy(rotated[copy(rotated, e[step:]):], e[:step])
		for j := range e {
			e[j] += rotated[j] + slot(j)
		}
	}
	for j := range x {
		x[j] += e[j]
	}
}

// drawKey draws what a secret key has in the slots of a value, in units of its deviation. In a batch all elements of a
// sample share a slot; coefficients mix all of a key, and nothing of it remains.
func drawKey(c *circuit.Circuit, random *rand.Rand) []float64 {
	if c.Packing == circuit.Coefficients {
		return nil
	}
	width := 0
	for v := range c.Values() {
		width = max(width, c.Width(v))
	}
	key := make([]float64, width)
	for j := range key {
		if c.Packing == circuit.Batch && j > 0 {
			key[j] = key[0]
		} else {
			key[j] = random.NormFloat64()
		}
	}
	return key
}

// profileLinears takes in what the plans of the linear maps say; it depends on the rotations' style.
func (p *packing) profileLinears(f *profile) {
	n := p.circuit.Parameters.Slots()
	for i, node := range p.circuit.Nodes {
		l := node.Linear
		if l == nil {
			continue
		}
		depth := map[int]int{0: 0}
		for _, r := range l.Babies {
			depth[r.Shift] = depth[r.From] + 1
		}
		lp := linearProfile{giants: float64(len(l.Giants)), shape: make([]float64, n)}
		for _, d := range l.Diagonals {
			lp.encoding += float64(d.Values.Period) / float64(n)
			if depth := float64(depth[d.Baby]); depth > 0 {
				lp.babies += d.Values.MeanSquare() * depth
				d.Values.Each(n, func(j int, v float64) { lp.shape[(j-d.Giant+n)%n] += v * v * depth })
			}
		}
		if lp.babies > 0 {
			for j, variance := range lp.shape {
				lp.shape[j] = math.Sqrt(variance / lp.babies)
			}
		}
		f.linear[i] = lp
	}
}

// scores applies the answers' positions and factors.
func (p *packing) scores(outputs [][]float64) []float64 {
	var scores []float64
	for i, a := range p.outputs {
		for _, at := range a.Positions {
			scores = append(scores, a.Factor*outputs[i][at])
		}
	}
	return scores
}

// introduced returns the noise that a value of a scheduled circuit adds to what its operands bring.
func (e noise) introduced(c *circuit.Circuit, f *profile, value int) deviation {
	if value < len(c.Inputs) {
		return deviation{white: e.fresh() / c.Inputs[value].Scale}
	}
	i := value - len(c.Inputs)
	node := c.Nodes[i]
	unscaled := node.Scale * c.Divisor(node) // before rescaling
	var d deviation
	var white, keyed float64 // variances
	switch {
	case node.Linear != nil:
		lp := f.linear[i]
		d.repeated = e.encoding(c.Parameters.N()) * f.rms[node.In[0]] / c.PlaintextScale(node, 0) * math.Sqrt(lp.encoding)
		if lp.babies+lp.giants > 0 {
			ks := e.keySwitch(node.Level)
			d.weighted, d.shape = ks/c.Scale(node.In[0])*math.Sqrt(lp.babies), lp.shape
			keyed += ks * ks / (unscaled * unscaled) * lp.giants
		}
	case node.Dot != nil:
		// Here the profile holds the length of the input in the place of a count of diagonals.
		white = square(e.embedding / math.Sqrt(12) / c.PlaintextScale(node, 0) * f.linear[i].encoding)
	case node.Fold != nil:
		keyed = square(e.keySwitch(node.Level) / node.Scale) // of a step
	case node.Multiply != nil && c.Packing != circuit.Batch:
		keyed = square(e.keySwitch(node.Level) / unscaled)
	case node.Mix != nil:
		white = f.mixRounding(c, i)
	case node.Combine != nil:
		for k, v := range node.In {
			ratio := node.Combine.Factors[k] * c.PlaintextScale(node, k)
			if ratio != 0 {
				white += square((math.Round(ratio)/ratio - 1) * node.Combine.Factors[k] * f.rms[v])
			}
		}
	}
	if node.Relinearise {
		keyed += square(e.keySwitch(node.Level) / unscaled)
	}
	if node.Rescale > 0 {
		keyed += square(e.rounding() / node.Scale)
	}
	d.white, d.keyed = math.Sqrt(white), math.Sqrt(keyed)
	return d
}

func square(x float64) float64 { return x * x }

// predict returns the deviation of the worst score of a scheduled circuit.
func predict(c *circuit.Circuit, f *profile) float64 { return newNoise(c.Parameters).predict(c, f) }

func (e noise) predict(c *circuit.Circuit, f *profile) float64 {
	variance := 0.0
	for v := range c.Values() {
		d := e.introduced(c, f, v)
		variance += (square(d.white)+square(d.keyed))*square(f.transfer[v]) + square(d.weighted*f.weighted[v]) + square(d.repeated*f.repeated[v])
	}
	return math.Sqrt(variance)
}
