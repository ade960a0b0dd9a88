package onnx

import (
	"fmt"
	"slices"

	"cipherpoint/model"
)

// centred is (x − mean)/√(variance + epsilon) over axes; without centring, x/√(mean of squares + epsilon). Encrypted, the
// root is a polynomial over the range that the calibration rows reach.
func (im *importer) centred(x value, axes []int, centre bool, epsilon float64) (value, error) {
	var err error
	if centre {
		mean, err := im.reduce(x, axes, true, meanOf)
		if err != nil {
			return value{}, err
		}
		if x, err = im.subtract(x, mean); err != nil {
			return value{}, err
		}
	}
	scale, err := im.pointwise(monomial(2), x)
	if err != nil {
		return value{}, err
	}
	if scale, err = im.reduce(scale, axes, true, meanOf); err != nil {
		return value{}, err
	}
	if scale, err = im.affine(scale, 1, epsilon); err != nil {
		return value{}, err
	}
	if scale, err = im.pointwise(&model.Activation{Function: model.Power, Alpha: -0.5}, scale); err != nil {
		return value{}, err
	}
	return im.multiply(x, scale)
}

// layerNormalization is over all axes from one on; RMSNormalization leaves out the mean.
func layerNormalization(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	if len(slices.DeleteFunc(slices.Clone(n.outputs), func(name string) bool { return name == "" })) > 1 {
		return nil, fmt.Errorf("also gives means and deviations, which is not served")
	}
	x := n.in[0]
	axis, err := axisOf(n.int("axis", -1), x.rank())
	if err != nil {
		return nil, err
	}
	v, err := im.centred(x, toInts(numbered(x.rank()))[axis:], n.kind == "LayerNormalization", n.float("epsilon", 1e-5))
	if err != nil {
		return nil, err
	}
	if v, err = im.multiply(v, n.in[1]); err != nil {
		return nil, err
	}
	if b := n.input(2); b.present() {
		v, err = im.add(v, b)
	}
	return []value{v.with(x.kind, x.dims)}, err
}

// groupNormalization is over the places of groups of channels; instances are groups of one.
func groupNormalization(im *importer, n *node) ([]value, error) {
	if err := n.need(3); err != nil {
		return nil, err
	}
	x := n.in[0]
	if x.rank() < 3 || x.dims[0] != 1 {
		return nil, fmt.Errorf("input of %v has no channels with places", x.dims)
	}
	channels := x.dims[1]
	groups := channels
	if n.kind == "GroupNormalization" {
		if groups = n.int("num_groups", 0); groups < 1 || channels%groups != 0 {
			return nil, fmt.Errorf("%d channels do not make %d groups", channels, groups)
		}
	}
	grouped := []int{1, groups, model.Shape(x.dims[1:]).Size() / groups}
	v, err := im.moved(x, grouped)
	if err != nil {
		return nil, err
	}
	if v, err = im.centred(v, []int{2}, true, n.float("epsilon", 1e-5)); err != nil {
		return nil, err
	}
	for i, join := range []func(a, b value) (value, error){im.multiply, im.add} {
		p := n.in[1+i]
		// A parameter is of a group up to operator set 20, of a channel since.
		dims := []int{1, p.size(), v.size() / max(1, p.size())}
		if p.size() != groups && p.size() != channels {
			return nil, fmt.Errorf("%d parameters do not fit %d groups of %d channels", p.size(), groups, channels)
		}
		if v, err = im.moved(v, dims); err != nil {
			return nil, err
		}
		if p, err = im.moved(p, []int{1, p.size(), 1}); err != nil {
			return nil, err
		}
		if v, err = join(v, p); err != nil {
			return nil, err
		}
	}
	v, err = im.moved(v.with(x.kind, v.dims), x.dims)
	return []value{v}, err
}
