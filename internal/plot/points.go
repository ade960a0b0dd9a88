package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Standing says what became of an alternative.
type Standing int

const (
	Possible Standing = iota // could have been chosen
	Refused                  // breaks a rule: drawn hollow
	Chosen                   // drawn large, always labelled
)

// Alternative is one point of a trade-off.
type Alternative struct {
	Label    string
	X, Y     float64
	Standing Standing
}

// TradeOff compares alternatives by two costs; less is better on both axes.
type TradeOff struct {
	ID, Title    string
	X, Y         Axis
	Alternatives []Alternative
	Front        bool // draw the steps along the alternatives that no other beats on both axes (the Pareto front)
}

const tradeOffWidth = 740

// Alternatives draws a TradeOff. Labels that would run into others are left out; every point has its label as its tip.
func Alternatives(t TradeOff) Figure {
	var c canvas
	f := frame{left: 62, top: 44, right: tradeOffWidth - 10, bottom: 330}
	var xs, ys []float64
	for _, a := range t.Alternatives {
		if t.X.shows(a.X) && t.Y.shows(a.Y) {
			xs, ys = append(xs, a.X), append(ys, a.Y)
		}
	}
	f.x = t.X.scaleOf(f.left, f.right, 0.08, xs...)
	f.y = t.Y.scaleOf(f.bottom, f.top, 0.1, ys...)
	c.xAxis(f, t.X, 8, true)
	c.yAxis(f, t.Y, 6)

	key := f.right
	for _, k := range []struct {
		name, class string
	}{{"refused", "hollow s-soft"}, {"possible", "blue"}, {"chosen", "orange"}} {
		c.text(key, f.top-28, end, "soft", k.name)
		key -= extent(k.name) + 11
		c.circle(key, f.top-32, 4.5, k.class, "")
		key -= 16
	}

	var taken []box
	if t.Front {
		d, steps := t.front(f)
		c.path(d, "line thin dash s-blue")
		taken = steps
	}
	draw := func(standing Standing, class string, radius float64) {
		for _, a := range t.Alternatives {
			if a.Standing != standing || !t.X.shows(a.X) || !t.Y.shows(a.Y) {
				continue
			}
			x, y := f.x.at(a.X), f.y.at(a.Y)
			c.circle(x, y, radius, class, fmt.Sprintf("%s: %s, %s", a.Label, t.X.format(a.X), t.Y.format(a.Y)))
			taken = append(taken, box{x - radius, y - radius, x + radius, y + radius})
		}
	}
	draw(Refused, "hollow s-soft", 4)
	draw(Possible, "blue", 4.5)
	draw(Chosen, "orange", 7)

	name := func(standing Standing, class string, gap float64, always bool) {
		for _, a := range t.Alternatives {
			if a.Standing != standing || !t.X.shows(a.X) || !t.Y.shows(a.Y) {
				continue
			}
			c.nameNear(f, f.x.at(a.X), f.y.at(a.Y), gap, a.Label, class, always, &taken)
		}
	}
	name(Chosen, "strong", 12, true)
	name(Possible, "small", 9, false)
	name(Refused, "soft small", 9, false)

	description := fmt.Sprintf("%d alternatives by %s and %s.", len(xs), t.X.Label, t.Y.Label)
	for _, a := range t.Alternatives {
		if a.Standing == Chosen {
			description += fmt.Sprintf(" Chosen: %s at %s and %s.", a.Label, t.X.format(a.X), t.Y.format(a.Y))
		}
	}
	return c.figure(t.ID, t.Title, description, tradeOffWidth, f.bottom+42)
}

// front is the staircase that bounds what can be had, and the room that its lines take.
func (t TradeOff) front(f frame) (d string, steps []box) {
	var list []Alternative
	for _, a := range t.Alternatives {
		if a.Standing != Refused && t.X.shows(a.X) && t.Y.shows(a.Y) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b Alternative) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
	least := math.Inf(1)
	x, y := f.left, f.top
	for _, a := range list {
		if a.Y >= least {
			continue
		}
		nextX, nextY := f.x.at(a.X), f.y.at(a.Y)
		if d == "" {
			d, x = fmt.Sprintf("M%s %s", num(nextX), num(f.top)), nextX
		}
		d += fmt.Sprintf("H%sV%s", num(nextX), num(nextY))
		steps = append(steps, box{x, y, nextX, y}, box{nextX, y, nextX, nextY})
		x, y, least = nextX, nextY, a.Y
	}
	if d != "" {
		d += "H" + num(f.right)
		steps = append(steps, box{x, y, f.right, y})
	}
	return d, steps
}

type box struct{ left, top, right, bottom float64 }

func (b box) meets(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// nameNear writes a label at the first free place around a point, or not at all.
func (c *canvas) nameNear(f frame, x, y, gap float64, label, class string, always bool, taken *[]box) {
	w := extent(label)
	places := []struct {
		dx, dy float64
		anchor string
		left   float64
	}{
		{gap, 4, start, x + gap},
		{-gap, 4, end, x - gap - w},
		{0, -gap, middle, x - w/2},
		{0, gap + 9, middle, x - w/2},
	}
	for i, p := range places {
		b := box{p.left, y + p.dy - 11, p.left + w, y + p.dy + 3}
		free := b.left >= f.left && b.right <= f.right+8
		for _, t := range *taken {
			free = free && !b.meets(t)
		}
		if free || always && i == len(places)-1 {
			*taken = append(*taken, b)
			c.text(x+p.dx, y+p.dy, p.anchor, class, label)
			return
		}
	}
}

// BarChart compares one figure across systems.
type BarChart struct {
	ID, Title string
	Axis      Axis // logarithmic where the figures span decades
	Bars      []Bar
}

// Bar is one system's figure.
type Bar struct {
	Label string
	Note  string // such as the hardware or the source
	Value float64
	Ours  bool // drawn in the first hue, the others in the second
}

const (
	barsWidth = 740
	small     = 10.5 / 12 // size of small text against that of the rest
)

// Bars draws horizontal bars with their values at their ends. On a logarithmic axis they start at a round power of ten
// below the smallest value.
func Bars(b BarChart) Figure {
	var c canvas
	const row, top = 34.0, 30.0
	names := 60.0
	var values []float64
	for _, bar := range b.Bars {
		names = math.Max(names, math.Min(math.Max(extent(bar.Label), small*extent(bar.Note)), 250))
		if b.Axis.shows(bar.Value) {
			values = append(values, bar.Value)
		}
	}
	f := frame{left: names + 12, top: top, right: barsWidth - 70, bottom: top + row*float64(len(b.Bars))}
	f.x = b.Axis.scaleOf(f.left, f.right, 0, values...)
	if b.Axis.Log {
		f.x.lo = math.Pow(10, math.Floor(math.Log10(f.x.lo)-0.15))
	} else {
		f.x = b.Axis.scaleOf(f.left, f.right, 0, append(values, 0)...)
	}
	c.xAxis(f, b.Axis, 8, true)
	for i, bar := range b.Bars {
		y := f.top + row*float64(i)
		nameY := y + row/2 + 4
		if bar.Note != "" {
			nameY -= 6
			c.label(names, nameY+13, names/small, end, "soft small", bar.Note)
		}
		class := ""
		if bar.Ours {
			class = "strong"
		}
		c.label(names, nameY, names, end, class, bar.Label)
		if !b.Axis.shows(bar.Value) {
			c.text(f.left+6, y+row/2+4, start, "soft", "no figure")
			continue
		}
		hue := "orange"
		if bar.Ours {
			hue = "blue"
		}
		x := f.x.at(bar.Value)
		c.rect(f.left, y+6, math.Max(x-f.left, 1), row-12, hue, bar.Label+": "+b.Axis.format(bar.Value))
		c.text(x+7, y+row/2+4, start, class, b.Axis.format(bar.Value))
	}
	c.line(f.left, f.top, f.left, f.bottom, "axis")
	description := fmt.Sprintf("%s of %d systems.", b.Axis.Label, len(b.Bars))
	return c.figure(b.ID, b.Title, description, barsWidth, f.bottom+42)
}
