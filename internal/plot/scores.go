package plot

import (
	"fmt"
	"math"
	"strings"

	"cipherpoint/internal/format"
)

// Point is a place in a plane.
type Point struct{ X, Y float64 }

// ScorePairs compares scores computed in the clear (X) with the same scores computed under encryption (Y).
type ScorePairs struct {
	ID, Title string
	Unit      string  // what the scores are, such as "logit"
	Pairs     []Point // X clear, Y encrypted
	Bound     float64 // the promised largest difference; 0 for none
}

const scoresWidth = 464

// Scores draws encrypted scores against clear ones with the line of equality, and below, on the same x axis, their
// difference with the promised band: errors are far too small to be seen above.
func Scores(p ScorePairs) Figure {
	var c canvas
	const left, right = 62, scoresWidth - 10
	upper := frame{left: left, top: 30, right: right, bottom: 290}
	lower := frame{left: left, top: 338, right: right, bottom: 448}

	axis := Axis{Label: "clear " + p.Unit}
	var all, errors []float64
	var largest float64
	for _, pair := range p.Pairs {
		if axis.shows(pair.X) && axis.shows(pair.Y) {
			all = append(all, pair.X, pair.Y)
			errors = append(errors, pair.Y-pair.X)
			largest = math.Max(largest, math.Abs(pair.Y-pair.X))
		}
	}
	upper.x = axis.scaleOf(left, right, 0.04, all...)
	upper.y = axis.scaleOf(upper.bottom, upper.top, 0.04, all...)
	lower.x = upper.x
	reach := errorReach(largest, p.Bound)
	errorAxis := Axis{Label: "encrypted − clear"}
	lower.y = errorAxis.scaleOf(lower.bottom, lower.top, 0.1, -reach, reach)

	c.xAxis(upper, axis, 6, false)
	c.yAxis(upper, Axis{Label: "encrypted " + p.Unit}, 6)
	if p.Bound > 0 && len(all) > 0 {
		lo, hi := upper.x.lo, upper.x.hi
		c.path(fmt.Sprintf("M%s %sL%s %sL%s %sL%s %sZ",
			num(upper.x.at(lo)), num(upper.y.at(lo+p.Bound)), num(upper.x.at(hi-p.Bound)), num(upper.y.at(hi)),
			num(upper.x.at(hi)), num(upper.y.at(hi-p.Bound)), num(upper.x.at(lo+p.Bound)), num(upper.y.at(lo))), "band")
	}
	c.path(fmt.Sprintf("M%s %sL%s %s", num(left), num(upper.bottom), num(right), num(upper.top)), "line thin s-soft dash")
	c.dots(upper, p.Pairs)

	c.xAxis(lower, axis, 6, true)
	if p.Bound > 0 && p.Bound <= lower.y.hi {
		y := lower.y.at(p.Bound)
		c.rect(left, y, right-left, lower.y.at(-p.Bound)-y, "band", "")
	}
	c.yAxis(lower, errorAxis, 4)
	c.line(left, lower.y.at(0), right, lower.y.at(0), "line thin s-soft dash")
	differences := make([]Point, len(p.Pairs))
	for i, pair := range p.Pairs {
		differences[i] = Point{pair.X, pair.Y - pair.X}
	}
	c.dots(lower, differences)
	if p.Bound > 0 {
		c.text(right, lower.top-10, end, "soft", boundNote(p.Bound, lower.y.hi))
	}
	description := fmt.Sprintf("Encrypted against clear scores of %d pairs; the largest difference is %s.",
		len(errors), format.Number(largest))
	return c.figure(p.ID, p.Title, description, scoresWidth, lower.bottom+42)
}

// errorReach is how far an axis of errors goes to either side: to the bound where that leaves the errors visible.
func errorReach(largest, bound float64) float64 {
	if math.Max(largest, bound) < 1/vast {
		return 1
	}
	if bound > 0 && bound <= 8*largest || largest == 0 {
		return math.Max(bound, largest)
	}
	return largest
}

func boundNote(bound, reach float64) string {
	if bound > reach {
		return fmt.Sprintf("bound ±%s: beyond the axis", format.Number(bound))
	}
	return "band: bound ±" + format.Number(bound)
}

// dots draws each point once, however many share its half pixel: what looks the same need not be written twice.
func (c *canvas) dots(f frame, points []Point) {
	type cell struct{ x, y int }
	seen := map[cell]bool{}
	var d strings.Builder
	plain := Axis{}
	for _, p := range points {
		if !plain.shows(p.X) || !plain.shows(p.Y) {
			continue
		}
		at := cell{int(math.Round(2 * f.x.at(p.X))), int(math.Round(2 * f.y.at(p.Y)))}
		if seen[at] {
			continue
		}
		seen[at] = true
		fmt.Fprintf(&d, "M%s %sh0", num(float64(at.x)/2), num(float64(at.y)/2))
	}
	if d.Len() > 0 {
		c.path(d.String(), "line dots s-blue")
	}
}

// ErrorHistogram is a distribution of score errors.
type ErrorHistogram struct {
	ID, Title string
	Unit      string
	Errors    []float64 // signed
	Bound     float64   // the promised largest size; 0 for none
}

const bins = 41 // odd: the middle one is centred on zero

// Errors draws a histogram with a logarithmic axis of counts, symmetric about zero.
func Errors(h ErrorHistogram) Figure {
	var c canvas
	f := frame{left: 62, top: 30, right: scoresWidth - 10, bottom: 448}
	var largest float64
	kept := 0
	plain := Axis{}
	for _, e := range h.Errors {
		if plain.shows(e) {
			largest = math.Max(largest, math.Abs(e))
			kept++
		}
	}
	reach := errorReach(largest, h.Bound)
	var counts [bins]int
	most := 1
	for _, e := range h.Errors {
		if plain.shows(e) {
			i := min(int((e+reach)/(2*reach)*bins), bins-1)
			counts[i]++
			most = max(most, counts[i])
		}
	}
	xAxis := Axis{Label: "error of a score, encrypted − clear"}
	if h.Unit != "" {
		xAxis.Label += " (" + h.Unit + ")"
	}
	yAxis := Axis{Label: "number of scores", Log: true}
	f.x = xAxis.scaleOf(f.left, f.right, 0.04, -reach, reach)
	f.y = scale{lo: 0.7, hi: float64(most) * 1.5, from: f.bottom, to: f.top, log: true}
	c.xAxis(f, xAxis, 5, true)
	c.yAxis(f, yAxis, 6)
	width := (f.x.at(reach) - f.x.at(-reach)) / bins
	for i, count := range counts {
		if count == 0 {
			continue
		}
		lo := -reach + 2*reach*float64(i)/bins
		y := f.y.at(float64(count))
		c.rect(f.x.at(lo)+0.5, y, width-1, f.bottom-y, "blue",
			fmt.Sprintf("%s to %s: %d", format.Number(lo), format.Number(lo+2*reach/bins), count))
	}
	if h.Bound > 0 {
		if h.Bound <= f.x.hi {
			for _, bound := range []float64{-h.Bound, h.Bound} {
				c.line(f.x.at(bound), f.top, f.x.at(bound), f.bottom, "line s-green dash")
			}
			c.text(f.right, f.top-10, end, "soft", "dashed: bound ±"+format.Number(h.Bound))
		} else {
			c.text(f.right, f.top-10, end, "soft", boundNote(h.Bound, f.x.hi))
		}
	}
	description := fmt.Sprintf("Histogram of %d score errors, the largest of size %s; counts on a logarithmic axis.",
		kept, format.Number(largest))
	return c.figure(h.ID, h.Title, description, scoresWidth, f.bottom+42)
}
