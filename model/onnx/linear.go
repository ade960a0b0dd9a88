package onnx

import (
	"errors"
	"fmt"
	"slices"

	"cipherpoint/model"
)

func matMulNode(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	v, err := im.matMul(n.in[0], n.in[1])
	return []value{v}, err
}

// matMul is the product of NumPy: a vector is a row on the left and a column on the right.
func (im *importer) matMul(a, b value) (value, error) {
	if a.rank() == 0 || b.rank() == 0 {
		return value{}, errors.New("is no product of matrices")
	}
	da, db := a.dims, b.dims
	if len(da) == 1 {
		da = []int{1, da[0]}
	}
	if len(db) == 1 {
		db = []int{db[0], 1}
	}
	rows, depth, cols := da[len(da)-2], da[len(da)-1], db[len(db)-1]
	if depth != db[len(db)-2] {
		return value{}, fmt.Errorf("shapes %v and %v do not fit", a.dims, b.dims)
	}
	lead, err := broadcastDims(da[:len(da)-2], db[:len(db)-2])
	if err != nil {
		return value{}, err
	}
	dims := append(slices.Clone(lead), rows, cols)
	if err := checkDims(dims); err != nil {
		return value{}, err
	}
	outer := slices.Clone(lead)
	if a.rank() > 1 {
		outer = append(outer, rows)
	}
	if b.rank() > 1 {
		outer = append(outer, cols)
	}
	if a, err = im.moved(a, da); err != nil {
		return value{}, err
	}
	if b, err = im.moved(b, db); err != nil {
		return value{}, err
	}
	v, err := im.product(a, b, dims)
	if err != nil {
		return value{}, err
	}
	return im.moved(v.with(a.kind, v.dims), outer)
}

// product multiplies [..., m, k] by [..., k, n].
func (im *importer) product(a, b value, dims []int) (value, error) {
	v, err := im.productDecided(a, b, dims)
	if !errors.Is(err, errFeatureLeaf) && (err != nil || v.present()) {
		return v, err
	}
	if a, err = im.plain(a); err != nil {
		return value{}, err
	}
	if b, err = im.plain(b); err != nil {
		return value{}, err
	}
	single := func(v value) bool { return v.known && v.size() == v.dims[v.rank()-1]*v.dims[v.rank()-2] }
	switch {
	case single(b):
		if b, err = im.moved(b, b.dims[b.rank()-2:]); err != nil {
			return value{}, err
		}
		if b, err = im.transpose(b, []int{1, 0}); err != nil {
			return value{}, err
		}
		return im.dense(a, b, nil, dims)
	case single(a):
		perm := toInts(numbered(b.rank()))
		slices.Reverse(perm[len(perm)-2:])
		turned, err := im.transpose(b, perm)
		if err != nil {
			return value{}, err
		}
		if a, err = im.moved(a, a.dims[a.rank()-2:]); err != nil {
			return value{}, err
		}
		out := slices.Clone(dims)
		slices.Reverse(out[len(out)-2:])
		v, err := im.dense(turned, a, nil, out)
		if err != nil {
			return value{}, err
		}
		perm = toInts(numbered(len(out)))
		slices.Reverse(perm[len(perm)-2:])
		return im.transpose(v, perm)
	case a.known || b.known:
		return im.eachProduct(a, b, dims)
	}
	if a, err = im.full(a); err != nil {
		return value{}, err
	}
	if b, err = im.full(b); err != nil {
		return value{}, err
	}
	v, err = im.apply(new(model.MatMul), a, b)
	return v.with(a.kind, dims), err
}

// dense is weight·x + bias along the last dimension, with weights [out, in].
func (im *importer) dense(x, weight value, bias []float64, dims []int) (value, error) {
	if x.kind == stringType {
		return value{}, errors.New("takes text")
	}
	w, err := weight.numbers()
	if err != nil {
		return value{}, fmt.Errorf("weights: %w", err)
	}
	numbers := func() (value, error) {
		x, err := im.narrow(x)
		if err != nil {
			return value{}, err
		}
		v, err := im.apply(&model.Dense{Weight: model.Tensor{Shape: model.Shape(weight.dims), Data: w}, Bias: bias}, x)
		return v.with(x.kind, dims), err
	}
	if columns, ok := selection(w, weight.dims[1]); ok && bias == nil && !x.known {
		// It only chooses features.
		var from []int
		for r := range x.size() / weight.dims[1] {
			for _, c := range columns {
				from = append(from, r*weight.dims[1]+c)
			}
		}
		if !slices.Contains(columns, -1) {
			return im.pick(x, from, dims)
		}
		if f, ok := im.featuresOf(x); ok && len(columns) == len(from) && len(from) <= maxDecisions {
			return im.choices(f, columns, numbers).with(x.kind, dims), nil
		}
	}
	return numbers()
}

// choices are features, and zeros where there is no column, as in the tables of trees of several sizes.
func (im *importer) choices(f features, columns []int, numbers func() (value, error)) value {
	d := &decisions{source: im.sources[f.source], elements: make([]sum, len(columns)), simple: im.here(numbers)}
	for i, c := range columns {
		if c >= 0 {
			d.elements[i].trees = []*tree{{feature: f.index(c)}}
		}
	}
	return value{shape: canonical([]int{1, len(columns)}), decisions: d}
}

// here lets a function add its nodes under the name of the present one.
func (im *importer) here(f func() (value, error)) func() (value, error) {
	owner := im.node
	return func() (value, error) {
		outer := im.node
		defer func() { im.node = outer }()
		im.node = owner
		return f()
	}
}

// selection returns the column of the only 1 in each row of a matrix that has nothing else, or −1 for a row of zeros.
func selection(w []float64, width int) ([]int, bool) {
	var columns []int
	chooses := false
	for start := 0; start < len(w); start += width {
		at := -1
		for c, v := range w[start : start+width] {
			switch {
			case v == 0:
			case v == 1 && at < 0:
				at = c
			default:
				return nil, false
			}
		}
		chooses = chooses || at >= 0
		columns = append(columns, at)
	}
	return columns, chooses
}

// maxProducts bounds the number of matrices in a product with a constant that has several.
const maxProducts = 1024

// eachProduct multiplies matrix by matrix.
func (im *importer) eachProduct(a, b value, dims []int) (value, error) {
	lead := dims[:len(dims)-2]
	count := model.Shape(lead).Size()
	if count > maxProducts {
		return value{}, fmt.Errorf("multiplies %d matrices: at most %d are served", count, maxProducts)
	}
	matrix := func(v value, k int) (value, error) {
		size := v.dims[v.rank()-1] * v.dims[v.rank()-2]
		from := make([]int, size)
		at := stretched(v.dims[:v.rank()-2], lead)[k] * size
		for i := range from {
			from[i] = at + i
		}
		return im.pick(v, from, v.dims[v.rank()-2:])
	}
	parts := make([]value, count)
	for k := range parts {
		x, err := matrix(a, k)
		if err != nil {
			return value{}, err
		}
		y, err := matrix(b, k)
		if err != nil {
			return value{}, err
		}
		if parts[k], err = im.product(x, y, dims[len(dims)-2:]); err != nil {
			return value{}, err
		}
	}
	v, err := im.concat(0, parts)
	if err != nil {
		return value{}, err
	}
	return im.moved(v, dims)
}

// productDecided multiplies decisions by constants.
func (im *importer) productDecided(a, b value, dims []int) (value, error) {
	if !(a.decisions != nil && b.known || b.decisions != nil && a.known) || model.Shape(dims).Size() > maxDecisions {
		return value{}, nil
	}
	source, lists, ok := im.decide(a, b)
	if !ok {
		return value{}, nil
	}
	lead := dims[:len(dims)-2]
	rows, cols, depth := dims[len(dims)-2], dims[len(dims)-1], a.dims[a.rank()-1]
	la, lb := stretched(a.dims[:a.rank()-2], lead), stretched(b.dims[:b.rank()-2], lead)
	d := &decisions{source: source}
	for l := range la {
		for r := range rows {
			for c := range cols {
				var total sum
				if err := im.spend(depth); err != nil {
					return value{}, err
				}
				for k := range depth {
					x, y := lists[0][(la[l]*rows+r)*depth+k], lists[1][(lb[l]*depth+k)*cols+c]
					if b.known {
						x, y = y, x
					}
					if x.constant == 0 {
						continue
					}
					var err error
					if total, err = im.plus(total, y, x.constant); err != nil {
						return value{}, err
					}
				}
				d.elements = append(d.elements, total)
			}
		}
	}
	return value{kind: a.kind, dims: dims, shape: canonical(dims), decisions: d}, nil
}

// gemm is alpha·A·B + beta·C.
func gemm(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	a, b, c := n.in[0], n.in[1], n.input(2)
	if a.rank() != 2 || b.rank() != 2 {
		return nil, fmt.Errorf("shapes %v and %v are no matrices", a.dims, b.dims)
	}
	var err error
	for _, side := range []struct {
		v    *value
		name string
	}{{&a, "transA"}, {&b, "transB"}} {
		if n.int(side.name, 0) != 0 {
			if *side.v, err = im.transpose(*side.v, []int{1, 0}); err != nil {
				return nil, err
			}
		}
	}
	if alpha := n.float("alpha", 1); alpha != 1 {
		scaled := &b
		if a.known {
			scaled = &a
		}
		if *scaled, err = im.plain(*scaled); err != nil {
			return nil, err
		}
		if *scaled, err = im.affine(*scaled, alpha, 0); err != nil {
			return nil, err
		}
	}
	dims := []int{a.dims[0], b.dims[1]}
	beta := n.float("beta", 1)
	if c.present() && beta != 0 && beta != 1 {
		if c, err = im.affine(c, beta, 0); err != nil {
			return nil, err
		}
	}
	if c.known && beta != 0 && b.known && !a.known && a.decisions == nil && a.dims[1] == b.dims[0] {
		if c, err = im.sample(c, a); err != nil {
			return nil, err
		}
		if stretch, err := broadcastDims(c.dims, []int{1, dims[1]}); err == nil && stretch[0] == 1 {
			bias, err := c.numbers()
			if err != nil {
				return nil, fmt.Errorf("bias: %w", err)
			}
			all := make([]float64, dims[1])
			for i, k := range stretched(c.dims, []int{1, dims[1]}) {
				all[i] = bias[k]
			}
			if b, err = im.transpose(b, []int{1, 0}); err != nil {
				return nil, err
			}
			v, err := im.dense(a, b, all, dims)
			return []value{v}, err
		}
	}
	v, err := im.matMul(a, b)
	if err != nil {
		return nil, err
	}
	if c.present() && beta != 0 {
		if v, err = addAny(im, v, c); err != nil {
			return nil, err
		}
	}
	return []value{v}, nil
}

// window reads the attributes of convolutions and pools for an input of n spatial dimensions.
func (n *node) window(in, kernel []int) (model.Window, error) {
	rank := len(kernel)
	w := model.Window{Stride: n.ints("strides"), Pads: n.ints("pads"), Dilation: n.ints("dilations")}
	for name, list := range map[string][]int{"strides": w.Stride, "dilations": w.Dilation, "kernel_shape": kernel} {
		if len(list) != 0 && len(list) != rank {
			return w, fmt.Errorf("%s %v do not fit %d dimensions", name, list, rank)
		}
		for _, v := range list {
			if v < 1 || v > model.MaxElements {
				return w, fmt.Errorf("%s %v are not positive", name, list)
			}
		}
	}
	if len(w.Pads) != 0 && len(w.Pads) != 2*rank {
		return w, fmt.Errorf("pads %v do not fit %d dimensions", w.Pads, rank)
	}
	if len(in) != rank {
		return w, fmt.Errorf("kernel %v does not fit an input of %v", kernel, in)
	}
	at := func(list []int, i int) int {
		if len(list) == 0 {
			return 1
		}
		return list[i]
	}
	switch mode := n.text("auto_pad", "NOTSET"); mode {
	case "NOTSET", "":
	case "VALID":
		w.Pads = nil
	case "SAME_UPPER", "SAME_LOWER":
		w.Pads = make([]int, 2*rank)
		for i, size := range in {
			stride := at(w.Stride, i)
			out := (size + stride - 1) / stride
			total := max(0, (out-1)*stride+at(w.Dilation, i)*(kernel[i]-1)+1-size)
			w.Pads[i], w.Pads[rank+i] = total/2, total-total/2
			if mode == "SAME_LOWER" {
				w.Pads[i], w.Pads[rank+i] = total-total/2, total/2
			}
		}
	default:
		return w, fmt.Errorf("unknown auto_pad %q", clean(mode))
	}
	return w, nil
}

// image returns an input [1, channels, spatial...] without its batch and its spatial dimensions, one or two of them.
func (im *importer) image(x value) (value, []int, error) {
	if x.rank() != 3 && x.rank() != 4 {
		return value{}, nil, fmt.Errorf("input of %v: one or two spatial dimensions are served", x.dims)
	}
	if x.dims[0] != 1 {
		return value{}, nil, fmt.Errorf("input of %v has several samples: export with a batch of 1", x.dims)
	}
	x, err := im.as(x, x.dims[1:])
	return x, x.shape[1:], err
}

func conv(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	weight := n.in[1]
	w, err := weight.numbers()
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	var bias []float64
	if b := n.input(2); b.present() {
		if bias, err = b.numbers(); err != nil {
			return nil, fmt.Errorf("bias: %w", err)
		}
	}
	x, spatial, err := im.image(n.in[0])
	if err != nil {
		return nil, err
	}
	if weight.rank() != len(spatial)+2 {
		return nil, fmt.Errorf("weights of %v do not fit an input of %v", weight.dims, x.dims)
	}
	window, err := n.window(spatial, weight.dims[2:])
	if err != nil {
		return nil, err
	}
	op := &model.Conv{Weight: model.Tensor{Shape: model.Shape(weight.dims), Data: w}, Bias: bias, Window: window}
	if groups := n.int("group", 1); groups != 1 {
		op.Groups = groups
	}
	v, err := im.apply(op, x)
	return []value{v.with(x.kind, append([]int{1}, v.shape...))}, err
}

func pool(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	if len(n.outputs) > 1 && n.outputs[1] != "" {
		return nil, errors.New("also gives the places of its maxima, which is not served")
	}
	x, spatial, err := im.image(n.in[0])
	if err != nil {
		return nil, err
	}
	kernel := n.ints("kernel_shape")
	window, err := n.window(spatial, kernel)
	if err != nil {
		return nil, err
	}
	average := n.kind == "AveragePool"
	if n.int("ceil_mode", 0) != 0 {
		grown, err := ceiling(&window, spatial, kernel)
		if err != nil {
			return nil, err
		}
		if grown && average && n.int("count_include_pad", 0) != 0 {
			return nil, errors.New("counts padding in windows beyond it: export with ceil_mode=0 or count_include_pad=0")
		}
	}
	var op model.Op = &model.MaxPool{Kernel: kernel, Window: window}
	if average {
		op = &model.AveragePool{Kernel: kernel, CountIncludePad: n.int("count_include_pad", 0) != 0, Window: window}
	}
	v, err := im.apply(op, x)
	return []value{v.with(x.kind, append([]int{1}, v.shape...))}, err
}

// ceiling widens the padding at the end so that a window that starts inside the input, or in the padding before it, is
// not left out.
func ceiling(w *model.Window, in, kernel []int) (grown bool, err error) {
	rank := len(in)
	pads := slices.Clone(w.Pads)
	if len(pads) == 0 {
		pads = make([]int, 2*rank)
	}
	for i, size := range in {
		stride, dilation := 1, 1
		if len(w.Stride) > 0 {
			stride = w.Stride[i]
		}
		if len(w.Dilation) > 0 {
			dilation = w.Dilation[i]
		}
		reach := dilation*(kernel[i]-1) + 1
		room := size + pads[i] + pads[rank+i] - reach
		if room < 0 {
			return false, fmt.Errorf("kernel %v is larger than the padded input %v", kernel, in)
		}
		if extra := (stride - room%stride) % stride; extra > 0 && (room/stride+1)*stride < size+pads[i] {
			pads[rank+i] += extra
			grown = true
		}
	}
	w.Pads = pads
	return grown, nil
}

func globalPool(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	if x.rank() < 3 {
		return nil, fmt.Errorf("input of %v has no spatial dimensions", x.dims)
	}
	if n.kind == "GlobalMaxPool" {
		x, spatial, err := im.image(x)
		if err != nil {
			return nil, err
		}
		v, err := im.apply(&model.MaxPool{Kernel: slices.Clone(spatial)}, x)
		return []value{v.with(x.kind, append([]int{1}, v.shape...))}, err
	}
	axes := toInts(numbered(x.rank()))[2:]
	v, err := im.reduce(x, axes, true, func(axes []int, keep bool) model.Op { return &model.ReduceMean{Axes: axes, KeepDims: keep} })
	return []value{v}, err
}

// batchNormalization is a scale and an offset for each channel.
func batchNormalization(im *importer, n *node) ([]value, error) {
	if err := n.need(5); err != nil {
		return nil, err
	}
	if n.int("training_mode", 0) != 0 {
		return nil, errors.New("is in training mode: export the model in evaluation mode")
	}
	x := n.in[0]
	if x.rank() < 2 {
		return nil, fmt.Errorf("input of %v has no channels", x.dims)
	}
	op := &model.BatchNorm{Epsilon: n.float("epsilon", 1e-5)}
	for i, list := range []*[]float64{&op.Gamma, &op.Beta, &op.Mean, &op.Variance} {
		numbers, err := n.in[i+1].numbers()
		if err != nil {
			return nil, fmt.Errorf("parameter %d %w", i+1, err)
		}
		*list = numbers
	}
	if x.dims[0] == 1 {
		x, err := im.narrow(x)
		if err != nil {
			return nil, err
		}
		v, err := im.pointwise(op, x)
		return []value{v}, err
	}
	// Channels first, to have them on the model's axis 0.
	perm := toInts(numbered(x.rank()))
	perm[0], perm[1] = 1, 0
	x, err := im.transpose(x, perm)
	if err != nil {
		return nil, err
	}
	if x, err = im.full(x); err != nil {
		return nil, err
	}
	v, err := im.pointwise(op, x)
	if err != nil {
		return nil, err
	}
	v, err = im.transpose(v, perm)
	return []value{v}, err
}
