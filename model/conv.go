package model

import (
	"fmt"
	"slices"
	"sync"
)

// Window says how a kernel moves over the spatial dimensions of an input [channels, spatial...]. An empty list stands
// for strides and dilations of 1 and pads of 0.
//
// For each spatial dimension: out = ⌊(in + begin + end − dilation·(kernel−1) − 1) / stride⌋ + 1.
type Window struct {
	Stride   []int `json:"stride,omitempty"`
	Pads     []int `json:"pads,omitempty"` // begins of all dimensions, then ends, as in ONNX
	Dilation []int `json:"dilation,omitempty"`
}

// span is a window along one spatial dimension.
type span struct {
	in, out, kernel, stride, dilation, begin int
}

// taps returns the positions from..to-1 of the kernel that lie inside the input for an output position.
func (s span) taps(o int) (from, to int) {
	start := o*s.stride - s.begin
	if start < 0 {
		from = (-start + s.dilation - 1) / s.dilation
	}
	return min(from, s.kernel), max(0, min(s.kernel, (s.in-start+s.dilation-1)/s.dilation))
}

// spans applies the window to an input [channels, spatial...] with one or two spatial dimensions. One spatial
// dimension is treated as an image of height 1.
func (w Window) spans(in Shape, kernel []int) (spans [2]span, out Shape, err error) {
	n := len(kernel)
	if n < 1 || n > 2 || len(in) != n+1 {
		return spans, nil, fmt.Errorf("input has shape %v, want [channels, width] or [channels, height, width] to match a kernel of %v",
			[]int(in), kernel)
	}
	if err := in.check(); err != nil {
		return spans, nil, err
	}
	stride, err := window("stride", w.Stride, n, 1)
	if err != nil {
		return spans, nil, err
	}
	dilation, err := window("dilation", w.Dilation, n, 1)
	if err != nil {
		return spans, nil, err
	}
	pads, err := window("pads", w.Pads, 2*n, 0)
	if err != nil {
		return spans, nil, err
	}
	if _, err := window("kernel", kernel, n, 1); err != nil {
		return spans, nil, err
	}
	spans[0] = span{in: 1, out: 1, kernel: 1, stride: 1, dilation: 1}
	out = Shape{in[0]}
	for i := range n {
		s := span{in: in[i+1], kernel: kernel[i], stride: stride[i], dilation: dilation[i], begin: pads[i]}
		room := s.in + pads[i] + pads[n+i] - s.dilation*(s.kernel-1) - 1
		if room < 0 {
			return spans, nil, fmt.Errorf("kernel %v with dilation %v is larger than the padded input %v", kernel, dilation, []int(in))
		}
		s.out = room/s.stride + 1
		spans[2-n+i] = s
		out = append(out, s.out)
	}
	out, err = out.checked()
	return spans, out, err
}

// window returns a list of n values of at least low, all of them low if it is empty.
func window(what string, list []int, n, low int) ([]int, error) {
	if len(list) == 0 {
		return slices.Repeat([]int{low}, n), nil
	}
	if len(list) != n {
		return nil, fmt.Errorf("%s has %d values, want %d", what, len(list), n)
	}
	for _, v := range list {
		if v < low || v > MaxElements {
			return nil, fmt.Errorf("%s %v is outside %d..%d", what, list, low, MaxElements)
		}
	}
	return list, nil
}

// Conv is a cross-correlation over one or two spatial dimensions, [in, spatial...] to [out, spatial...]:
// y[o,p] = Σ_{i,k} Weight[o,i,k]·x[group(o)·in/groups + i, p·stride + k·dilation − begin] + Bias[o],
// where x is 0 outside the input.
type Conv struct {
	Weight Tensor    `json:"weight"`           // [out, in/groups, kernel...]
	Bias   []float64 `json:"bias,omitempty"`   // [out], or none
	Groups int       `json:"groups,omitempty"` // 0 stands for 1
	Window
}

func (*Conv) Kind() string { return "Conv" }

func (c *Conv) Infer(in []Shape) (Shape, error) {
	_, _, shape, err := c.geometry(in)
	return shape, err
}

// geometry returns the spans of height and width, the number of groups and the shape of the result.
func (c *Conv) geometry(in []Shape) (spans [2]span, groups int, shape Shape, err error) {
	x, err := one(in)
	if err != nil {
		return spans, 0, nil, err
	}
	if err := c.Weight.check(); err != nil {
		return spans, 0, nil, fmt.Errorf("weight: %w", err)
	}
	if len(c.Weight.Shape) < 3 {
		return spans, 0, nil, fmt.Errorf("weight has shape %v, want [out, in/groups, kernel...]", []int(c.Weight.Shape))
	}
	out, width := c.Weight.Shape[0], c.Weight.Shape[1]
	spans, shape, err = c.spans(x, c.Weight.Shape[2:])
	if err != nil {
		return spans, 0, nil, err
	}
	groups = max(c.Groups, 1)
	if c.Groups < 0 || out%groups != 0 || x[0]%groups != 0 || x[0]/groups != width {
		return spans, 0, nil, fmt.Errorf("%d groups do not fit %d input channels and a weight of shape %v",
			c.Groups, x[0], []int(c.Weight.Shape))
	}
	if len(c.Bias) != 0 && len(c.Bias) != out {
		return spans, 0, nil, fmt.Errorf("bias has %d values, want %d or none", len(c.Bias), out)
	}
	shape[0] = out
	shape, err = shape.checked()
	return spans, groups, shape, err
}

// patchElements bounds the unfolded part of an input, so that it stays in the cache and a wide kernel over a large
// input takes no more memory.
const patchElements = 1 << 14

// patches keeps the buffers of unfolded inputs.
var patches = sync.Pool{New: func() any { return new([]float64) }}

// Eval unfolds the input, some output positions at a time, to a matrix [in/groups·kernel, positions] and multiplies the
// weights by it.
func (c *Conv) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(c, in)
	if err != nil {
		return Tensor{}, err
	}
	spans, groups, _, err := c.geometry([]Shape{in[0].Shape})
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	positions := spans[0].out * spans[1].out
	for o, offset := range c.Bias {
		row := y.Data[o*positions : (o+1)*positions]
		for i := range row {
			row[i] = offset
		}
	}
	channels := c.Weight.Shape[1]
	taps := len(c.Weight.Data) / shape[0]
	perGroup := shape[0] / groups
	area := spans[0].in * spans[1].in
	block := min(positions, max(1, patchElements/taps))

	buffer := patches.Get().(*[]float64)
	defer patches.Put(buffer)
	*buffer = slices.Grow((*buffer)[:0], taps*block)
	for g := range groups {
		group := in[0].Data[g*channels*area : (g+1)*channels*area]
		for from := 0; from < positions; from += block {
			to := min(from+block, positions)
			matrix := (*buffer)[:taps*(to-from)]
			unfold(matrix, group, spans, from, to)
			for o := g * perGroup; o < (g+1)*perGroup; o++ {
				combine(y.Data[o*positions+from:o*positions+to], c.Weight.Data[o*taps:(o+1)*taps], matrix)
			}
		}
	}
	return y, nil
}

// unfold writes to row (channel, ky, kx) of the matrix what that tap sees at the output positions from..to-1.
func unfold(matrix, x []float64, spans [2]span, from, to int) {
	h, w := spans[0], spans[1]
	for area := h.in * w.in; len(x) > 0; x = x[area:] {
		for ky := range h.kernel {
			for kx := range w.kernel {
				for position := from; position < to; {
					oy, ox := position/w.out, position%w.out
					line := matrix[:min(w.out-ox, to-position)]
					matrix = matrix[len(line):]
					position += len(line)
					iy := oy*h.stride + ky*h.dilation - h.begin
					if iy < 0 || iy >= h.in {
						clear(line)
						continue
					}
					unfoldLine(line, x[iy*w.in:(iy+1)*w.in], ox*w.stride+kx*w.dilation-w.begin, w.stride)
				}
			}
		}
	}
}

// unfoldLine copies every stride-th element of the image's line from ix on, and zeros outside it.
func unfoldLine(line, image []float64, ix, stride int) {
	if stride == 1 && ix >= 0 && ix+len(line) <= len(image) {
		copy(line, image[ix:])
		return
	}
	for i := range line {
		if ix >= 0 && ix < len(image) {
			line[i] = image[ix]
		} else {
			line[i] = 0
		}
		ix += stride
	}
}

// combine adds Σ_k weights[k]·(row k of the matrix) to y, four rows at a time to load and store y less often.
func combine(y, weights, matrix []float64) {
	n := len(y)
	k := 0
	for ; k+4 <= len(weights); k += 4 {
		w0, w1, w2, w3 := weights[k], weights[k+1], weights[k+2], weights[k+3]
		m := matrix[k*n : (k+4)*n]
		m0, m1, m2, m3 := m[:n], m[n:2*n], m[2*n:3*n], m[3*n:4*n]
		m0, m1, m2, m3 = m0[:len(y)], m1[:len(y)], m2[:len(y)], m3[:len(y)]
		for i := range y {
			y[i] += (w0*m0[i] + w1*m1[i]) + (w2*m2[i] + w3*m3[i])
		}
	}
	for ; k < len(weights); k++ {
		axpy(y, weights[k], matrix[k*n:(k+1)*n])
	}
}

func (c *Conv) Lower(in Shape) (*AffineMap, error) {
	spans, groups, shape, err := c.geometry([]Shape{in})
	if err != nil {
		return nil, err
	}
	h, w := spans[0], spans[1]
	channels := c.Weight.Shape[1]
	taps := len(c.Weight.Data) / shape[0]
	perGroup := shape[0] / groups
	b := newSparseBuilder(shape.Size(), in.Size(), 0)
	bias := make([]float64, 0, shape.Size())
	for o := range shape[0] {
		weights := c.Weight.Data[o*taps : (o+1)*taps]
		first := o / perGroup * channels
		offset := 0.0
		if len(c.Bias) != 0 {
			offset = c.Bias[o]
		}
		for oy := range h.out {
			fromY, toY := h.taps(oy)
			for ox := range w.out {
				fromX, toX := w.taps(ox)
				for ch := range channels {
					for ky := fromY; ky < toY; ky++ {
						iy := oy*h.stride + ky*h.dilation - h.begin
						for kx := fromX; kx < toX; kx++ {
							ix := ox*w.stride + kx*w.dilation - w.begin
							b.add(((first+ch)*h.in+iy)*w.in+ix, weights[(ch*h.kernel+ky)*w.kernel+kx])
						}
					}
				}
				b.endRow()
				bias = append(bias, offset)
			}
		}
	}
	return &AffineMap{Matrix: b.matrix(), Bias: bias}, nil
}
