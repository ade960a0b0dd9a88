package compiler

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"cipherpoint/circuit"
)

// scales are the numbers that a schedule follows, as powers of two.
type scales struct {
	input     int // scale of fresh ciphertexts
	plaintext int // scale of what linear maps multiply by
	least     int // a prime is divided out as soon as at least this scale is left

	own map[int]int // what single nodes have more of than plaintext
}

// of is the scale of what a node multiplies by.
func (s scales) of(node int) int { return s.plaintext + s.own[node] }

// powerOf2 is math.Exp2 of an integer in a part of its time: schedules are tried by the million.
func powerOf2(n int) float64 { return math.Float64frombits(uint64(1023+n) << 52) }

// schedule fills in the levels and scales of a circuit whose parameters have their primes. It divides primes out as
// early as scales.least allows, so that each operation runs on as few limbs as it can, and not before a whole prime
// of scale has accumulated. It reports whether the primes are just enough: all are used, none is missing, and nothing
// wraps around.
func schedule(c *circuit.Circuit, f *profile, s scales) bool {
	p := c.Parameters
	for i := range c.Inputs {
		c.Inputs[i].Level = p.MaxLevel()
		c.Inputs[i].Scale = powerOf2(s.input)
	}
	least := powerOf2(s.least)
	terminal, several := make([]bool, c.Values()), false
	for _, out := range c.Outputs {
		terminal[out.Value] = true
		several = several || out.Value != c.Outputs[0].Value
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
			node.Scale = in * powerOf2(s.of(i))
		case node.Mix != nil:
			for _, v := range node.In {
				in = max(in, c.Scale(v))
			}
			node.Scale = in * powerOf2(s.of(i))
		case node.Fold != nil:
			node.Scale = in
			if !fits(c, f, value, node.Level) {
				return false
			}
			continue
		case node.Multiply != nil:
			node.Scale = in * c.Scale(node.In[1])
		case node.Combine != nil:
			node.Scale = combinedScale(c, node, s.of(i))
		}
		if several && terminal[value] {
			node.Level = shallowest(c, f, value)
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
		if node.Scale < 1 || node.Mix != nil && !f.mixFits(c, i) {
			return false
		}
	}
	if c.Packing == circuit.Batch {
		relinearise(c)
	}
	for o, out := range c.Outputs {
		if c.Level(out.Value) != 0 || 4*f.means[o]*c.Scale(out.Value) > float64(p.Q[0]) {
			return false
		}
	}
	return true
}

// shallowest is the lowest level at which an output, before rescaling, fits: of several, one that takes fewer products than
// others has primes to drop.
func shallowest(c *circuit.Circuit, f *profile, value int) int {
	node := c.Nodes[value-len(c.Inputs)]
	level := 0
	for level < node.Level && !fits(c, f, value, level) {
		level++
	}
	return level
}

// fits reports whether a value's coefficients stay below a quarter of the modulus: no coefficient exceeds twice the
// largest slot.
func fits(c *circuit.Circuit, f *profile, value, level int) bool {
	modulus := 1.0
	for _, q := range c.Parameters.Q[:level+1] {
		modulus *= float64(q)
	}
	return 4*c.Scale(value)*max(f.max[value], 1e-9) <= modulus
}

// combinedScale is the smallest scale at which every factor is a precise integer.
func combinedScale(c *circuit.Circuit, node *circuit.Node, plaintext int) float64 {
	target := 0.0
	for _, v := range node.In {
		target = max(target, c.Scale(v))
	}
	precision := powerOf2(plaintext)
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
	Reason       string  // why it was chosen or not

	replies   replies
	scales    scales
	deviation float64
	objective float64
	packing   *packing
	profile   *profile
}

// largestError is how many deviations the largest error of some thousand scores may reach. Errors of rounding are sums of
// products of nearly normal values, with longer tails than normal ones.
const largestError = 6

// demands are what a candidate has to keep and what it is priced by.
type demands struct {
	bound   float64 // on the largest error
	flood   int     // see Options.Flood
	weights Weights
	limit   float64 // what costs more is not looked for
}

// styled is a packing with one style of rotations and what its cost depends on.
type styled struct {
	*packing
	profile *profile
	steps   [][]int // the nodes that use each rotation key

	work      *circuit.Plan
	scheduled *circuit.Circuit // what is being priced
}

// candidatesRefined of a packing are followed to the cheapest beside them.
const candidatesRefined = 4

// search finds the cheapest parameters of each shape (limbs and special primes) whose predicted largest error stays
// below the bound, for packings that differ in the style of rotations only: they share their schedules.
func search(styles []styled, want demands) []Candidate {
	if list := searchFactors(styles, want, 10, 25); len(list) > 0 || !math.IsInf(want.limit, 1) {
		return list
	}
	return searchFactors(styles, want, 28, 34) // sums of very many products need more precise factors
}

// searchFactors searches with scales of plaintexts in a range.
func searchFactors(styles []styled, want demands, from, to int) []Candidate {
	type shape struct{ style, limbs, special int }
	best := map[shape]Candidate{}
	c := copyOf(styles[0].circuit)
	f := styles[0].profile
	logN := c.Parameters.LogN
	noiseOf := leastNoise(styles)
	several := slices.ContainsFunc(c.Outputs, func(out circuit.Output) bool { return out.Value != c.Outputs[0].Value })
	precise := func() bool { return several || noiseOf(c)*largestError < want.bound }
	for primeBits := 24; primeBits <= circuit.MaxPrimeBits; primeBits++ {
		for least := 15; least <= 39; least += 3 {
			for input := 16; input <= 43; input += 3 {
				for plaintext := from; plaintext <= to; plaintext += 3 {
					s := scales{input: input, plaintext: plaintext, least: least}
					qBits, ok := chainFor(c, f, s, logN, primeBits, precise)
					if !ok || want.weights.price(0, 0, requestBytes(c))/samplesOf(c) >= want.limit {
						continue
					}
					for _, pBits := range specialPrimes(c, logN, qBits) {
						if c.Parameters.SetPrimes(qBits, pBits) != nil || c.Parameters.LogQP() > circuit.MaxLogQP(logN) {
							continue
						}
						for i := range styles {
							if styles[i].decision.plan.wider != 0 {
								continue // see widen
							}
							at := shape{i, len(qBits), len(pBits)}
							have, seen := best[at]
							limit := want.limit
							if seen {
								limit = have.objective
							}
							if candidate, ok := styles[i].evaluate(c, limit, want); ok {
								candidate.LogN, candidate.QBits, candidate.PBits, candidate.scales = logN, qBits, pBits, s
								best[at] = candidate
							}
						}
					}
				}
			}
		}
	}
	var list []Candidate
	for _, at := range slices.SortedFunc(maps.Keys(best), func(a, b shape) int {
		return cmp.Or(a.style-b.style, a.limbs-b.limbs, a.special-b.special) // so that what costs the same has one order
	}) {
		list = append(list, best[at])
	}
	slices.SortStableFunc(list, compareCandidates)
	for _, k := range list[:min(candidatesRefined, len(list))] {
		list = append(list, widen(styles, c, k, want)...)
	}
	slices.SortStableFunc(list, compareCandidates)
	for i := range min(candidatesRefined, len(list)) {
		at := slices.IndexFunc(styles, func(s styled) bool { return s.packing == list[i].packing })
		list[i] = styles[at].refine(c, list[i], want)
	}
	slices.SortStableFunc(list, compareCandidates)
	return list
}

// leastNoise returns what predicts, of a schedule, no more noise than any style and any special primes make: most of what
// is too noisy is so without key switching, which is cheap to tell.
func leastNoise(styles []styled) func(c *circuit.Circuit) float64 {
	f := *styles[0].profile
	f.linear = maps.Clone(f.linear)
	for i, least := range f.linear {
		for _, s := range styles {
			least.encoding = min(least.encoding, s.profile.linear[i].encoding)
		}
		f.linear[i] = least
	}
	return func(c *circuit.Circuit) float64 {
		e := newNoise(c.Parameters)
		e.keyless = true
		return e.predict(c, &f)
	}
}

// widen returns a candidate with other balances of baby and giant steps: what is best hardly depends on scales and sizes of
// primes, so that it is looked for beside good candidates only.
func widen(styles []styled, c *circuit.Circuit, k Candidate, want demands) (list []Candidate) {
	for i := range styles {
		if other := k.clone(); styles[i].decision.plan.wider != 0 && styles[i].tries(c, &other, want.limit, want) {
			list = append(list, other)
		}
	}
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

// chainFor returns the bits of the shortest chain of primes, all of primeBits but q_0, on which the schedule runs, and
// leaves the circuit scheduled on it. There is none where the schedule is not precise, which is asked before q_0 has its size:
// scales do not depend on that, unless there are several outputs.
func chainFor(c *circuit.Circuit, f *profile, s scales, logN, primeBits int, precise func() bool) ([]int, bool) {
	for limbs := 1; limbs <= circuit.MaxPrimes && float64(primeBits*(limbs-1)) < circuit.MaxLogQP(logN); limbs++ {
		bits := slices.Repeat([]int{primeBits}, limbs)
		runs := func(base int) bool {
			bits[0] = base
			return c.Parameters.SetPrimes(bits, nil) == nil && schedule(c, f, s)
		}
		largest := f.largestPrime(s)
		if !runs(largest) {
			continue
		}
		if !precise() {
			return nil, false
		}
		// q_0 is never divided out: it need not be larger than what the tightest value leaves to it.
		low, high := smallestPrime, largest
		for low < high {
			if middle := (low + high) / 2; runs(middle) {
				high = middle
			} else {
				low = middle + 1
			}
		}
		return bits, runs(low)
	}
	return nil, false
}

// smallestPrime is the least size of a prime: smaller ones are few.
const smallestPrime = circuit.MinPrimeBits + 1

// specialPrimes lists the choices for key switching: 1 to 4 primes, about as large as those of Q and within security.
func specialPrimes(c *circuit.Circuit, logN int, qBits []int) [][]int {
	if !needsKeys(c) {
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

// needsKeys reports whether an operation of the circuit switches keys.
func needsKeys(c *circuit.Circuit) bool {
	return slices.ContainsFunc(c.Nodes, func(n circuit.Node) bool { return n.Multiply != nil || n.Rotations() > 0 })
}

// evaluate prices a schedule, the levels and scales that c was left with, for this style; it reports false where the
// price is not below the limit or the error not below the bound.
func (p *styled) evaluate(c *circuit.Circuit, limit float64, want demands) (Candidate, bool) {
	w := want.weights
	if p.scheduled == nil {
		p.scheduled, p.work = copyOf(p.circuit), circuit.NewPlan(p.circuit)
	}
	own := p.scheduled
	own.Parameters = c.Parameters
	copy(own.Inputs, c.Inputs)
	for i := range own.Nodes {
		own.Nodes[i].Level, own.Nodes[i].Rescale, own.Nodes[i].Scale = c.Nodes[i].Level, c.Nodes[i].Rescale, c.Nodes[i].Scale
		own.Nodes[i].Relinearise = c.Nodes[i].Relinearise
	}
	var candidate Candidate
	candidate.RequestBytes = requestBytes(c)
	samples := samplesOf(c)
	tooMuch := func() bool {
		return w.price(candidate.Latency, candidate.KeyBytes, candidate.RequestBytes)/samples >= limit
	}
	if candidate.KeyBytes = p.keyBytes(own); tooMuch() { // what is cheap to tell comes first
		return Candidate{}, false
	}
	if latencies(own, p.work, func(_ int, ms float64) { candidate.Latency += ms }); tooMuch() {
		return Candidate{}, false
	}
	candidate.deviation = predict(own, p.profile)
	if want.flood > 0 {
		if !flood(own, p.packing, p.profile, want.flood) {
			return Candidate{}, false
		}
		candidate.deviation = flooded(own, p.packing, candidate.deviation)
	}
	if !(candidate.deviation*largestError < want.bound) {
		return Candidate{}, false
	}
	replies, ok := chooseReplies(own, p.packing, want.bound, w, candidate.KeyBytes)
	if !ok {
		return Candidate{}, false
	}
	candidate.replies, candidate.ReplyBytes = replies, replies.bytes
	candidate.KeyBytes += replies.keyBytes
	candidate.Latency += replies.latency
	candidate.objective = w.price(candidate.Latency, candidate.KeyBytes, candidate.RequestBytes+candidate.ReplyBytes) / float64(samples)
	candidate.Precision = math.Log2(p.profile.spread / (candidate.deviation * largestError))
	candidate.packing, candidate.profile = p.packing, p.profile
	return candidate, candidate.objective < limit
}

// requestBytes is the size of all inputs, encrypted.
func requestBytes(c *circuit.Circuit) float64 {
	ciphertexts := len(c.Inputs)
	if c.Packing == circuit.Batch {
		ciphertexts = 0
		for _, in := range c.Inputs {
			ciphertexts += in.Width
		}
	}
	return float64(ciphertexts) * polynomialBytes(c.Parameters.N(), c.Parameters.Q)
}

// samplesOf is how many samples a request holds.
func samplesOf(c *circuit.Circuit) float64 {
	if c.Packing == circuit.Batch {
		return float64(c.Parameters.Slots())
	}
	return 1
}

// keyBytes is the size of the keys that the scheduled circuit needs.
func (p *styled) keyBytes(c *circuit.Circuit) float64 {
	total, relinearisation := 0.0, -1
	for _, node := range c.Nodes {
		if node.Relinearise || node.Multiply != nil && c.Packing != circuit.Batch {
			relinearisation = max(relinearisation, node.Level)
		}
	}
	var sizes [circuit.MaxPrimes]float64 // by level
	size := func(level int) float64 {
		if sizes[level] == 0 {
			sizes[level] = switchingKeyBytes(c.Parameters, level)
		}
		return sizes[level]
	}
	if relinearisation >= 0 {
		total += size(relinearisation)
	}
	for _, nodes := range p.steps {
		level := 0
		for _, i := range nodes {
			level = max(level, c.Nodes[i].Level)
		}
		total += size(level)
	}
	return total
}

// keySteps lists for each rotation key the nodes that use it.
func keySteps(c *circuit.Circuit) [][]int {
	byStep := map[int][]int{}
	n := c.Parameters.Slots()
	for i, node := range c.Nodes {
		var steps []int
		if node.Linear != nil {
			for _, r := range slices.Concat(node.Linear.Babies, node.Linear.Giants) {
				steps = append(steps, r.Shift-r.From)
			}
		}
		if node.Fold != nil {
			steps = append(steps, node.Fold.Steps...)
		}
		for _, s := range steps {
			s = (s%n + n) % n
			if list := byStep[s]; len(list) == 0 || list[len(list)-1] != i {
				byStep[s] = append(list, i)
			}
		}
	}
	return slices.Collect(maps.Values(byStep))
}

// period is how many sums over classes of slots the client decrypts of an output; of a batch, every slot by itself.
func period(c *circuit.Circuit, output int) int {
	if c.Packing == circuit.Batch {
		return c.Parameters.Slots()
	}
	return max(c.Outputs[output].Period, 1)
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
