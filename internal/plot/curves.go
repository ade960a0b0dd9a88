package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// CurveChart shows how figures change along an axis, such as latency with load.
type CurveChart struct {
	ID, Title string
	X, Y      Axis
	Series    []Series
	Marks     []Mark
}

// Series is one curve, its points in order of X. There are at most four hues: further series repeat them dashed.
type Series struct {
	Name   string
	Points []Point
}

// Mark is a vertical line at a place that matters, such as saturation.
type Mark struct {
	X     float64
	Label string
}

const curvesWidth = 740

// ending is the name of a series beside its last point.
type ending struct {
	text, hue string
	y         float64
}

// Curves draws lines through points, each named at its right end. On a linear y axis zero is always in sight.
func Curves(l CurveChart) Figure {
	var c canvas
	f := frame{left: 62, top: 44, right: curvesWidth - 24, bottom: 330}
	var xs, ys []float64
	longest := 0.0
	for _, series := range l.Series {
		longest = max(longest, extent(series.Name))
		for _, p := range series.Points {
			if l.X.shows(p.X) && l.Y.shows(p.Y) {
				xs, ys = append(xs, p.X), append(ys, p.Y)
			}
		}
	}
	for _, mark := range l.Marks {
		xs = append(xs, mark.X)
	}
	f.right -= min(longest, 200)
	f.x = l.X.scaleOf(f.left, f.right, 0.02, xs...)
	f.y = l.Y.scaleOf(f.bottom, f.top, 0.06, ys...)
	if !l.Y.Log && len(ys) > 0 && slices.Min(ys) >= 0 {
		f.y.lo = 0
	}
	c.xAxis(f, l.X, 8, true)
	c.yAxis(f, l.Y, 6)
	for _, mark := range l.Marks {
		if !l.X.shows(mark.X) {
			continue
		}
		x := f.x.at(mark.X)
		c.line(x, f.top-4, x, f.bottom, "line thin dash s-soft")
		c.text(x, f.top-10, middle, "soft small", mark.Label)
	}
	var names []ending
	for i, series := range l.Series {
		hue := hues[i%len(hues)]
		class := "line s-" + hue
		if i >= len(hues) {
			class += " dash"
		}
		var d strings.Builder
		var last *Point
		for _, p := range series.Points {
			if !l.X.shows(p.X) || !l.Y.shows(p.Y) {
				continue
			}
			command := "L"
			if last == nil {
				command = "M"
			}
			fmt.Fprintf(&d, "%s%s %s", command, num(f.x.at(p.X)), num(f.y.at(p.Y)))
			last = &p
		}
		if last == nil {
			continue
		}
		c.path(d.String(), class)
		for _, p := range series.Points {
			if l.X.shows(p.X) && l.Y.shows(p.Y) {
				c.circle(f.x.at(p.X), f.y.at(p.Y), 3, hue, fmt.Sprintf("%s: %s, %s", series.Name, l.X.format(p.X), l.Y.format(p.Y)))
			}
		}
		names = append(names, ending{series.Name, hue, f.y.at(last.Y)})
	}
	slices.SortStableFunc(names, func(a, b ending) int { return cmp.Compare(a.y, b.y) })
	for i, name := range names {
		if i > 0 { // where curves end together, names move down
			name.y = max(name.y, names[i-1].y+14)
			names[i] = name
		}
		c.label(f.right+8, name.y+4, 208, start, name.hue, name.text)
	}
	description := fmt.Sprintf("%s against %s: %d curves.", l.Y.Label, l.X.Label, len(l.Series))
	return c.figure(l.ID, l.Title, description, curvesWidth, f.bottom+42)
}
