package circuit

import "slices"

// Work is what operations take, done the way that package fhe does them, counted in vectors of the ring degree. The
// compiler prices circuits by it; what a machine can reach at best follows from it, too.
type Work struct {
	Forward, Inverse int // transforms of a limb
	Lifts            int // of a prime's residues to another prime, within a transform
	Conversions      int // pairs of a source and a target of base conversions from several primes
	KeyProducts      int // of a digit by both halves of a key, at a limb
	Products         int // of both halves of a ciphertext by a diagonal, at a limb
	Runs             int // the same where the diagonal's period is short, so that it takes no memory to speak of
	Moves            int // products by constants, sums and differences, of one half at a limb
}

// Add adds so many times what other takes.
func (w *Work) Add(times int, other Work) {
	w.Forward += times * other.Forward
	w.Inverse += times * other.Inverse
	w.Lifts += times * other.Lifts
	w.Conversions += times * other.Conversions
	w.KeyProducts += times * other.KeyProducts
	w.Products += times * other.Products
	w.Runs += times * other.Runs
	w.Moves += times * other.Moves
}

// decomposition is a polynomial's split into digits of so many primes as are special.
func decomposition(limbs, special int) (w Work) {
	for first := 0; first < limbs; first += special {
		size := min(special, limbs-first)
		others := limbs + special - size // what a digit has on its own limbs is there
		w.Inverse += size
		w.Forward += others
		w.convert(size, others)
	}
	return w
}

// keySwitch is the product of digits with a key, times the special primes.
func keySwitch(limbs, special int) Work {
	digits := (limbs + special - 1) / special
	return Work{KeyProducts: digits * (limbs + special), Moves: limbs}
}

// Switching is what it takes to switch a value to another key.
func Switching(limbs, special int) Work {
	w := decomposition(limbs, special)
	w.Add(1, keySwitch(limbs, special))
	w.Add(1, Division(limbs, special))
	return w
}

// Division is what it takes to divide a value by the limbs that do not stay.
func Division(stay, drop int) Work { return division(2, stay, drop) }

// division of so many polynomials by the limbs that do not stay.
func division(polynomials, stay, drop int) (w Work) {
	if drop == 0 {
		return w
	}
	w.Inverse, w.Forward, w.Moves = polynomials*drop, polynomials*stay, polynomials*stay
	w.convert(drop, polynomials*stay)
	return w
}

func (w *Work) convert(from, to int) {
	if from == 1 {
		w.Lifts += to
	} else {
		w.Conversions += from * to
	}
}

// Plan is what the work of a circuit depends on besides its parameters, levels and scales: one plan serves all schedules
// of a circuit.
type Plan struct {
	nodes []planned
	keys  int // rotation keys
}

// planned is a node. Rotations are given by the numbers of their keys.
type planned struct {
	babies, giants, fold []int
	origins, targets     []int // of the places that babies are rotated from, and giants to: a rotation each, place 0 first
	direct               bool  // babies are rotations of the value itself
	twins                []int // other nodes that want the same babies
	products, runs       int   // diagonals
	sums                 int   // of them, at giant steps
}

// NewPlan plans a circuit.
func NewPlan(c *Circuit) *Plan {
	p := &Plan{nodes: make([]planned, len(c.Nodes))}
	keys, n := map[int]int{}, c.Parameters.Slots()
	key := func(step int) int {
		step = mod(step, n)
		number, known := keys[step]
		if !known {
			number = len(keys)
			keys[step] = number
		}
		return number
	}
	list := func(rotations []Rotation) (all, places []int) {
		known := map[int]bool{}
		for _, r := range rotations {
			all = append(all, key(r.Shift-r.From))
			if !known[r.From] {
				known[r.From] = true
				places = append(places, all[len(all)-1])
			}
		}
		return all, places
	}
	for i, node := range c.Nodes {
		k := &p.nodes[i]
		switch {
		case node.Fold != nil:
			for _, step := range node.Fold.Steps {
				k.fold = append(k.fold, key(step))
			}
		case node.Linear != nil:
			l := node.Linear
			k.babies, k.origins = list(l.Babies)
			k.giants, k.targets = list(l.Giants)
			k.direct = !slices.ContainsFunc(l.Babies, func(r Rotation) bool { return r.From != 0 })
			sums := map[int]bool{}
			for _, d := range l.Diagonals {
				sums[d.Giant] = true
				if c.Repeats(d.Values) > 1 {
					k.runs++
				} else {
					k.products++
				}
			}
			k.sums = len(sums)
			for j, other := range c.Nodes {
				if j != i && other.Linear != nil && other.In[0] == node.In[0] && slices.Equal(other.Linear.Babies, l.Babies) {
					k.twins = append(k.twins, j)
				}
			}
		}
	}
	p.keys = len(keys)
	return p
}

// Repeats returns how many places in a row each value of a vector's encoding stands at. A vector in slots of period R < N
// lies in the subring of degree R: its polynomial is one in X^(N/R), and its transform repeats each of R values N/R times.
// It is 1 where that is not made use of.
func (c *Circuit) Repeats(v Vector) int {
	n := c.Parameters.N()
	if c.Packing != Slots || v.IsZero() || n/v.Period < 8 {
		return 1
	}
	return min(n/v.Period, n/8) // at least a cache line, which is what vectors are aligned to
}

// schedule is a plan beside the circuit that it is run for.
type schedule struct {
	*Plan
	circuit         *Circuit
	special         []int // primes, of each rotation key
	most            int   // of them
	relinearisation int   // special primes
}

func (p *Plan) schedule(c *Circuit) schedule {
	s := schedule{Plan: p, circuit: c, special: make([]int, p.keys)}
	for i, node := range c.Nodes { // a key has the special primes of the highest level at which it is used
		special := c.Parameters.SpecialPrimes(node.Level)
		s.most = max(s.most, special)
		for _, keys := range [][]int{p.nodes[i].babies, p.nodes[i].giants, p.nodes[i].fold} {
			for _, k := range keys {
				s.special[k] = max(s.special[k], special)
			}
		}
		if node.Multiply != nil {
			s.relinearisation = max(s.relinearisation, special)
		}
	}
	return s
}

// HoistsTwice returns with how many special primes the babies of a node's linear map stay until they have been summed up,
// or 0 where it is cheaper to divide each of them, where they are not rotations of one value by keys of one kind, or other
// maps want them, too (Bossuat et al., ePrint 2020/1203, section 4).
func (p *Plan) HoistsTwice(c *Circuit, node int) int { return p.schedule(c).hoistsTwice(node) }

// What a term of a sum costs at one limb, in transforms of a limb: with a plaintext that has one word for many values, and
// with one whose values are read from memory.
const (
	runCost    = 0.3
	packedCost = 0.6
)

func (s schedule) hoistsTwice(i int) int {
	k, limbs := &s.nodes[i], s.circuit.Nodes[i].Level+1
	if len(k.babies) == 0 || !k.direct || s.twin(i, len(s.nodes)) {
		return 0
	}
	special := s.special[k.babies[0]]
	for _, keys := range [][]int{k.babies, k.giants} {
		if slices.ContainsFunc(keys, func(key int) bool { return s.special[key] != special }) {
			return 0
		}
	}
	saved := 2 * len(k.babies) * (limbs + special)
	spent := float64((len(k.giants)+2)*(limbs+special)) + float64(special)*(runCost*float64(k.runs)+packedCost*float64(k.products))
	if spent >= float64(saved) {
		return 0
	}
	return special
}

// twin reports whether another node, before a place, has the same babies at the same level.
func (s schedule) twin(i, before int) bool {
	return slices.ContainsFunc(s.nodes[i].twins, func(j int) bool {
		return j < before && s.circuit.Nodes[j].Level == s.circuit.Nodes[i].Level
	})
}

// Work calls f with the work of each node of a circuit that has the plan's nodes, at the levels that these have in it. Batches
// are done in another way.
func (p *Plan) Work(c *Circuit, f func(node int, w Work)) {
	s := p.schedule(c)
	for i, node := range c.Nodes {
		f(i, s.work(i, node))
	}
}

func (s schedule) work(i int, node Node) (w Work) {
	limbs := node.Level + 1
	stay := limbs - node.Rescale
	switch {
	case node.Linear != nil:
		if special := s.hoistsTwice(i); special > 0 {
			return s.twiceHoisted(i, node, special)
		}
		return s.linear(i, node)
	case node.Fold != nil:
		fold := s.nodes[i].fold
		s.alike(fold, func(special, times int) { w.Add(times, Switching(limbs, special)) })
		w.Moves += 2 * limbs * len(fold)
	case node.Multiply != nil:
		w.Moves = 5 * limbs
		if special := s.relinearisation; special > 0 {
			w.Add(1, decomposition(limbs, special))
			w.Add(1, keySwitch(limbs, special))
			w.Add(1, Division(stay, special+node.Rescale))
		}
		return w
	case node.Combine != nil:
		w.Moves = 2 * limbs * len(node.In)
	case node.Dot != nil:
		w.Products, w.Moves = limbs, 2*limbs
	}
	w.Add(1, Division(stay, node.Rescale))
	return w
}

// linear is a map whose babies are divided.
func (s schedule) linear(i int, node Node) (w Work) {
	k, limbs := &s.nodes[i], node.Level+1
	if !s.twin(i, i) {
		s.alike(k.origins, func(special, times int) { w.Add(times, decomposition(limbs, special)) })
		s.alike(k.babies, func(special, times int) {
			w.Add(times, keySwitch(limbs, special))
			w.Add(times, Division(limbs, special))
		})
	}
	w.Products, w.Runs = limbs*k.products, limbs*k.runs
	w.Moves += 2 * limbs * (k.sums + len(k.targets)) // what is at a target is brought to the special primes
	if len(k.giants) == 0 {
		w.Add(1, Division(limbs-node.Rescale, node.Rescale))
		return w
	}
	s.alike(k.giants, func(special, times int) {
		w.Add(times, decomposition(limbs, special))
		w.Add(times, keySwitch(limbs, special))
	})
	s.alike(k.targets[1:], func(special, times int) { w.Add(times, Division(limbs, special)) })
	w.Add(1, Division(limbs-node.Rescale, s.special[k.targets[0]]+node.Rescale)) // one for the special primes and the rescaling
	return w
}

// alike calls f with how many of some keys have the same number of special primes.
func (s schedule) alike(keys []int, f func(special, times int)) {
	var times [MaxPrimes + 1]int
	for _, key := range keys {
		times[s.special[key]]++
	}
	for special, n := range times[:s.most+1] {
		if n > 0 {
			f(special, n)
		}
	}
}

// twiceHoisted is a map whose babies, and the sums of them, stay times the special primes.
func (s schedule) twiceHoisted(i int, node Node, special int) (w Work) {
	k, limbs := &s.nodes[i], node.Level+1
	w.Add(1, decomposition(limbs, special))
	w.Add(len(k.babies), keySwitch(limbs, special))
	w.Products, w.Runs = (limbs+special)*k.products, (limbs+special)*k.runs
	w.Moves += 2 * (limbs + special) * k.sums
	w.Add(len(k.giants), division(1, limbs, special)) // the half that is turned
	w.Add(len(k.giants), decomposition(limbs, special))
	w.Add(len(k.giants), keySwitch(limbs, special))
	w.Add(1, Division(limbs-node.Rescale, special+node.Rescale))
	return w
}
