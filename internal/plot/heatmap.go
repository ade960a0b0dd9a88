package plot

import (
	"fmt"
	"math"

	"cipherpoint/internal/format"
)

// ConfusionMatrix counts how often each class was taken for which: Counts[true class][answer].
type ConfusionMatrix struct {
	ID, Title string
	Classes   []string
	Counts    [][]int64 // square, one row and column a class
}

const (
	confusionWidth = 464
	// numbered is the largest number of classes whose counts are written into the cells; beyond, they are tips only.
	numbered = 16
	// named is the largest number of classes whose names stand at the edges.
	named = 40
)

// Confusion draws a matrix of shaded cells, right answers in one hue and wrong ones in another. A cell's shade is the
// square root of its share of the true class, so that a single mistake can be seen.
func Confusion(m ConfusionMatrix) Figure {
	var c canvas
	n := len(m.Classes)
	left := 26.0
	if n <= named {
		for _, name := range m.Classes {
			left = math.Max(left, math.Min(extent(name), 120)+34)
		}
	}
	const top = 24
	cell := (confusionWidth - left) / float64(max(n, 3))
	side := cell * float64(n)

	var right, all int64
	for i, row := range m.Counts {
		var total int64
		for _, count := range row {
			total += count
		}
		all += total
		right += row[i]
		for j, count := range row {
			x, y := left+float64(j)*cell, top+float64(i)*cell
			gap := math.Min(1, cell/10)
			tip := fmt.Sprintf("%s, answered %s: %d", m.Classes[i], m.Classes[j], count)
			c.rect(x, y, cell-gap, cell-gap, "wash", "")
			shade := 0.0
			if count > 0 {
				shade = math.Max(0.2, math.Sqrt(float64(count)/float64(total)))
				hue := "orange"
				if i == j {
					hue = "blue"
				}
				c.shade(x, y, cell-gap, cell-gap, shade, hue, tip)
			}
			if n <= numbered && count > 0 {
				class := ""
				if shade > 0.55 {
					class = "on"
				}
				c.text(x+(cell-gap)/2, y+(cell-gap)/2+4, middle, class, fmt.Sprint(count))
			}
		}
	}
	bottom := top + side
	slanted := false
	if n <= named {
		every := 1
		for cell*float64(every) < 13 {
			every++
		}
		for _, name := range m.Classes {
			slanted = slanted || extent(name) > cell-2
		}
		for i := 0; i < n; i += every {
			name := m.Classes[i]
			middleOf := (float64(i) + 0.5) * cell
			c.label(left-7, top+middleOf+4, left-34, end, "", name)
			if slanted {
				c.turned(left+middleOf+4, bottom+13, -38, end, "", fit(name, 120), name)
			} else {
				c.text(left+middleOf, bottom+16, middle, "", name)
			}
		}
	}
	below := 16.0
	if slanted {
		longest := 0.0
		for _, name := range m.Classes {
			longest = math.Max(longest, math.Min(extent(name), 120))
		}
		below = 13 + 0.62*longest
	}
	c.turned(12, top+side/2, -90, middle, "soft", "true class", "")
	c.text(left+side/2, bottom+below+20, middle, "soft", "answer")
	c.text(left, 14, start, "soft", fmt.Sprintf("%s of %s right", format.Integer(right), format.Integer(all)))
	description := fmt.Sprintf("Confusion matrix of %d classes: %d of %d samples on the diagonal.", n, right, all)
	return c.figure(m.ID, m.Title, description, confusionWidth, bottom+below+26)
}
