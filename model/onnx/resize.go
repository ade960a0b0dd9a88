package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// convTranspose is a convolution with the kernel turned round, of the input with zeros between its elements.
func convTranspose(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	x, weight := n.in[0], n.in[1]
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
	if _, _, err := im.image(x); err != nil {
		return nil, err
	}
	rank, groups := x.rank()-2, n.int("group", 1)
	if weight.rank() != rank+2 || groups < 1 || weight.dims[0]%groups != 0 || x.dims[1] != weight.dims[0] {
		return nil, fmt.Errorf("weights of %v in %d groups do not fit an input of %v", weight.dims, groups, x.dims)
	}
	window, err := n.window(x.dims[2:], weight.dims[2:])
	if err != nil {
		return nil, err
	}
	if mode := n.text("auto_pad", "NOTSET"); mode != "NOTSET" && mode != "VALID" || n.attribute("output_shape") != nil {
		return nil, errors.New("states a shape or a way to pad instead of pads: export with pads")
	}
	extra := n.ints("output_padding")
	begin, end := make([]int, x.rank()), make([]int, x.rank())
	for i := range rank {
		at := func(list []int, otherwise int) int {
			if i < len(list) {
				return list[i]
			}
			return otherwise
		}
		stride, reach := at(window.Stride, 1), at(window.Dilation, 1)*(weight.dims[2+i]-1)
		if x, err = im.spaced(x, 2+i, stride); err != nil {
			return nil, err
		}
		begin[2+i], end[2+i] = reach, reach+at(extra, 0)-(stride-1)
		if len(window.Pads) > 0 {
			begin[2+i] -= window.Pads[i]
			end[2+i] -= window.Pads[rank+i]
		}
	}
	if x, err = im.padded(x, begin, end); err != nil {
		return nil, err
	}
	// [in, out of a group, …] to [out, in of a group, …], each kernel from its end.
	in, out, places := weight.dims[0]/groups, weight.dims[1], model.Shape(weight.dims[2:]).Size()
	turned := model.NewTensor(append(model.Shape{groups * out, in}, weight.dims[2:]...))
	for g := range groups {
		for i := range in {
			for o := range out {
				for k := range places {
					turned.Data[((g*out+o)*in+i)*places+places-1-k] = w[((g*in+i)*out+o)*places+k]
				}
			}
		}
	}
	op := &model.Conv{Weight: turned, Bias: bias, Window: model.Window{Dilation: window.Dilation}}
	if groups != 1 {
		op.Groups = groups
	}
	if x, _, err = im.image(x); err != nil {
		return nil, err
	}
	v, err := im.apply(op, x)
	return []value{v.with(x.kind, append([]int{1}, v.shape...))}, err
}

// spaced puts stride − 1 zeros behind each element along an axis.
func (im *importer) spaced(x value, axis, stride int) (value, error) {
	if stride == 1 {
		return x, nil
	}
	dims := slices.Clone(x.dims)
	if dims[axis] *= stride; stride > model.MaxElements/max(1, x.size()) {
		return value{}, fmt.Errorf("strides of %d make too many elements", stride)
	}
	v, err := im.moved(x, slices.Insert(slices.Clone(x.dims), axis+1, 1))
	if err != nil {
		return value{}, err
	}
	end := make([]int, v.rank())
	end[axis+1] = stride - 1
	if v, err = im.padded(v, make([]int, v.rank()), end); err != nil {
		return value{}, err
	}
	return im.moved(v, dims)
}

// padded adds zeros before and after each axis, or cuts where numbers are negative.
func (im *importer) padded(x value, begin, end []int) (value, error) {
	pads := integers(append(slices.Clone(begin), end...)...)
	v, err := pad(im, &node{nodeProto: &nodeProto{kind: "Pad"}, in: []value{x, pads}})
	if err != nil {
		return value{}, err
	}
	return v[0], nil
}

// resize stretches or shrinks axes by constant factors: each is a product with a matrix of weights of the old places.
func resize(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	scales, sizes := n.input(2), n.input(3)
	if n.kind == "Upsample" || im.opset < 11 {
		scales, sizes = n.input(1), value{}
	}
	factors := n.floats("scales")
	if scales.present() && scales.size() > 0 {
		list, err := scales.numbers()
		if err != nil {
			return nil, fmt.Errorf("scales: %w", err)
		}
		factors = list
	}
	axes := n.ints("axes")
	if axes == nil {
		axes = toInts(numbered(x.rank()))
	}
	outs := make([]int, len(axes))
	if sizes.present() && sizes.size() > 0 {
		list, err := sizes.integers()
		if err != nil || len(list) != len(axes) {
			return nil, errors.New("sizes are not one constant for each axis")
		}
		if n.text("keep_aspect_ratio_policy", "stretch") != "stretch" {
			return nil, errors.New("keeps an aspect ratio: export with scales")
		}
		outs, factors = list, make([]float64, len(axes))
	} else if len(factors) != len(axes) {
		return nil, errors.New("scales are not one constant for each axis")
	}
	for i, a := range axes {
		axis, err := axisOf(a, x.rank())
		if err != nil {
			return nil, err
		}
		in := x.dims[axis]
		if outs[i] == 0 {
			outs[i] = int(max(0, min(math.Floor(float64(in)*factors[i]), model.MaxElements)))
		} else {
			factors[i] = float64(outs[i]) / float64(in)
		}
		if outs[i] < 1 || !(factors[i] > 0) {
			return nil, fmt.Errorf("axis %d would have %d elements", axis, outs[i])
		}
		if axis == 0 && x.rank() > 1 && outs[i] == 1 && in == 1 || outs[i] == in && factors[i] == 1 {
			continue
		}
		matrix, err := n.places(in, outs[i], factors[i], im.opset < 11 || n.kind == "Upsample")
		if err != nil {
			return nil, err
		}
		if x, err = im.along(x, axis, matrix); err != nil {
			return nil, err
		}
	}
	return []value{x}, nil
}

// along multiplies each line of an axis by a known matrix [old, new].
func (im *importer) along(x value, axis int, matrix value) (value, error) {
	perm := toInts(numbered(x.rank()))
	perm[axis], perm[x.rank()-1] = perm[x.rank()-1], perm[axis]
	x, err := im.transpose(x, perm)
	if err != nil {
		return value{}, err
	}
	if x, err = im.matMul(x, matrix); err != nil {
		return value{}, err
	}
	return im.transpose(x, perm)
}

// places returns the weights [old, new] of the old places along an axis in the new ones.
func (n *node) places(in, out int, factor float64, old bool) (value, error) {
	if err := checkDims([]int{in, out}); err != nil {
		return value{}, err
	}
	weights := make([]float64, in*out)
	mode, way := n.text("mode", "nearest"), n.text("coordinate_transformation_mode", "half_pixel")
	if old {
		way = "asymmetric"
	}
	if n.int("antialias", 0) != 0 {
		return value{}, errors.New("antialias is not served")
	}
	for o := range out {
		var at float64
		switch way {
		case "half_pixel":
			at = (float64(o)+0.5)/factor - 0.5
		case "pytorch_half_pixel":
			if out > 1 {
				at = (float64(o)+0.5)/factor - 0.5
			}
		case "align_corners":
			if out > 1 {
				at = float64(o) * float64(in-1) / float64(out-1)
			}
		case "asymmetric":
			at = float64(o) / factor
		default:
			return value{}, fmt.Errorf("coordinate_transformation_mode %q is not served: use half_pixel, asymmetric or align_corners", clean(way))
		}
		switch mode {
		case "nearest":
			switch rounding := n.text("nearest_mode", "round_prefer_floor"); {
			case old || rounding == "floor":
				at = math.Floor(at)
			case rounding == "round_prefer_floor":
				at = math.Ceil(at - 0.5)
			case rounding == "round_prefer_ceil":
				at = math.Floor(at + 0.5)
			case rounding == "ceil":
				at = math.Ceil(at)
			default:
				return value{}, fmt.Errorf("nearest_mode %q is not known", clean(rounding))
			}
			weights[int(max(0, min(at, float64(in-1))))*out+o] = 1
		case "linear", "bilinear":
			at = max(0, min(at, float64(in-1)))
			low := int(at)
			weights[low*out+o] += 1 - (at - float64(low))
			weights[min(low+1, in-1)*out+o] += at - float64(low)
		default:
			return value{}, fmt.Errorf("mode %q is not served: use nearest or linear", clean(mode))
		}
	}
	return constant(float32Type, []int{in, out}, weights), nil
}
