package plot

import (
	"fmt"
	"math"
	"time"

	"cipherpoint/internal/format"
)

// Layer is one step of a circuit.
type Layer struct {
	Name      string
	Level     int // of its operands
	Rescale   int // levels that it uses up; its result is at Level-Rescale
	Estimated time.Duration
	Measured  time.Duration // 0 where it was not measured
}

// LayerChart shows where a circuit spends its levels and its time.
type LayerChart struct {
	ID, Title string
	Layers    []Layer // in the order in which they run
}

const layersWidth = 740

// Layers draws one row a layer: its name, the staircase of levels going down to the left, the bars of measured and
// estimated time.
func Layers(l LayerChart) Figure {
	var c canvas
	const row, top = 27.0, 58.0
	bottom := top + row*float64(len(l.Layers))

	highest, measured, names := 1, false, 80.0
	var spent []float64
	for _, layer := range l.Layers {
		highest = max(highest, layer.Level)
		names = math.Max(names, math.Min(extent(layer.Name)+8, 230))
		measured = measured || layer.Measured > 0
		spent = append(spent, layer.Estimated.Seconds(), layer.Measured.Seconds())
	}
	stairs := names + 16
	stairsEnd := stairs + 0.35*(layersWidth-stairs)
	bars := stairsEnd + 30
	levels := scale{lo: 0, hi: float64(highest), from: stairs, to: stairsEnd}
	timeAxis := Axis{Format: format.Seconds}
	times := timeAxis.scaleOf(bars, layersWidth-64, 0, append(spent, 0)...)
	if times.lo < 0 { // all times zero
		times.lo = 0
	}

	for i := range l.Layers {
		if i%2 == 0 {
			c.rect(0, top+row*float64(i), layersWidth, row, "wash", "")
		}
	}
	c.text(stairs, 16, start, "strong", "Level")
	c.text(stairs+extent("Level")+4, 16, start, "soft", "before and after")
	c.text(bars, 16, start, "strong", "Time")
	key := bars + extent("Time") + 10
	if measured {
		c.rect(key, 8, 9, 9, "blue", "")
		c.text(key+14, 16, start, "soft", "measured")
		key += extent("measured") + 24
	}
	c.line(key, 12.5, key+9, 12.5, "line s-orange")
	c.text(key+14, 16, start, "soft", "estimated")

	every := 1 + highest/12
	for v := 0; v <= highest; v += every {
		x := levels.at(float64(v))
		c.line(x, top-6, x, bottom, "grid")
		c.text(x, top-12, middle, "soft small", fmt.Sprint(v))
	}
	for _, v := range times.ticks(5) {
		x := times.at(v)
		c.line(x, top-6, x, bottom, "grid")
		c.text(x, top-12, middle, "soft small", timeAxis.format(v))
	}

	d := ""
	var used float64
	for i, layer := range l.Layers {
		y := top + row*float64(i)
		before, after := levels.at(float64(layer.Level)), levels.at(float64(layer.Level-layer.Rescale))
		c.label(names, y+row/2+4, names-8, end, "", layer.Name)
		if d == "" {
			d = fmt.Sprintf("M%s %s", num(before), num(y))
		} else {
			d += fmt.Sprintf("H%s", num(before)) // a drop to a lower level between layers costs nothing
		}
		d += fmt.Sprintf("V%sH%sV%s", num(y+row/2), num(after), num(y+row))
		if layer.Measured > 0 {
			x := times.at(layer.Measured.Seconds())
			c.rect(bars, y+6, math.Max(x-bars, 1), row-12, "blue", layer.Name+": measured "+format.Duration(layer.Measured))
			used += layer.Measured.Seconds()
		}
		if layer.Estimated > 0 {
			x := times.at(layer.Estimated.Seconds())
			if !measured {
				c.shade(bars, y+6, math.Max(x-bars, 1), row-12, 0.35, "orange", layer.Name+": estimated "+format.Duration(layer.Estimated))
			}
			c.line(x, y+3.5, x, y+row-3.5, "line s-orange")
		}
		shown := layer.Measured
		if !measured {
			shown = layer.Estimated
		}
		far := math.Max(times.at(layer.Measured.Seconds()), times.at(layer.Estimated.Seconds()))
		c.text(far+7, y+row/2+4, start, "small", format.Duration(shown))
	}
	c.path(d, "line s-green")
	c.line(bars, top-6, bars, bottom, "axis")
	description := fmt.Sprintf("%d layers from level %d down.", len(l.Layers), highest)
	if measured {
		description += " Their measured times sum to " + format.Seconds(used) + "."
	}
	return c.figure(l.ID, l.Title, description, layersWidth, bottom+4)
}

// Modulus is a budget of modulus bits: security sets a limit to what the primes may take together.
type Modulus struct {
	ID, Title string
	Q, P      []int   // bit sizes of the ciphertext primes (by level, the last prime left first) and the special ones
	Limit     float64 // largest log2(QP)
}

// Budget draws the primes as segments of one bar under the limit.
func Budget(m Modulus) Figure {
	var c canvas
	const top, height = 30.0, 34.0
	var q, p float64
	for _, bits := range m.Q {
		q += float64(bits)
	}
	for _, bits := range m.P {
		p += float64(bits)
	}
	full := math.Max(math.Max(q+p, m.Limit), 1)
	bits := scale{lo: 0, hi: full, from: 1, to: layersWidth - 1}
	c.rect(bits.from, top, bits.at(m.Limit)-bits.from, height, "pale", "")
	x := 0.0
	segments := func(primes []int, hue, name string) {
		for i, size := range primes {
			lo, hi := bits.at(x), bits.at(x+float64(size))
			c.rect(lo, top, hi-lo-1, height, hue, fmt.Sprintf("%s%d: %d bits", name, i, size))
			if hi-lo > 22 {
				c.text((lo+hi)/2, top+height/2+4, middle, "on", fmt.Sprint(size))
			}
			x += float64(size)
		}
	}
	segments(m.Q, "blue", "q")
	segments(m.P, "pink", "p")
	c.rect(1, 8, 9, 9, "blue", "")
	c.text(15, 16, start, "soft", fmt.Sprintf("Q: %s bits", format.Number(q)))
	keyP := 30 + extent(fmt.Sprintf("Q: %s bits", format.Number(q)))
	if len(m.P) > 0 {
		c.rect(keyP, 8, 9, 9, "pink", "")
		c.text(keyP+14, 16, start, "soft", fmt.Sprintf("P: %s bits", format.Number(p)))
	}
	c.line(bits.at(m.Limit), top-6, bits.at(m.Limit), top+height+6, "line s-orange")
	c.text(layersWidth, 16, end, "soft", fmt.Sprintf("limit at 128 bits of security: %s", format.Number(m.Limit)))
	description := fmt.Sprintf("%d primes of Q and %d of P take %s of %s bits.", len(m.Q), len(m.P), format.Number(q+p), format.Number(m.Limit))
	return c.figure(m.ID, m.Title, description, layersWidth, top+height+8)
}
