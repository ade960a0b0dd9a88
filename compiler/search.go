package compiler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cipherpoint/circuit"
	"cipherpoint/pipeline"
)

// packingsTried is the number of packings at each ring degree whose parameters are searched, out of all by nominal cost.
const packingsTried = 12

// Of these the first by nominal cost are searched without a limit. What costs more than so many times as much as the best
// is not refined, which never saves as much.
const (
	packingsExplored = 4
	worthRefining    = 1.2
)

// noisyError says that simulated noise is above what was predicted.
type noisyError struct{ largest, limit, bound float64 }

func (e *noisyError) Error() string {
	return fmt.Sprintf("simulated noise is above what was predicted: %.3g, with a bound of %.3g", e.largest, e.bound)
}

// search compares candidates and chooses. Where cheaper ones than the choice are noisier than predicted, it searches again
// with a smaller error in mind: what is as cheap with a little less noise may not have been among them.
func (k *compilation) search() (*Result, error) {
	const rounds, candidatesBuilt = 5, 4
	k.target = k.room()
	var best *Result
	for round := 1; ; round++ {
		k.candidates = nil
		if err := k.compare(best); err != nil && best == nil {
			return nil, err
		}
		slices.SortStableFunc(k.candidates, compareCandidates)
		if best != nil && (len(k.candidates) == 0 || k.candidates[0].objective >= best.Candidates[0].objective) {
			return best, nil
		}
		most := candidatesBuilt
		if round == rounds {
			most = len(k.candidates)
		}
		result, noisy, err := k.choose(most)
		if err == nil && (best == nil || result.Candidates[0].objective < best.Candidates[0].objective) {
			best = result
		}
		switch {
		case best != nil && (noisy == nil || round == rounds):
			return best, nil
		case noisy == nil:
			return nil, err
		case round == rounds:
			return nil, fmt.Errorf("%w: %w", ErrTooExact, err)
		}
		k.target /= min(max(1.1*noisy.largest/noisy.limit, 1.2), 1.6)
	}
}

// compare fills in the candidates, from the smallest ring degree up, until a larger one is no longer better: those that
// may cost less than a result, where there is one.
func (k *compilation) compare(than *Result) error {
	limit, largest := math.Inf(1), circuit.MaxLogN
	if than != nil {
		limit, largest = worthRefining*than.Candidates[0].objective, than.Candidates[0].LogN
	}
	if c, ok, err := k.dot(); err != nil {
		return err
	} else if ok {
		k.candidates = append(k.candidates, c)
	}
	for logN := circuit.MinLogN; logN <= largest; logN++ {
		// A degree costs about twice the one below: two degrees above a solution there is none better.
		if len(k.candidates) > 0 {
			best := slices.MinFunc(k.candidates, compareCandidates)
			if better, err := k.mayBeat(best, logN); err != nil {
				return err
			} else if !better {
				break
			}
		}
		k.progress(fmt.Sprintf("searching ring degree 2^%d", logN))
		profiled, err := k.profiled(logN)
		if err != nil {
			return err
		}
		first := min(packingsExplored, len(profiled))
		k.explore(profiled[:first], limit)
		if len(k.candidates) > 0 {
			best := slices.MinFunc(k.candidates, compareCandidates)
			k.explore(profiled[first:], min(limit, worthRefining*best.objective))
		} else {
			k.explore(profiled[first:], limit)
		}
	}
	if len(k.candidates) == 0 {
		return fmt.Errorf("%w: no parameters up to ring degree 2^%d keep the scores within %.3g: use fewer layers or lower degrees, or allow more",
			ErrTooExact, circuit.MaxLogN, k.bound)
	}
	return nil
}

// mayBeat reports whether a ring degree may have something cheaper than the best candidate so far: the next one, if the
// modulus of that one left no room for another special prime, or if the slots now take less than half of its operations.
func (k *compilation) mayBeat(best Candidate, logN int) (bool, error) {
	if best.LogN != logN-1 || k.options.Packing == PackBatch {
		return best.LogN >= logN-1, nil
	}
	bits := best.QBits[0]
	for _, b := range slices.Concat(best.QBits[1:], best.PBits) {
		bits += b
	}
	if another := slices.Max(best.QBits); len(best.PBits) > 0 && float64(bits+another) > circuit.MaxLogQP(best.LogN) {
		return true, nil
	}
	list, err := k.packings(logN)
	if err != nil || len(list) == 0 {
		return false, err
	}
	return 2*nominalCost(list[0].circuit) < nominalCost(best.packing.circuit), nil
}

// packings returns the packings with the lowest nominal cost.
func (k *compilation) packings(logN int) ([]*packing, error) {
	if known := k.packed[logN]; known != nil {
		return known, nil
	}
	if k.options.Packing == PackBatch {
		return []*packing{k.split.encrypted.packBatch(logN)}, nil
	}
	var decisions []decision
	for _, program := range k.split.variants {
		decisions = append(decisions, program.decisions(logN)...)
	}
	costs, errs := make([]float64, len(decisions)), make([]error, len(decisions))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(decisions); i = int(next.Add(1)) - 1 {
				d := decisions[i]
				d.plan, d.outline = plans[0], true
				var p *packing
				if p, errs[i] = d.program.pack(logN, d); errs[i] == nil {
					costs[i] = nominalCost(p.circuit)
				}
			}
		})
	}
	wait.Wait()
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	order := identity(len(decisions))
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(costs[a], costs[b]) })
	var list []*packing
	for _, i := range order[:min(packingsTried, len(order))] {
		d := decisions[i]
		d.plan = plans[0]
		p, err := d.program.pack(logN, d)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	k.packed[logN] = list
	return list, nil
}

func nominalCost(c *circuit.Circuit) float64 {
	cost := 0.0
	for i, node := range c.Nodes {
		weight := float64(len(c.Nodes) - i) // early nodes run on more limbs
		switch {
		case node.Linear != nil:
			cost += weight * (nominalHoisted*float64(len(node.Linear.Babies)) + float64(len(node.Linear.Giants)) +
				nominalDiagonal*float64(len(node.Linear.Diagonals)))
		case node.Fold != nil:
			cost += weight * float64(len(node.Fold.Steps))
		}
	}
	return cost
}

// profiled returns the packings at a ring degree, each in all styles of rotations, with their profiles. What is searched
// for may change from round to round, but not these.
func (k *compilation) profiled(logN int) ([][]styled, error) {
	if known := k.profiles[logN]; known != nil {
		return known, nil
	}
	packings, err := k.packings(logN)
	if err != nil {
		return nil, err
	}
	profiled, errs := make([][]styled, len(packings)), make([]error, len(packings))
	var wait sync.WaitGroup
	for i, p := range packings {
		wait.Go(func() { profiled[i], errs[i] = k.profile(p) })
	}
	wait.Wait()
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	k.profiles[logN] = profiled
	return profiled, nil
}

// profile measures a packing once for all styles of rotations.
func (k *compilation) profile(p *packing) ([]styled, error) {
	f, err := measure(p, k.spreadOut(p), k.largest)
	if err != nil {
		return nil, err
	}
	if k.options.Packing == PackBatch {
		return []styled{{packing: p, profile: f}}, nil
	}
	var styles []styled
	for _, plan := range plans {
		d := p.decision
		d.plan = plan
		other, err := d.program.pack(p.circuit.Parameters.LogN, d)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(styles, func(s styled) bool { return sameRotations(s.circuit, other.circuit) }) {
			continue
		}
		own := *f
		own.linear = map[int]linearProfile{}
		other.profileLinears(&own)
		styles = append(styles, styled{packing: other, profile: &own, steps: keySteps(other.circuit)})
	}
	return styles, nil
}

// sameRotations holds for circuits of the same nodes that make the same rotations of the same keys.
func sameRotations(a, b *circuit.Circuit) bool {
	return slices.EqualFunc(a.Nodes, b.Nodes, func(a, b circuit.Node) bool {
		return a.Linear == nil || slices.Equal(a.Linear.Babies, b.Linear.Babies) && slices.Equal(a.Linear.Giants, b.Linear.Giants)
	})
}

// explore searches the parameters of packings.
func (k *compilation) explore(packings [][]styled, limit float64) {
	results := make([][]Candidate, len(packings))
	var wait sync.WaitGroup
	for i, styles := range packings {
		wait.Go(func() {
			results[i] = search(styles, demands{bound: k.target, flood: k.options.Flood, weights: k.weights, limit: limit})
		})
	}
	wait.Wait()
	list := slices.Concat(results...)
	for i := range list {
		if list[i].Packing = "batch"; k.options.Packing != PackBatch {
			d := list[i].packing.decision
			list[i].Packing = openingNames(d) + "; " + d.plan.String()
		}
		if by := list[i].replies.by; by != nil {
			list[i].Packing += fmt.Sprintf("; replies in degree 2^%d", by.LogN)
		}
	}
	k.candidates = append(k.candidates, list...)
}

func openingNames(d decision) string {
	name := ""
	for i, o := range d.openings {
		if i > 0 {
			name += ", "
		}
		name += o.name
	}
	return name
}

// choose builds the cheapest candidate that can be built and keeps the bound in simulation. It gives up after that many
// that do not keep it, and returns the cheapest one's error.
func (k *compilation) choose(most int) (*Result, *noisyError, error) {
	k.progress("simulating the noise")
	var failure error
	var first *noisyError
	count := 0
	for i := range k.candidates {
		c := &k.candidates[i]
		result, err := k.build(c)
		var noisy *noisyError
		if errors.As(err, &noisy) {
			first = cmp.Or(first, noisy)
			if count++; count == most {
				failure = err
				break
			}
		}
		if err != nil {
			c.Reason = err.Error()
			failure = cmp.Or(failure, err)
			continue
		}
		c.Reason = fmt.Sprintf("chosen: cheapest within the bound, a megabyte of keys counted as %g ms and one of messages as %g ms", k.weights.Keys, k.weights.Messages)
		result.Candidates = []Candidate{*c}
		for _, other := range k.candidates {
			if slices.ContainsFunc(result.Candidates, other.looksLike) {
				continue
			}
			if other.Reason == "" {
				other.Reason = other.beside(c)
			}
			result.Candidates = append(result.Candidates, other)
		}
		return result, first, nil
	}
	return nil, first, failure
}

// beside says what a candidate costs more than the chosen one, and what less.
func (c *Candidate) beside(chosen *Candidate) string {
	var terms []string
	for _, t := range []struct {
		more, unit   float64
		format, less string
	}{
		{c.Latency - chosen.Latency, 1, "%.2f ms longer", "%.2f ms shorter"},
		{c.KeyBytes - chosen.KeyBytes, 1e6, "%.2f MB more keys", "%.2f MB less keys"},
		{c.RequestBytes + c.ReplyBytes - chosen.RequestBytes - chosen.ReplyBytes, 1e3, "%.2f kB more to send", "%.2f kB less to send"},
	} {
		switch amount := t.more / t.unit; {
		case amount >= 0.005:
			terms = append(terms, fmt.Sprintf(t.format, amount))
		case amount <= -0.005:
			terms = append(terms, fmt.Sprintf(t.less, -amount))
		}
	}
	if len(terms) == 0 {
		return "costs the same"
	}
	return fmt.Sprintf("costs %.1f %% more: %s", 100*(c.objective/chosen.objective-1), strings.Join(terms, ", "))
}

// looksLike holds for candidates that nobody could tell apart: layouts without effect on the cost.
func (c Candidate) looksLike(o Candidate) bool {
	return c.LogN == o.LogN && c.Packing == o.Packing && slices.Equal(c.QBits, o.QBits) && slices.Equal(c.PBits, o.PBits) &&
		c.KeyBytes == o.KeyBytes && c.Latency == o.Latency
}

// build makes the exact circuit of a candidate with real primes.
func (k *compilation) build(c *Candidate) (*Result, error) {
	out := copyOf(c.packing.circuit)
	parameters, err := circuit.NewParameters(c.LogN, out.Parameters.Ring, c.QBits, c.PBits)
	if err != nil {
		return nil, err
	}
	out.Name, out.Parameters = k.split.prefix.Inputs[0].Name, parameters
	if !schedule(out, c.profile, c.scales) {
		return nil, errors.New("the primes found are too far from the sizes planned")
	}
	c.replies.apply(out)
	if k.options.Flood > 0 && !flood(out, c.packing, c.profile, k.options.Flood) {
		return nil, errors.New("the noise to be added is too wide for the last prime, or too narrow to be drawn")
	}
	result := &Result{
		Circuit: out, MaxScoreError: k.bound, packing: c.packing, profile: c.profile, Flood: k.options.Flood,
		Pipeline: &pipeline.Pipeline{Prefix: k.split.prefix, Inputs: c.packing.inputs, Outputs: c.packing.outputs,
			Suffix: k.split.suffix, Classes: k.options.Classes},
	}
	if err := out.Validate(); err != nil {
		return nil, err
	}
	if err := result.Pipeline.Validate(parameters.Slots(), out.Inputs, out.Outputs); err != nil {
		return nil, err
	}
	limit := k.room() / cmp.Or(k.options.Headroom, DefaultHeadroom)
	largest, err := result.simulateVectors(k.spreadOut(c.packing), limit)
	if err != nil {
		return nil, err
	}
	if largest > limit {
		return nil, &noisyError{largest, limit, k.room()}
	}
	return result, nil
}
