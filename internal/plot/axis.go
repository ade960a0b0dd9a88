package plot

import (
	"math"

	"cipherpoint/internal/format"
)

// Axis says how values are placed and named.
type Axis struct {
	Label  string               // with the unit, where Format does not write it
	Log    bool                 // base 10
	Format func(float64) string // of values; nil writes plain numbers
}

func (a Axis) format(v float64) string {
	if a.Format == nil {
		return format.Number(v)
	}
	return a.Format(v)
}

// vast is far beyond every figure worth drawing, and leaves room to compute with.
const vast = 1e100

// shows says whether v has a place on the axis.
func (a Axis) shows(v float64) bool {
	if a.Log {
		return v >= 1/vast && v <= vast
	}
	return math.Abs(v) <= vast
}

// scale maps values from lo to hi onto coordinates.
type scale struct {
	lo, hi   float64
	from, to float64
	log      bool
}

// scaleOf covers all values that the axis shows, with a margin (a fraction of the range) on either side.
func (a Axis) scaleOf(from, to, margin float64, values ...float64) scale {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if a.shows(v) {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	if lo > hi {
		lo, hi = 1, 1
	}
	if a.Log {
		lo, hi = math.Log10(lo), math.Log10(hi)
	}
	if d := hi - lo; d > 1e-9*math.Max(math.Abs(lo), math.Abs(hi)) && d > 1/vast {
		lo, hi = lo-margin*d, hi+margin*d
	} else {
		d := math.Max(math.Abs(lo)/2, 0.5)
		if a.Log {
			d = 0.5
		}
		lo, hi = lo-d, hi+d
	}
	if a.Log {
		lo, hi = math.Pow(10, lo), math.Pow(10, hi)
	}
	return scale{lo: lo, hi: hi, from: from, to: to, log: a.Log}
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log10(v), math.Log10(lo), math.Log10(hi)
	}
	return s.from + (v-lo)/(hi-lo)*(s.to-s.from)
}

// ticks returns at most about n round values within the scale: 1, 2 and 5 times a power of ten.
func (s scale) ticks(n int) []float64 {
	if s.log {
		return s.logTicks(n)
	}
	span := s.hi - s.lo
	step := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, f := range []float64{1, 2, 5, 10} {
		if span/(step*f) <= float64(n) {
			step *= f
			break
		}
	}
	var ticks []float64
	for k := math.Ceil(s.lo/step - 1e-9); k*step <= s.hi+1e-9*step; k++ {
		ticks = append(ticks, k*step)
	}
	return ticks
}

func (s scale) logTicks(n int) []float64 {
	first, last := int(math.Floor(math.Log10(s.lo))), int(math.Ceil(math.Log10(s.hi)))
	for _, steps := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		var ticks []float64
		for k := first; k <= last; k++ {
			for _, f := range steps {
				if v := f * math.Pow(10, float64(k)); v >= s.lo*(1-1e-9) && v <= s.hi*(1+1e-9) {
					ticks = append(ticks, v)
				}
			}
		}
		if len(ticks) <= n {
			return ticks
		}
	}
	every := (last-first)/n + 1
	var ticks []float64
	for k := first; k <= last; k += every {
		if v := math.Pow(10, float64(k)); v >= s.lo && v <= s.hi {
			ticks = append(ticks, v)
		}
	}
	return ticks
}

// frame is the area that data is drawn in, with its two axes.
type frame struct {
	left, top, right, bottom float64
	x, y                     scale
}

// xAxis draws vertical grid lines, values below and the axis's name. named is false for an upper panel that shares the
// axis of the one below.
func (c *canvas) xAxis(f frame, a Axis, n int, named bool) {
	for _, v := range f.x.ticks(n) {
		x := f.x.at(v)
		c.line(x, f.top, x, f.bottom, "grid")
		if named {
			c.text(x, f.bottom+16, middle, "soft small", a.format(v))
		}
	}
	c.line(f.left, f.bottom, f.right, f.bottom, "axis")
	if named && a.Label != "" {
		c.text((f.left+f.right)/2, f.bottom+34, middle, "soft", a.Label)
	}
}

// yAxis draws horizontal grid lines, values to the left and the axis's name above its upper end.
func (c *canvas) yAxis(f frame, a Axis, n int) {
	for _, v := range f.y.ticks(n) {
		y := f.y.at(v)
		c.line(f.left, y, f.right, y, "grid")
		c.text(f.left-7, y+3.5, end, "soft small", a.format(v))
	}
	if a.Label != "" {
		c.text(0, f.top-10, start, "soft", a.Label)
	}
}
