package approximation

import (
	"fmt"
	"math"

	"cipherpoint/model"
)

// steepest bounds how far from the range a quadratic's centre may lie, in ranges: beyond, the square would be a large
// number with a small message in it.
const steepest = 16

// quadratics appends a polynomial of degree 2 for each channel, fitted to the wanted results. In the place of a
// maximum it is followed by the mean over the window: what the wanted results need of one large element among small
// ones, a square tells well, and the layer after can be fitted to the rest.
func (r *replacer) quadratics() error {
	shape := r.in[0].Shape
	if len(shape) == 0 {
		return fmt.Errorf("a scalar has no channels")
	}
	channels := shape[0]
	each := shape.Size() / channels
	windows := make([][]int, shape.Size())
	for e := range windows {
		windows[e] = []int{e}
	}
	if r.pool != nil {
		var err error
		if windows, err = r.pool.Windows(shape); err != nil {
			return err
		}
	}
	perOutput := len(windows) / channels
	polynomials := make([][]float64, channels)
	factor := make([]float64, channels)
	err := parallel(channels, func(c int) error {
		radius := 1e-6
		for _, t := range r.in {
			for _, v := range t.Data[c*each : (c+1)*each] {
				radius = max(radius, math.Abs(v)*(1+2*margin))
			}
		}
		factor[c] = 1 / radius
		e := newEquations(3, 1)
		step := thin(perOutput * len(r.in))
		at := 0
		for i, t := range r.in {
			for ; at < perOutput; at += step {
				row := [3]float64{1}
				window := windows[c*perOutput+at]
				for _, k := range window {
					u := t.Data[k] / radius
					row[1] += u / float64(len(window))
					row[2] += u * u / float64(len(window))
				}
				e.add(row[:], []float64{r.want[i].Data[c*perOutput+at]}, 1)
			}
			at -= perOutput
		}
		solution, err := e.solve(1e-9, nil)
		if err != nil {
			return err
		}
		p := solution[0]
		if least := math.Abs(p[1]) / (2 * steepest); math.Abs(p[2]) < least {
			p[2] = math.Copysign(least, p[2])
		}
		polynomials[c] = p
		return nil
	})
	if err != nil {
		return err
	}
	unit := r.add("range", perChannel(len(shape), factor, make([]float64, channels)), r.input)
	last := r.add("quadratic", &model.ChannelPolynomial{Coefficients: polynomials}, unit)
	if r.pool != nil {
		r.add("mean", &model.AveragePool{Kernel: r.pool.Kernel, Window: r.pool.Window}, last)
	}
	r.fitted = true
	return nil
}

// tree appends the maximum over each window by halves, max(a, b) = (a + b)/2 + |a − b|/2 with a polynomial for the
// magnitude, and then the activation. The elements of a window lie along axis 0, as many as the next power of two, some
// of them twice; the partner of each is half a turn away, so that no stage leaves the layout.
func (r *replacer) tree(p plan) error {
	shape := r.in[0].Shape
	windows, err := r.pool.Windows(shape)
	if err != nil {
		return err
	}
	wide := 0
	for _, w := range windows {
		wide = max(wide, len(w))
	}
	turns := 1
	for turns < wide {
		turns *= 2
	}
	indices := make([]int, 0, turns*len(windows))
	for k := range turns {
		for _, w := range windows {
			indices = append(indices, w[k%len(w)])
		}
	}
	result := r.want[0].Shape
	flat := r.add("elements", &model.Flatten{}, r.input)
	flat = r.add("candidates", &model.Gather{Indices: indices}, flat)
	value := r.add("windows", &model.Reshape{Shape: append(model.Shape{turns}, result...)}, flat)

	current := make([][]float64, len(r.in)) // the tree's values on each row
	exact := make([][]float64, len(r.in))   // the maxima that they stand for
	for i, t := range r.in {
		current[i] = make([]float64, len(indices))
		for k, e := range indices {
			current[i][k] = t.Data[e]
		}
		exact[i] = append([]float64(nil), current[i]...)
	}
	for half := turns / 2; half > 0; half /= 2 {
		if value, err = r.stage(p, value, turns, half, len(windows), current, exact); err != nil {
			return err
		}
	}
	if r.common != nil || r.channels != nil {
		in, want := make([]model.Tensor, len(r.in)), make([]model.Tensor, len(r.in))
		for i := range in {
			in[i] = model.Tensor{Shape: result, Data: current[i][:len(windows)]}
			want[i] = r.want[i]
		}
		if r.channels != nil {
			return fmt.Errorf("a function of each channel after a maximum is not served")
		}
		if value, err = r.pointwise(p, value, in, want); err != nil {
			return err
		}
	}
	one := append(model.Shape{1}, result...)
	start, step := make([]int, len(one)), make([]int, len(one))
	for i := range step {
		step[i] = 1
	}
	first := r.add("first", &model.Slice{Start: start, Size: one, Step: step}, value)
	r.add("maximum", &model.Reshape{Shape: result}, first)
	r.fitted = p.method == leastSquares
	return nil
}

// stage appends one round of maxima with the element half a turn away, and follows it on the rows.
func (r *replacer) stage(p plan, value string, turns, half, each int, current, exact [][]float64) (string, error) {
	name := fmt.Sprintf("of %d ", 2*half)
	turned := make([]int, turns)
	for k := range turned {
		turned[k] = (k + half) % turns
	}
	partner := func(e int) int { return turned[e/each]*each + e%each }
	radius := 1e-6
	for _, row := range current {
		for e, v := range row {
			radius = max(radius, (1+2*margin)*math.Abs(v-row[partner(e)]))
		}
	}
	var in, want []model.Tensor
	for i, row := range current {
		d, y := make([]float64, half*each), make([]float64, half*each)
		for e := range d {
			d[e] = (row[e] - row[partner(e)]) / radius
			top := max(exact[i][e], exact[i][partner(e)])
			y[e] = (2*top - row[e] - row[partner(e)]) / radius
		}
		in, want = append(in, model.Vector(d...)), append(want, model.Vector(y...))
	}
	other := r.add(name+"partners", &model.Gather{Indices: turned}, value)
	sum := r.add(name+"sum", &model.Add{}, value, other)
	twice := r.add(name+"own", scale(2/radius, 0), value)
	both := r.add(name+"both", scale(1/radius, 0), sum)
	difference := r.add(name+"difference", &model.Sub{}, twice, both)
	magnitude, above := "", func(d float64) float64 { return 0 }
	if p.method == composite {
		stages, err := balancedSign(p.degrees)
		if err != nil {
			return "", err
		}
		sign := difference
		for i, s := range stages {
			sign = r.add(fmt.Sprintf("%ssign %d", name, i+1), s, sign)
		}
		magnitude = r.add(name+"magnitude", &model.Multiply{}, difference, sign)
		above = func(d float64) float64 {
			y := d
			for _, s := range stages {
				y = s.At(y)
			}
			return d * y
		}
	} else {
		s, err := r.approximate(p, in, want, math.Abs, -1, 1)
		if err != nil {
			return "", err
		}
		magnitude, above = r.add(name+"magnitude", s, difference), s.At
	}
	a := r.add(name+"mean", scale(0.5, 0), sum)
	b := r.add(name+"above the mean", scale(radius/2, 0), magnitude)
	err := parallel(len(current), func(i int) error {
		row, next, top := current[i], make([]float64, len(current[i])), make([]float64, len(current[i]))
		for e, v := range row {
			o := partner(e)
			next[e] = (v+row[o])/2 + radius/2*above((v-row[o])/radius)
			top[e] = max(exact[i][e], exact[i][o])
		}
		current[i], exact[i] = next, top
		return nil
	})
	return r.add(name+"maximum", &model.Add{}, a, b), err
}
