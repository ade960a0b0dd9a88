package compiler

import (
	"math"
	"slices"

	"cipherpoint/circuit"
)

// scales are the numbers that a schedule follows, as powers of two.
type scales struct {
	input     int // scale of fresh ciphertexts
	plaintext int // scale of what linear maps multiply by
	least     int // a prime is divided out as soon as at least this scale is left
}

// schedule fills in the levels and scales of a circuit whose parameters have their primes. It divides primes out as
// early as scales.least allows, so that each operation runs on as few limbs as it can, and not before a whole prime
// of scale has accumulated. It reports whether the primes are just enough: all are used, none is missing, and nothing
// wraps around.
func schedule(c *circuit.Circuit, f *profile, s scales) bool {
	p := c.Parameters
	for i := range c.Inputs {
		c.Inputs[i].Level = p.MaxLevel()
		c.Inputs[i].Scale = math.Exp2(float64(s.input))
	}
	least := math.Exp2(float64(s.least))
	terminal := make([]bool, c.Values())
	for _, out := range c.Outputs {
		terminal[out.Value] = true
	}
	for i := range c.Nodes {
		node := &c.Nodes[i]
		node.Level, node.Rescale = p.MaxLevel(), 0
		for _, v := range node.In {
			node.Level = min(node.Level, c.Level(v))
		}
		value := len(c.Inputs) + i
		in := c.Scale(node.In[0])
		switch {
		case node.Linear != nil || node.Dot != nil:
			node.Scale = in * math.Exp2(float64(s.plaintext))
		case node.Fold != nil:
			node.Scale = in
			if !fits(c, f, value, node.Level) {
				return false
			}
			continue
		case node.Multiply != nil:
			node.Scale = in * c.Scale(node.In[1])
		case node.Combine != nil:
			node.Scale = combinedScale(c, node, s.plaintext)
		}
		if !terminal[value] && !fits(c, f, value, node.Level) {
			return false
		}
		for node.Rescale < node.Level {
			q := float64(p.Q[node.Level-node.Rescale])
			if !terminal[value] && node.Scale/q < least {
				break
			}
			node.Scale /= q
			node.Rescale++
		}
		if node.Scale < 1 {
			return false
		}
	}
	for o, out := range c.Outputs {
		if c.Level(out.Value) != 0 || 4*f.means[o]*c.Scale(out.Value) > float64(p.Q[0]) {
			return false
		}
	}
	return true
}

// fits reports whether a value's coefficients stay below a quarter of the modulus: no coefficient exceeds twice the
// largest slot.
func fits(c *circuit.Circuit, f *profile, value, level int) bool {
	return math.Log2(c.Scale(value))+math.Log2(4*max(f.max[value], 1e-9)) <= c.Parameters.LogQ(level)
}

// combinedScale is the smallest scale at which every factor is a precise integer.
func combinedScale(c *circuit.Circuit, node *circuit.Node, plaintext int) float64 {
	target := 0.0
	for _, v := range node.In {
		target = max(target, c.Scale(v))
	}
	precision := math.Exp2(float64(plaintext))
	exact := true
	for k, v := range node.In {
		ratio := math.Abs(node.Combine.Factors[k]) * target / c.Scale(v)
		exact = exact && math.Abs(ratio-math.Round(ratio)) <= ratio/precision
	}
	if exact {
		return target
	}
	for k, v := range node.In {
		if factor := math.Abs(node.Combine.Factors[k]); factor > 0 {
			target = max(target, c.Scale(v)*precision/factor)
		}
	}
	return target
}

// Candidate is one set of parameters with what it costs and what it gives, as the compiler compares them.
type Candidate struct {
	LogN         int
	Packing      string  // how inputs are packed and rotations made
	QBits, PBits []int   // of the primes
	Latency      float64 // estimated milliseconds on one core
	KeyBytes     float64
	RequestBytes float64
	ReplyBytes   float64
	Precision    float64 // predicted bits of the scores' range above the largest expected error
	Secure       bool
	Reason       string // why it was chosen or not

	scales    scales
	deviation float64
	objective float64
	packing   *packing
	profile   *profile
}

// largestError is the largest of some thousand normal errors in deviations.
const largestError = 5

// search finds for a packing the cheapest parameters of each shape (limbs and special primes) whose predicted largest
// error stays below the bound.
func search(p *packing, f *profile, bound float64, weights Weights) []Candidate {
	best := map[[2]int]Candidate{}
	c := copyOf(p.circuit)
	logN := c.Parameters.LogN
	for primeBits := 24; primeBits <= circuit.MaxPrimeBits; primeBits++ {
		for least := 15; least <= 40; least += 2 {
			for input := 16; input <= 42; input += 2 {
				for plaintext := 10; plaintext <= 26; plaintext += 2 {
					s := scales{input, plaintext, least}
					qBits, ok := chainFor(c, f, s, logN, primeBits)
					if !ok {
						continue
					}
					for _, pBits := range specialPrimes(c, logN, qBits) {
						candidate, ok := evaluate(c, p, f, s, logN, qBits, pBits, bound, weights)
						shape := [2]int{len(qBits), len(pBits)}
						if have, seen := best[shape]; ok && (!seen || candidate.objective < have.objective) {
							best[shape] = candidate
						}
					}
				}
			}
		}
	}
	var list []Candidate
	for _, candidate := range best {
		list = append(list, candidate)
	}
	slices.SortFunc(list, compareCandidates)
	return list
}

func compareCandidates(a, b Candidate) int {
	switch {
	case a.objective != b.objective:
		if a.objective < b.objective {
			return -1
		}
		return 1
	case len(a.QBits) != len(b.QBits):
		return len(a.QBits) - len(b.QBits)
	}
	return len(a.PBits) - len(b.PBits)
}

// chainFor returns the bits of the shortest chain of primes, all of primeBits but q_0, on which the schedule runs.
func chainFor(c *circuit.Circuit, f *profile, s scales, logN, primeBits int) ([]int, bool) {
	const longest = 20
	for limbs := 1; limbs <= longest; limbs++ {
		bits := slices.Repeat([]int{primeBits}, limbs)
		bits[0] = circuit.MaxPrimeBits
		if float64(primeBits*(limbs-1)) > circuit.MaxLogQP(logN) {
			return nil, false
		}
		setPrimes(c, bits, nil)
		if !schedule(c, f, s) {
			continue
		}
		// q_0 need not be larger than what is left of the tightest value.
		for bits[0] > circuit.MinPrimeBits+4 {
			bits[0]--
			setPrimes(c, bits, nil)
			if !schedule(c, f, s) {
				bits[0]++
				break
			}
		}
		return bits, true
	}
	return nil, false
}

// specialPrimes lists the choices for key switching: 1 to 4 primes, about as large as those of Q and within security.
func specialPrimes(c *circuit.Circuit, logN int, qBits []int) [][]int {
	if c.Keys().Count() == 0 {
		return [][]int{nil}
	}
	sum, largest := 0, 0
	for _, b := range qBits {
		sum += b
		largest = max(largest, b)
	}
	var list [][]int
	for count := 1; count <= min(4, len(qBits)); count++ {
		room := (int(circuit.MaxLogQP(logN)) - sum) / count
		if b := min(room, largest+1, circuit.MaxPrimeBits); b >= circuit.MinPrimeBits {
			list = append(list, slices.Repeat([]int{b}, count))
		}
	}
	return list
}

func evaluate(c *circuit.Circuit, p *packing, f *profile, s scales, logN int, qBits, pBits []int, bound float64, w Weights) (Candidate, bool) {
	setPrimes(c, qBits, pBits)
	if c.Parameters.LogQP() > circuit.MaxLogQP(logN) || !schedule(c, f, s) {
		return Candidate{}, false
	}
	deviation := predict(c, f)
	if !(deviation*largestError < bound) {
		return Candidate{}, false
	}
	if !replyBits(c, p, bound) {
		return Candidate{}, false
	}
	candidate := Candidate{LogN: logN, QBits: slices.Clone(qBits), PBits: slices.Clone(pBits), scales: s, packing: p, profile: f,
		deviation: deviation, Secure: true, Precision: math.Log2(spread(f.scores) / (deviation * largestError))}
	for _, node := range c.Nodes {
		candidate.Latency += latency(c, node)
	}
	candidate.KeyBytes = keyBytes(c.Parameters, c.Keys())
	candidate.RequestBytes = float64(len(c.Inputs)) * polynomialBytes(c.Parameters.N(), c.Parameters.Q)
	for _, out := range c.Outputs {
		candidate.ReplyBytes += float64(c.Parameters.N()*out.ModulusBits) / 8
	}
	candidate.objective = candidate.Latency + w.Keys*candidate.KeyBytes/1e6 + w.Messages*(candidate.RequestBytes+candidate.ReplyBytes)/1e6
	return candidate, true
}

// replyBits sets the outputs' moduli to the smallest power of two at which rounding to it costs a tenth of the bound.
func replyBits(c *circuit.Circuit, p *packing, bound float64) bool {
	e := newNoise(c.Parameters)
	for o := range c.Outputs {
		out := &c.Outputs[o]
		bits := int(math.Floor(c.Parameters.LogQ(0)))
		cost := func(bits int) float64 {
			if c.Packing == circuit.Coefficients {
				return e.coefficientReply(bits, c.Scale(out.Value))
			}
			return math.Abs(p.outputs[o].Factor) * e.reply(out.Period, bits, c.Scale(out.Value))
		}
		if cost(bits)*largestError > bound/10 {
			return false
		}
		for bits > 8 && cost(bits-1)*largestError <= bound/10 {
			bits--
		}
		out.ModulusBits = bits
	}
	return true
}

// setPrimes puts stand-ins of the right sizes for primes, which are looked for once the choice is made.
func setPrimes(c *circuit.Circuit, qBits, pBits []int) {
	standIn := func(bits []int) []uint64 {
		list := make([]uint64, len(bits))
		for i, b := range bits {
			list[i] = 1<<b - 1
		}
		return list
	}
	c.Parameters.Q, c.Parameters.P = standIn(qBits), standIn(pBits)
}

// copyOf copies what schedule writes to.
func copyOf(c *circuit.Circuit) *circuit.Circuit {
	out := *c
	out.Inputs, out.Nodes, out.Outputs = slices.Clone(c.Inputs), slices.Clone(c.Nodes), slices.Clone(c.Outputs)
	return &out
}

// spread is the range of the scores.
func spread(scores [][]float64) float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range scores {
		for _, s := range row {
			low, high = min(low, s), max(high, s)
		}
	}
	return high - low
}
