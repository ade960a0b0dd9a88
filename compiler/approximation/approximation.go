// Package approximation puts polynomials in the place of what CKKS cannot compute: activations, comparisons and max
// pools.
//
//	result, err := approximation.Replace(graph, encrypted, rows, approximation.Options{Loss: loss, Limit: 0.02})
//
// For each of them there is a ladder of replacements of growing depth: a quadratic of each channel (in the place of a
// max pool followed by a mean), polynomials of higher and higher degree, compositions for kinks and jumps; max pools
// also as trees of pairwise maxima. Polynomials are fitted to what the layer meets on the calibration rows, or, where
// every answer counts, are best in the largest error. The lowest rungs with which the model's answers still are good
// enough, on rows that nothing was fitted to, are taken.
//
// With Options.Refit, the weights of the layer after a replacement may be fitted anew, so that it makes of the changed
// inputs what the original layer made of the original ones. It is done where it saves depth, and Result says so.
//
// # Dangers
//
// Outside the calibrated range a polynomial runs away. Result says how many values of the rows set aside lie outside;
// rows unlike the calibration rows get answers that mean nothing. A refitted model is another model: judge it on data
// with labels.
package approximation

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// Options steer Replace.
type Options struct {
	// Loss says how much worse answers are than those wanted; one row of each for every row set aside.
	Loss func(got, want [][]float64) float64
	// Limit is the largest loss that is accepted.
	Limit float64
	// Judged is the least number of rows that the loss is taken of: if fewer would be set aside, it is of all.
	Judged int
	// EveryAnswer holds where the loss is about the worst answer and not about the typical one: polynomials are then
	// best in the largest error.
	EveryAnswer bool
	// Refit allows weights to be fitted anew.
	Refit bool
	// Progress is told what is tried.
	Progress func(step string)
}

// Result is the model with polynomials.
type Result struct {
	Graph        *model.Graph
	Loss         float64 // on the rows set aside
	Limit        float64 // of Options: what Loss was held to
	Replacements []Replacement
	Refitted     []string // nodes with new weights
	Fitted, Held int      // rows that polynomials were fitted to, and rows set aside
}

// Replacement is what happened to one activation, max pool, or both.
type Replacement struct {
	Node    string
	Nodes   []string // of the model: what is replaced
	New     []string // of the result: what stands in their place
	By      string   // the method
	Degrees []int    // of the polynomials, one after the other; for trees, of each stage
	Low     float64  // the range of what comes in, as fitted
	High    float64
	Outside float64 // share of the values, on the rows set aside, that some polynomial met outside its range
}

// Depth is the number of multiplicative levels of one pass through the degrees.
func (r Replacement) Depth() int {
	depth := 0
	for _, d := range r.Degrees {
		depth += levels(d)
	}
	return depth
}

func levels(degree int) int { return int(math.Ceil(math.Log2(float64(degree + 1)))) }

// ErrTooExact says that no polynomial keeps the limit.
var ErrTooExact = errors.New("the error allowed is too small")

// Replace returns the model with polynomials for the encrypted nodes that are none, or the model itself where all are.
func Replace(g *model.Graph, encrypted []bool, rows [][]float64, o Options) (*Result, error) {
	units := findUnits(g, encrypted)
	if len(units) == 0 {
		return &Result{Graph: g}, nil
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	s := &search{graph: g, units: units, options: o}
	if o.Refit {
		s.refittable = refittable(g, encrypted, units)
	}
	if err := s.prepare(rows); err != nil {
		return nil, err
	}
	return s.run()
}

// search looks for the lowest rungs.
type search struct {
	graph      *model.Graph
	units      []unit
	ladders    [][]plan
	refittable map[int]bool
	options    Options

	fit, held [][]float64
	want      [][]float64 // the model's answers on the rows held
	teacher   values      // on the rows to fit: what replacements and refitted layers should make
}

// maxElements bounds the numbers that are kept of the rows to fit to.
const maxElements = 1e8

const maxHeld = 2048

// prepare sets rows aside and computes what is wanted.
func (s *search) prepare(rows [][]float64) error {
	s.fit, s.held = rows, rows
	if len(rows) >= 64 {
		s.fit, s.held = nil, nil
		for i, row := range rows {
			if i%4 == 3 {
				s.held = append(s.held, row)
			} else {
				s.fit = append(s.fit, row)
			}
		}
	}
	if len(s.held) < s.options.Judged {
		s.held = rows
	}
	s.held = s.held[:min(len(s.held), maxHeld)]
	shapes, err := s.graph.Shapes()
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, u := range s.units {
		keep[s.graph.Nodes[u.last].Output] = true
		s.ladders = append(s.ladders, ladder(&u, s.options.EveryAnswer))
	}
	for i := range s.refittable {
		keep[s.graph.Nodes[i].Output] = true
	}
	kept, largest := 0, 0
	for name, shape := range shapes {
		largest = max(largest, shape.Size())
		if keep[name] {
			kept += shape.Size()
		}
	}
	s.fit = s.fit[:min(len(s.fit), max(32, int(maxElements)/(kept+2*largest)))]
	if s.want, err = s.graph.RunRows(s.held); err != nil {
		return err
	}
	s.teacher = inputs(s.graph, s.fit)
	last := lastReader(s.graph.Nodes)
	for i, node := range s.graph.Nodes {
		if err := s.teacher.run(node); err != nil {
			return err
		}
		for _, name := range node.Inputs {
			if last[name] == i && !keep[name] {
				delete(s.teacher, name)
			}
		}
	}
	return nil
}

// degrees are those that are tried: each the most that its depth allows, or one below that takes fewer products.
var degrees = []int{3, 5, 7, 11, 15, 23, 31, 47, 63, 95, 127}

// compositions for the sign, by depth.
var compositions = [][]int{{3, 5}, {7, 7}, {7, 15}, {15, 15}, {7, 7, 15}, {15, 15, 15}, {15, 15, 27}, {15, 15, 15, 15}, {15, 15, 15, 27}}

// ladder lists the replacements of a unit by growing depth.
func ladder(u *unit, everyAnswer bool) []plan {
	plans := []plan{{quadratic, []int{2}}}
	by := leastSquares
	if everyAnswer {
		by = bestUniform
	}
	for _, d := range degrees {
		if u.pool != nil {
			d-- // the magnitude is even
		}
		plans = append(plans, plan{by, []int{d}})
	}
	if u.bent() {
		for _, c := range compositions {
			plans = append(plans, plan{composite, c})
		}
		slices.SortStableFunc(plans, func(a, b plan) int { return cmp.Compare(a.depth(), b.depth()) })
	}
	return plans
}

func (p plan) depth() int {
	depth := 0
	for _, d := range p.degrees {
		depth += levels(d)
	}
	return depth
}

// bent holds where compositions for the sign can serve.
func (u *unit) bent() bool {
	if u.channels != nil {
		return true
	}
	if u.common != nil {
		_, bent := bentOf(u.common)
		return bent
	}
	return true
}

func (s *search) run() (*Result, error) {
	rungs := make([]int, len(s.units))
	best := math.Inf(1)
	most := 0
	for _, l := range s.ladders {
		most = max(most, len(l))
	}
	var failure error
	for rung := range most {
		for i := range rungs {
			rungs[i] = min(rung, len(s.ladders[i])-1)
		}
		result, refitted, err := s.rung(rungs)
		if err != nil {
			failure = err
			continue
		}
		if best = min(best, result.Loss); result.Loss > s.options.Limit {
			continue
		}
		if result, err = s.lower(result, rungs, refitted); err != nil {
			return nil, err
		}
		return result, s.outside(result)
	}
	if math.IsInf(best, 1) && failure != nil {
		return nil, failure
	}
	return nil, fmt.Errorf("%w: polynomials up to degree %d change the answers by %.3g, more than %.3g: train with polynomial activations, or allow more",
		ErrTooExact, degrees[len(degrees)-1], best, s.options.Limit)
}

// rung tries replacements with the weights as they are and, where that is allowed, with fitted ones. Fitted ones are
// taken where the others do not keep the limit, or lose more than twice as much.
func (s *search) rung(rungs []int) (result *Result, refitted bool, err error) {
	result, err = s.attempt(rungs, false)
	if len(s.refittable) == 0 || err == nil && result.Loss == 0 {
		return result, false, err
	}
	fitted, errFitted := s.attempt(rungs, true)
	switch {
	case errFitted != nil:
		return result, false, err
	case err != nil || result.Loss > s.options.Limit || result.Loss > 2*fitted.Loss:
		return fitted, true, nil
	}
	return result, false, nil
}

// lower takes each unit to its lowest rung that keeps the limit.
func (s *search) lower(result *Result, rungs []int, refit bool) (*Result, error) {
	for i := range rungs {
		for had, rung := rungs[i], 0; rung < had; rung++ {
			rungs[i] = rung
			lower, err := s.attempt(rungs, refit)
			if err == nil && lower.Loss <= s.options.Limit {
				result = lower
				break
			}
			rungs[i] = had
		}
	}
	return result, nil
}

// attempt builds the model with a replacement for each unit and measures the loss.
func (s *search) attempt(rungs []int, refitting bool) (*Result, error) {
	result := &Result{
		Graph: &model.Graph{Name: s.graph.Name, Inputs: s.graph.Inputs, Outputs: s.graph.Outputs},
		Limit: s.options.Limit, Fitted: len(s.fit), Held: len(s.held),
	}
	student := inputs(s.graph, s.fit)
	last := lastReader(s.graph.Nodes)
	at := map[int]int{}
	for k, u := range s.units {
		at[u.first] = k
		at[u.last] = k
		// A unit reads its input when it ends.
		last[u.input] = max(last[u.input], u.last)
	}
	for i, node := range s.graph.Nodes {
		nodes := []model.Node{node}
		if k, replaced := at[i]; replaced {
			u := &s.units[k]
			if i != u.last {
				continue
			}
			plan := s.ladders[k][rungs[k]]
			s.options.Progress(fmt.Sprintf("%s: %s, degrees %v", u.name, plan.method, plan.degrees))
			r := newReplacer(s.graph, u, student[u.input], s.teacher[node.Output])
			var err error
			if nodes, err = r.build(plan); err != nil {
				return nil, err
			}
			low, high := rangeOf(student[u.input])
			result.Replacements = append(result.Replacements, Replacement{Node: u.name, Nodes: s.replaced(u), New: names(nodes),
				By: string(plan.method), Degrees: r.degrees(plan), Low: low, High: high})
		} else if refitting && s.refittable[i] {
			op, err := refit(node.Op.(model.Weighted), student[node.Inputs[0]], s.teacher[node.Output])
			if err != nil {
				return nil, fmt.Errorf("node %q: %w", node.Name, err)
			}
			nodes[0].Op = op
			result.Refitted = append(result.Refitted, node.Name)
		}
		result.Graph.Nodes = append(result.Graph.Nodes, nodes...)
		if err := student.run(nodes...); err != nil {
			return nil, err
		}
		for name, reader := range last {
			if reader == i {
				delete(student, name)
			}
		}
	}
	if err := result.Graph.Validate(); err != nil {
		return nil, err
	}
	got, err := result.Graph.RunRows(s.held)
	if err != nil {
		return nil, err
	}
	if result.Loss = s.options.Loss(got, s.want); math.IsNaN(result.Loss) {
		result.Loss = math.Inf(1)
	}
	return result, nil
}

// replaced names the nodes of a unit.
func (s *search) replaced(u *unit) []string {
	nodes := []model.Node{s.graph.Nodes[u.first]}
	if u.last != u.first {
		nodes = append(nodes, s.graph.Nodes[u.last])
	}
	return names(nodes)
}

func names(nodes []model.Node) []string {
	list := make([]string, len(nodes))
	for i, node := range nodes {
		list[i] = node.Name
	}
	return list
}

// degrees lists the degrees of a plan, for trees those of every stage.
func (r *replacer) degrees(p plan) []int {
	if r.pool == nil || p.method == quadratic {
		return p.degrees
	}
	var list []int
	for range len(r.series) {
		list = append(list, p.degrees...)
	}
	return list
}

func rangeOf(tensors []model.Tensor) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, t := range tensors {
		for _, v := range t.Data {
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// outside fills in the share of values that polynomials meet outside their ranges on the rows set aside.
func (s *search) outside(result *Result) error {
	for k := range result.Replacements {
		u := &s.units[k]
		for _, node := range result.Graph.Nodes {
			low, high := 0.0, 0.0
			switch op := node.Op.(type) {
			case *Series:
				low, high = op.Low, op.High
			case *model.ChannelPolynomial:
				low, high = -1, 1
			default:
				continue
			}
			if !u.owns(node.Name) {
				continue
			}
			probe := &model.Graph{Name: s.graph.Name, Inputs: s.graph.Inputs, Nodes: result.Graph.Nodes, Outputs: node.Inputs}
			values, err := probe.RunRows(s.held)
			if err != nil {
				return err
			}
			out, all := 0, 0
			for _, row := range values {
				for _, v := range row {
					if all++; v < low || v > high {
						out++
					}
				}
			}
			result.Replacements[k].Outside = max(result.Replacements[k].Outside, float64(out)/float64(all))
		}
	}
	return nil
}

// owns tells whether a node of the result is part of the unit's replacement.
func (u *unit) owns(name string) bool {
	return len(name) > len(u.name) && name[:len(u.name)] == u.name && name[len(u.name)] == ' '
}
