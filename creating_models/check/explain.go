package check

import (
	"fmt"
	"math"
)

// Cause is what made an answer another.
type Cause string

const (
	Overflow      Cause = "range overflow" // a value outside what a polynomial was made for, or too large for the primes
	Approximation Cause = "approximation"  // a polynomial within its range
	Lowering      Cause = "lowering"       // the circuit does not compute what the model does
	Precision     Cause = "precision"      // the noise of encryption
)

// Disagreement is a row on which the ways differ.
type Disagreement struct {
	Row int // from 0 on
	// Labels of the original, the simulation and the encrypted one, which is -1 for rows that were not encrypted.
	Float, Simulated, Encrypted int
	// Score names the number that is followed: a score, or how far that of one class is above that of another.
	Score                                      string
	FloatScore, SimulatedScore, EncryptedScore float64

	Cause  Cause
	Layer  string
	Share  float64 // of the whole change that this layer makes; above 1 where others make up for some of it
	Detail string
}

// course is the number that is followed: a score or the distance of two.
type course struct {
	of, with int // with is -1 for a score alone
}

func (c course) at(scores []float64) float64 {
	if c.with < 0 {
		return scores[c.of]
	}
	return scores[c.of] - scores[c.with]
}

// course of a row: where each class has a score, how far the right one's is above the one taken for it; else the score
// that changes most.
func (r *replay) course(from, to answer) course {
	a, b := r.compared(from), r.compared(to)
	if r.classifies() && from.label != to.label && len(a) == len(r.pipeline.Classes) && len(a) > 1 && a[from.label] >= a[to.label] {
		return course{from.label, to.label}
	}
	c, largest := course{0, -1}, 0.0
	for k := range a {
		d := math.Abs(b[k] - a[k])
		if math.IsNaN(d) {
			return course{k, -1}
		}
		if d > largest {
			c, largest = course{k, -1}, d
		}
	}
	return c
}

// name says what a course follows.
func (r *replay) name(c course) string {
	class := func(k int) string {
		switch {
		case len(r.compared(r.float[0])) == len(r.pipeline.Classes):
			return r.pipeline.Classes[k]
		case len(r.compared(r.float[0])) == 1:
			return "score"
		}
		return fmt.Sprintf("score %d", k+1)
	}
	if c.with < 0 {
		return class(c.of)
	}
	return class(c.of) + " over " + class(c.with)
}

// step is one exact thing replaced by what runs encrypted.
type step struct {
	cause Cause
	unit  int // of the approximation, or -1
	move  float64
}

// explain follows row i from the original model to the answer that differs.
func (r *replay) explain(i int) (Disagreement, error) {
	from, to := r.float[i], r.simulated[i]
	d := Disagreement{Row: i, Float: from.label, Simulated: to.label, Encrypted: -1}
	encrypted := i < len(r.encrypted)
	if encrypted {
		d.Encrypted = r.encrypted[i].label
		if r.differs(i, r.encrypted[i]) || !r.differs(i, to) {
			to = r.encrypted[i]
		}
	}
	c := r.course(from, to)
	noiseAlone := r.classifies() && from.label == to.label // no label is wrong, the noise is larger than stated
	if noiseAlone {
		c = r.course(r.circuit[i], to)
	}
	d.Score = r.name(c)
	d.FloatScore, d.SimulatedScore, d.EncryptedScore = c.at(r.compared(from)), c.at(r.compared(r.simulated[i])), math.NaN()
	if encrypted {
		d.EncryptedScore = c.at(r.compared(r.encrypted[i]))
	}
	steps, err := r.steps(i, c, to)
	if err != nil {
		return d, err
	}
	noise := steps[len(steps)-1]
	whole := c.at(r.compared(to)) - c.at(r.compared(from))
	blame := farthest(steps, whole)
	if noiseAlone {
		blame, whole = noise, noise.move
	}
	if blame.cause == Precision {
		// Noise that is far wider than elsewhere has a reason: out of range, polynomials are steep and multiply it, and values
		// outgrow the primes.
		if o := overflowing(steps, r.record.Bound); o.cause == Overflow {
			blame, whole = o, o.move
		} else if wide := max(r.typical, largest(r.simulated[i].scores, r.circuit[i].scores)); !(math.Abs(noise.move) <= 10*wide) {
			wrap, err := r.result.Wrapped(r.rows[i])
			if err != nil {
				return d, err
			}
			if wrap != nil {
				d.Cause, d.Layer, d.Share = Overflow, wrap.Layer, share(noise.move, whole)
				d.Detail = fmt.Sprintf("values of %.3g, the primes hold %.3g", wrap.Size, wrap.Limit)
				return d, nil
			}
		}
	}
	d.Cause, d.Share = blame.cause, share(blame.move, whole)
	switch {
	case blame.unit >= 0:
		return d, r.approximated(&d, blame.unit)
	case d.Cause == Precision:
		return d, r.noisy(&d, c, blame.move)
	case d.Cause == Lowering:
		d.Layer, d.Detail = "circuit", fmt.Sprintf("%.2g between model and circuit, both in float", blame.move)
	}
	return d, nil
}

func share(move, whole float64) float64 {
	if move == whole { // also where both are zero, or infinite
		return 1
	}
	return move / whole
}

// overflowing is the step out of range that moves the score furthest, in any direction, if that is further than the bound.
func overflowing(steps []step, bound float64) (worst step) {
	for _, s := range steps {
		switch {
		case s.cause != Overflow:
		case math.IsNaN(s.move):
			return s
		case math.Abs(s.move) > max(bound, math.Abs(worst.move)):
			worst = s
		}
	}
	return worst
}

// noisy says where the noise comes from.
func (r *replay) noisy(d *Disagreement, c course, move float64) error {
	layers, err := r.result.LayerNoise(r.rows[d.Row])
	if err != nil {
		return err
	}
	all, largest := 0.0, -1.0
	for _, layer := range layers {
		deviation := c.deviation(r.noise(layer.Scores))
		if all = math.Hypot(all, deviation); deviation > largest {
			largest, d.Layer = deviation, layer.Layer
		}
	}
	d.Detail = fmt.Sprintf("%.2g, %.1f deviations of the noise", move, math.Abs(move)/all)
	return nil
}

// noise brings the deviations of scores to what is compared. Where that is answers, the largest stands for all.
func (r *replay) noise(scores []float64) []float64 {
	if r.comparable {
		return scores
	}
	largest := 0.0
	for _, s := range scores {
		largest = max(largest, s)
	}
	list := make([]float64, len(r.float[0].values))
	for k := range list {
		list[k] = largest
	}
	return list
}

func (c course) deviation(deviations []float64) float64 {
	if c.with < 0 {
		return deviations[c.of]
	}
	return math.Hypot(deviations[c.of], deviations[c.with])
}

// steps puts what runs encrypted in the place of what is exact, one after the other.
func (r *replay) steps(i int, c course, to answer) ([]step, error) {
	var steps []step
	at := c.at(r.compared(r.float[i]))
	add := func(cause Cause, unit int, next float64) {
		steps = append(steps, step{cause, unit, next - at})
		at = next
	}
	if r.layers != nil {
		for k := range r.layers.units {
			for _, inRange := range []bool{true, false} {
				scores, err := r.layers.upTo(k, inRange).RunRows(r.rows[i : i+1])
				if err != nil {
					return nil, err
				}
				cause := Overflow
				if inRange {
					cause = Approximation
				}
				add(cause, k, c.at(scores[0]))
			}
		}
	}
	add(Lowering, -1, c.at(r.compared(r.circuit[i])))
	add(Precision, -1, c.at(r.compared(to)))
	return steps, nil
}

// farthest is the step that goes farthest in the direction of the whole change. Something that is not a number is farthest.
func farthest(steps []step, whole float64) step {
	best := steps[len(steps)-1]
	for _, s := range steps {
		if math.IsNaN(s.move) || math.IsInf(s.move, 0) {
			return s
		}
		if s.move*math.Copysign(1, whole) > best.move*math.Copysign(1, whole) {
			best = s
		}
	}
	return best
}

// approximated says what is wrong with an approximated layer.
func (r *replay) approximated(d *Disagreement, k int) error {
	u := &r.layers.units[k]
	d.Layer = u.Node
	if d.Cause == Approximation {
		d.Detail = fmt.Sprintf("%s, degrees %v", u.By, u.Degrees)
		return nil
	}
	o, err := r.layers.overflow(k, r.rows[d.Row])
	if err != nil {
		return err
	}
	if o == nil {
		return fmt.Errorf("layer %q overflows nowhere", u.Node)
	}
	d.Detail = fmt.Sprintf("%.3g, outside [%.3g, %.3g]", o.Value, o.Low, o.High)
	if o.Count > 1 {
		d.Detail += fmt.Sprintf("; %d values are", o.Count)
	}
	return nil
}
