package compiler

import (
	"fmt"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

// decision is one way to pack a program: an opening for each input and a layout for each class of values that share one.
type decision struct {
	program  *program
	openings []opening // by input
	layouts  []layout  // by class
	plan     plan
	outline  bool // the circuit needs no weights
}

// packing is a program laid out in slots: a circuit without levels and scales, and where the client's numbers go.
type packing struct {
	circuit  *circuit.Circuit
	inputs   []pipeline.Gather
	outputs  []pipeline.Answer
	decision decision
}

// classes numbers the groups of values that must have the same layout, because elementwise operations join them.
func (p *program) classes() (class []int, count int) {
	n := len(p.inputs) + len(p.ops)
	parent := make([]int, n)
	for v := range parent {
		parent[v] = v
	}
	var find func(v int) int
	find = func(v int) int {
		if parent[v] != v {
			parent[v] = find(parent[v])
		}
		return parent[v]
	}
	for i, o := range p.ops {
		if o.maps == nil {
			for _, v := range o.in {
				parent[find(v)] = find(len(p.inputs) + i)
			}
		}
	}
	class = make([]int, n)
	number := map[int]int{}
	for v := range class {
		root := find(v)
		if _, known := number[root]; !known {
			number[root] = len(number)
		}
		class[v] = number[root]
	}
	return class, len(number)
}

// pack lays the program out. Values are periodic: the elements of a class repeat with its layout's period.
func (p *program) pack(logN int, d decision) (*packing, error) {
	n := 1 << logN
	k := &packer{
		program: p, slots: n, decision: d, uses: p.uses(),
		circuit: &circuit.Circuit{Parameters: circuit.Parameters{LogN: logN, Ring: circuit.ConjugateInvariant}, Packing: circuit.Slots},
	}
	k.class, _ = p.classes()
	result := &packing{circuit: k.circuit, decision: d}
	for i, v := range p.inputs {
		content := d.openings[i].content
		k.circuit.Inputs = append(k.circuit.Inputs, circuit.Input{Name: v.name})
		k.values = append(k.values, packed{value: i, content: content, factor: 1, zero: true})
		result.inputs = append(result.inputs, pipeline.Gather{Output: i, Elements: content})
	}
	for i := range p.ops {
		value, err := k.op(len(p.inputs)+i, &p.ops[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.ops[i].name, err)
		}
		k.values = append(k.values, value)
	}
	for _, v := range p.outputs {
		l := k.layout(v)
		k.circuit.Outputs = append(k.circuit.Outputs, circuit.Output{Name: p.value(v).name, Value: k.values[v].value, Period: l.period})
		answer := pipeline.Answer{Shape: p.value(v).shape, Positions: make([]int32, len(l.position)), Factor: k.values[v].factor * float64(l.period) / float64(n)}
		for e, at := range l.position {
			answer.Positions[e] = int32(at)
		}
		result.outputs = append(result.outputs, answer)
	}
	return result, nil
}

// packed is a value of the program in the circuit. Where factor is not one, the classes of slots have not been folded:
// their sums over all slots, times the factor, are those of a folded value.
type packed struct {
	value   int
	content []int32
	factor  float64
	zero    bool // slots without an element hold zero
}

type packer struct {
	program  *program
	slots    int
	decision decision
	uses     []int
	class    []int
	circuit  *circuit.Circuit
	values   []packed
}

func (k *packer) layout(v int) layout { return k.decision.layouts[k.class[v]] }

func (k *packer) node(name string, in []int, set func(*circuit.Node)) int {
	node := circuit.Node{Name: name, In: in}
	set(&node)
	k.circuit.Nodes = append(k.circuit.Nodes, node)
	return len(k.circuit.Inputs) + len(k.circuit.Nodes) - 1
}

func (k *packer) op(v int, o *op) (packed, error) {
	rows := k.layout(v)
	content := rows.content()
	in := make([]int, len(o.in))
	for i, operand := range o.in {
		in[i] = k.values[operand].value
	}
	zero := true
	for _, operand := range o.in {
		zero = zero && k.values[operand].zero
	}
	switch {
	case o.product:
		return packed{k.node(o.name, in, func(n *circuit.Node) { n.Multiply = &circuit.Multiply{} }), content, 1, zero}, nil
	case o.factors != nil:
		return packed{k.node(o.name, in, func(n *circuit.Node) {
			n.Combine = &circuit.Combine{Factors: o.factors, Constant: o.constant}
		}), content, 1, zero && o.constant == 0}, nil
	}
	sum := func(terms []int) int {
		if len(terms) == 1 {
			return terms[0]
		}
		factors := slices.Repeat([]float64{1}, len(terms))
		return k.node(o.name, terms, func(n *circuit.Node) { n.Combine = &circuit.Combine{Factors: factors} })
	}
	terms := map[int][]int{} // by the period of their slots
	var periods []int
	for i, operand := range o.in {
		var allowed []bool
		if operand < len(k.program.inputs) {
			allowed = k.decision.openings[operand].allowed
		}
		d, err := diagonalise(o.maps[i], k.values[operand].content, rows, allowed)
		if err != nil {
			return packed{}, err
		}
		if steps, ok := k.sums(o, d, k.values[operand], rows); ok {
			at := k.node(o.name, in, func(n *circuit.Node) { n.Fold = &circuit.Fold{Steps: steps} })
			return packed{at, content, 1, false}, nil
		}
		var bias circuit.Vector
		if i == 0 {
			bias = biasVector(o.bias, rows, d.period)
		}
		l := d.linear(k.slots, k.decision.plan, bias, !k.decision.outline)
		if terms[d.period] == nil {
			periods = append(periods, d.period)
		}
		terms[d.period] = append(terms[d.period], k.node(o.name, in[i:i+1], func(n *circuit.Node) { n.Linear = l }))
	}
	// Folding can be left to the client's decryption where nothing else reads the value.
	if len(periods) == 1 && k.uses[v] == k.outputUses(v) {
		return packed{sum(terms[periods[0]]), content, float64(periods[0]) / float64(rows.period), true}, nil
	}
	var folded []int
	for _, period := range periods {
		at := sum(terms[period])
		var steps []int
		for s := rows.period; s < period; s *= 2 {
			steps = append(steps, s)
		}
		if steps != nil {
			at = k.node(o.name, []int{at}, func(n *circuit.Node) { n.Fold = &circuit.Fold{Steps: steps} })
		}
		folded = append(folded, at)
	}
	return packed{sum(folded), content, 1, true}, nil
}

// sums returns the steps of a fold that is all there is to a map.
func (k *packer) sums(o *op, d *diagonals, operand packed, rows layout) (steps []int, ok bool) {
	if len(o.in) > 1 || operand.factor != 1 || slices.ContainsFunc(o.bias, func(b float64) bool { return b != 0 }) {
		return nil, false
	}
	if step, ok := d.sumsRotation(rows); ok {
		return []int{step}, true
	}
	if d.period == rows.period || !d.sumsCopies(operand.content, rows, operand.zero) {
		return nil, false
	}
	for s := rows.period; s < d.period; s *= 2 {
		steps = append(steps, s)
	}
	return steps, true
}

func (k *packer) outputUses(v int) int {
	n := 0
	for _, out := range k.program.outputs {
		if out == v {
			n++
		}
	}
	return n
}

// biasVector puts the bias into one of the slots that a fold adds up.
func biasVector(bias []float64, rows layout, period int) circuit.Vector {
	v := make([]float64, period)
	for r, b := range bias {
		v[rows.position[r]] = b
	}
	return circuit.NewVector(v)
}

// openings lists the ways to pack an input, best first within each kind.
func (p *program) openings(input, slots int) []opening {
	v := p.inputs[input]
	var list []opening
	if l := compact(v.shape.Size()); l.period <= slots {
		list = append(list, opening{content: l.content(), name: "own order"})
	}
	class, _ := p.classes()
	var reader *model.Sparse
	first := 0
	for i, o := range p.ops {
		for k, operand := range o.in {
			if operand != input {
				continue
			}
			if o.maps == nil || len(o.in) > 1 {
				return list // one that needs the elements in their places
			}
			at := class[len(p.inputs)+i]
			switch {
			case reader == nil:
				reader, first = o.maps[k], at
			case v.public && at == first:
				reader = joined(reader, o.maps[k]) // rows in the same places
			default:
				return list
			}
		}
	}
	switch {
	case reader == nil:
	case v.public:
		list = append(list, placements(reader, slots)...)
	default:
		if len(v.shape) == 3 {
			list = append(list, opening{content: padded(v.shape, []int{0, 1, 2}).content(), name: "padded"})
		}
		for _, o := range p.ops {
			if o.pool.isApart() && class[o.in[0]] == first && len(v.shape) == 3 && len(o.pool.stride) == 2 {
				list = append(list, opening{content: strided(v.shape, o.pool.stride).content(), name: fmt.Sprintf("by places of %v", o.pool.stride)})
			}
		}
		list = append(list, windows(reader, slots)...)
	}
	return slices.DeleteFunc(list, func(o opening) bool { return len(o.content) > slots })
}

// joined has an entry wherever one of two matrices of the same shape has one.
func joined(a, b *model.Sparse) *model.Sparse {
	sum := &model.Sparse{Rows: a.Rows, Cols: a.Cols, Start: make([]int, 1, a.Rows+1)}
	for r := range a.Rows {
		ca, _ := a.Row(r)
		cb, _ := b.Row(r)
		columns := slices.Concat(ca, cb)
		slices.Sort(columns)
		for _, c := range slices.Compact(columns) {
			sum.Column, sum.Value = append(sum.Column, c), append(sum.Value, 1)
		}
		sum.Start = append(sum.Start, len(sum.Column))
	}
	return sum
}

// decisions lists the ways to pack the program that are tried at a ring degree, without the rotations' plan.
func (p *program) decisions(logN int) []decision {
	const most = 96 // ways; beyond, later classes keep their own order
	slots := 1 << logN
	class, count := p.classes()
	list := []decision{{program: p, layouts: make([]layout, count)}}
	extend := func(choices func(d decision) []func(*decision)) {
		var next []decision
		for _, d := range list {
			for i, choose := range choices(d) {
				if i > 0 && len(next) >= most {
					break
				}
				c := decision{program: p, openings: slices.Clone(d.openings), layouts: slices.Clone(d.layouts)}
				choose(&c)
				next = append(next, c)
			}
		}
		list = next
	}
	for i, v := range p.inputs {
		reader := 0
		for k, o := range p.ops {
			if slices.Contains(o.in, i) {
				reader = len(p.inputs) + k
			}
		}
		openings, at := p.openings(i, slots), class[reader]
		extend(func(d decision) []func(*decision) {
			var choices []func(*decision)
			for _, o := range openings {
				if o.rows != nil && d.layouts[at].position != nil {
					continue // another input's opening has fixed the layout of the results
				}
				choices = append(choices, func(d *decision) {
					d.openings = append(d.openings, o)
					d.layouts[class[i]] = compact(v.shape.Size())
					if o.rows != nil {
						d.layouts[at] = *o.rows
					}
				})
			}
			return choices
		})
	}
	for c := range count {
		options := layouts(p.value(slices.Index(class, c)), slots)
		if len(options) == 0 {
			return nil
		}
		pooled := p.pooled(c, class, slots)
		extend(func(d decision) []func(*decision) {
			if d.layouts[c].position != nil {
				return []func(*decision){func(*decision) {}}
			}
			var choices []func(*decision)
			for _, o := range pooled {
				if d.layouts[o.class].position == nil {
					choices = append(choices, func(d *decision) { d.layouts[c], d.layouts[o.class] = o.in, o.out })
				}
			}
			for _, l := range options {
				choices = append(choices, func(d *decision) { d.layouts[c] = l })
			}
			return choices
		})
	}
	return list
}

// pooling is a pair of layouts: of what a pool reads, and of the class of its sums.
type pooling struct {
	in, out layout
	class   int
}

// pooled lists the layouts of a class in which a pool that reads it needs no product.
func (p *program) pooled(c int, class []int, slots int) []pooling {
	var list []pooling
	for i, o := range p.ops {
		if !o.pool.isApart() || class[o.in[0]] != c {
			continue
		}
		for _, out := range layouts(o.vector, slots) {
			if in, ok := gathered(o.maps[0], out); ok && in.period <= slots {
				list = append(list, pooling{in, out, class[len(p.inputs)+i]})
			}
		}
	}
	return list
}
